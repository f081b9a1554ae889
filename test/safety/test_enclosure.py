"""Weather and shutter: bad or unknown weather closes it and ends a pass; light needs an open shutter."""

from dataclasses import replace
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.devices.dome import DomeReading, Shutter
from qkd_gs.devices.weather import WeatherReading
from qkd_gs.safety.enclosure import Demand, Enclosure, ShutterOrder
from qkd_gs.settings.enclosure import EnclosureSettings

SECOND = 10**9
NOW = 1_700_000_000 * SECOND
FINE = WeatherReading(NOW, True, 0.0, 2.0, 3.0, 0.1, 0.5)
PASS = Demand(in_pass=True)


def enclosure(weather=FINE, shutter=Shutter.OPEN, settings=None):
    made = Enclosure(EnclosureSettings(**(settings or {})))
    if weather is not None:
        made.weather(weather)
    if shutter is not None:
        made.dome(DomeReading(NOW, shutter))
    return made


def codes(made, now_ns=NOW, demand=PASS):
    return [limit.code for limit in made.step(now_ns, demand).limits]


def test_fine_weather_and_an_open_shutter_permit():
    status = enclosure().step(NOW, PASS)
    assert status.limits == ()
    assert status.break_off == ''
    assert status.order is None


@pytest.mark.parametrize(
    ('weather', 'code'),
    [
        (None, 'weather.unknown'),
        (WeatherReading(0), 'weather.unknown'),
        (WeatherReading(NOW), 'weather.unknown'),  # it measures nothing
        (replace(FINE, stamp_ns=NOW - 61 * SECOND), 'weather.unknown'),
        (replace(FINE, safe=False), 'weather.unsafe'),
        (replace(FINE, rain_mm_h=0.1), 'weather.rain'),
        (replace(FINE, wind_m_s=13), 'weather.wind'),
        (replace(FINE, gust_m_s=19), 'weather.wind'),
        (replace(FINE, humidity=0.93), 'weather.humidity'),
    ],
)
def test_bad_and_unknown_weather_forbids_light_ends_the_pass_and_closes(weather, code):
    made = enclosure(weather)
    status = made.step(NOW, PASS)
    assert [limit.code for limit in status.limits] == [code]
    if code == 'weather.unknown':  # as after a restart
        assert not status.break_off
        assert status.order is None
        status = made.step(NOW + 10 * SECOND, PASS)
    assert status.break_off
    assert status.order is ShutterOrder.CLOSE


def test_what_is_not_measured_is_not_compared():
    assert codes(enclosure(WeatherReading(NOW, True))) == []
    assert codes(enclosure(replace(FINE, wind_m_s=nan, cloud=nan))) == []


@pytest.mark.parametrize(
    ('shutter', 'code'),
    [
        (None, 'dome.unknown'),
        (Shutter.CLOSED, 'dome.closed'),
        *((state, 'dome.shut') for state in Shutter if state not in (Shutter.OPEN, Shutter.CLOSED)),
    ],
)
def test_no_light_below_a_shutter_that_is_not_open(shutter, code):
    assert codes(enclosure(shutter=shutter)) == [code]


def test_a_dome_that_is_silent_is_not_open():
    made = enclosure()
    assert codes(made, NOW + 4 * SECOND) == []
    assert codes(made, NOW + 6 * SECOND) == ['dome.unknown']
    made.lost('dome', 'the cable is pulled')
    (limit,) = made.step(NOW, PASS).limits
    assert limit.words == 'the shutter is not known to be open: the cable is pulled'


def test_it_opens_before_a_pass_and_closes_after_it():
    made = enclosure(shutter=Shutter.CLOSED)
    assert made.step(NOW, Demand(next_start_ns=NOW + 601 * SECOND)).order is None
    assert made.step(NOW, Demand(next_start_ns=NOW + 599 * SECOND)).order is ShutterOrder.OPEN
    made.dome(DomeReading(NOW, Shutter.OPEN))
    assert made.step(NOW, PASS).order is None
    assert made.step(NOW, Demand(next_start_ns=NOW + 5000 * SECOND)).order is ShutterOrder.CLOSE


def test_a_supervisor_that_has_just_begun_and_heard_nobody_leaves_the_shutter_as_it_is():
    nothing = Demand(at_park=False, known=False)
    made = enclosure()
    assert made.step(NOW, nothing).order is None, 'a pass may be under way'
    assert made.step(NOW, replace(nothing, known=True)).order is ShutterOrder.CLOSE
    assert enclosure(shutter=None).step(NOW, nothing).order is None
    assert enclosure(replace(FINE, rain_mm_h=1)).step(NOW, nothing).order is ShutterOrder.CLOSE


@pytest.mark.parametrize('what', [Demand(calibrating=True), Demand(in_pass=True), Demand(known=False)])
def test_it_closes_before_the_sun_shines_into_a_telescope_that_nobody_moves(what):
    made = enclosure()
    assert made.step(NOW, replace(what, sun_s=310.0)).order is None
    assert made.step(NOW, replace(what, sun_s=290.0)).order is ShutterOrder.CLOSE
    closed = enclosure(shutter=Shutter.CLOSED)
    assert closed.step(NOW, replace(what, sun_s=0.0)).order is None, 'it stays closed'
    roof = enclosure(settings={'shutter': {'close_after_park': True}})
    assert roof.step(NOW, replace(what, sun_s=0.0, at_park=False)).order is None, 'it would hit the telescope'


def test_an_order_that_is_not_followed_is_repeated():
    made = enclosure(shutter=Shutter.CLOSED)
    orders = [made.step(NOW + k * SECOND // 10, Demand(calibrating=True)).order for k in range(45)]
    assert [k for k, order in enumerate(orders) if order] == [0, 20, 40]


def test_after_rain_it_stays_closed_until_the_weather_has_settled():
    made = enclosure(replace(FINE, rain_mm_h=1), Shutter.CLOSED)
    soon = Demand(next_start_ns=NOW + 100 * SECOND)
    assert made.step(NOW, soon).order is None
    for k in range(1, 320):
        now_ns = NOW + k * SECOND
        made.weather(replace(FINE, stamp_ns=now_ns))
        made.dome(DomeReading(now_ns, Shutter.CLOSED))
        order = made.step(now_ns, soon).order
        assert (order is ShutterOrder.OPEN) == (k >= 300 and (k - 300) % 2 == 0)


def test_a_roof_waits_for_the_parked_mount():
    made = enclosure(replace(FINE, rain_mm_h=1), settings={'shutter': {'close_after_park': True}})
    status = made.step(NOW, PASS)
    assert status.break_off
    assert status.order is None
    assert made.step(NOW, Demand()).order is ShutterOrder.CLOSE


@pytest.mark.parametrize('rain_mm_h', [0, 1])
def test_a_roof_waits_for_a_mount_that_a_calibration_has_left_where_it_was(rain_mm_h):
    made = enclosure(replace(FINE, rain_mm_h=rain_mm_h), settings={'shutter': {'close_after_park': True}})
    assert made.step(NOW, Demand(at_park=False)).order is None
    assert made.step(NOW, Demand(calibrating=True, at_park=False)).order is not ShutterOrder.CLOSE
    assert made.step(NOW, Demand()).order is ShutterOrder.CLOSE
    dome = enclosure(replace(FINE, rain_mm_h=rain_mm_h))
    assert dome.step(NOW, Demand(at_park=False)).order is ShutterOrder.CLOSE


def test_a_station_without_weather_and_shutter_says_so_in_writing():
    made = enclosure(None, None, settings={'weather': {'watch': False}, 'shutter': {'watch': False}})
    assert made.step(NOW, PASS).limits == ()
    assert made.step(NOW, PASS).order is None


readings = st.builds(
    WeatherReading,
    st.integers(NOW - 100 * SECOND, NOW),
    st.sampled_from([True, False, None]),
    *[st.one_of(st.just(nan), st.floats(0, 40))] * 3,
    *[st.one_of(st.just(nan), st.floats(0, 1))] * 2,
)


@given(readings, st.sampled_from(Shutter), st.booleans(), st.booleans())
def test_it_is_never_opened_and_light_never_permitted_in_bad_weather(reading, shutter, in_pass, calibrating):
    status = enclosure(reading, shutter).step(NOW, Demand(in_pass, calibrating, NOW + SECOND))
    bad = (
        reading.safe is False or reading.rain_mm_h > 0 or reading.wind_m_s > 12 or NOW - reading.stamp_ns > 60 * SECOND
    )
    if bad:
        assert status.order is not ShutterOrder.OPEN
        assert status.limits
    if shutter is not Shutter.OPEN:
        assert status.limits
