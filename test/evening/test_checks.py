"""Clock and site against the GPS receiver, dawn, and the choice of passes."""

from dataclasses import replace

import numpy as np
import pytest

from qkd_gs.calibration.light.noise_map import NoiseMap
from qkd_gs.devices.gps import GpsReading
from qkd_gs.errors import StationError
from qkd_gs.evening.checks import time_and_place
from qkd_gs.evening.choice import MeasuredLight, choose_passes, ready_s
from qkd_gs.evening.dawn import dark_from_ns, next_dawn_ns
from qkd_gs.evening.steps import State
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.sky import sun_azel
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.pass_window import ARMED_S
from qkd_gs.settings.downlink import load_downlink
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

SITE = load_site('shanghai')
STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
ELEMENTS = load_elements(share_path('config', 'elements', 'micius.tle'))
SECOND = 10**9
NOW_NS = parse_utc('2018-10-03T14:30:00Z')
GOOD = GpsReading(
    NOW_NS - SECOND // 2, NOW_NS - SECOND, SITE.latitude_deg, SITE.longitude_deg, SITE.altitude_m, 9, 1e-8
)


@pytest.mark.parametrize(
    ('change', 'state', 'said'),
    [
        ({}, State.DONE, 'clock right within a second'),
        ({'pps_utc_ns': 0}, State.FAILED, 'no fix yet'),
        ({'satellites': 0}, State.FAILED, 'no fix yet'),
        ({'stamp_ns': NOW_NS - 60 * SECOND}, State.FAILED, 'is 60 s old'),
        ({'pps_utc_ns': NOW_NS - 30 * SECOND}, State.FAILED, 'the clock is 28.0 s off'),
        ({'pps_utc_ns': NOW_NS + 3 * SECOND}, State.FAILED, 'the clock is 3.5 s off'),
        ({'latitude_deg': SITE.latitude_deg + 0.01}, State.FAILED, '1112 m from the site Shanghai'),
        ({'longitude_deg': SITE.longitude_deg - 360}, State.DONE, 'site right within 1 m'),
        ({'altitude_m': SITE.altitude_m + 500}, State.FAILED, r'\+500 m above it'),
    ],
)
def test_clock_and_site_are_compared_with_the_receiver(change, state, said):
    outcome = time_and_place(replace(GOOD, **change), NOW_NS, SITE)
    assert outcome.state is state
    assert said.replace('\\', '') in outcome.sentence


def test_dawn_is_when_the_rising_sun_is_6_deg_below_the_horizon():
    dawn_ns = next_dawn_ns(SITE, NOW_NS)
    _, el = np.degrees(sun_azel(SITE, dawn_ns + 60 * SECOND * np.array([-1, 0])))
    assert el[0] < -6 <= el[1]
    assert NOW_NS < dawn_ns < NOW_NS + 12 * 3600 * SECOND


def test_where_the_sun_does_not_rise_the_end_must_be_given():
    pole = SITE.model_copy(update={'latitude_deg': 89.0})
    with pytest.raises(StationError, match='say until when'):
        next_dawn_ns(pole, parse_utc('2018-12-21T12:00:00Z'))


def chosen(measured, until='2018-10-03T18:00:00Z', start_ns=NOW_NS, settings=STATION):
    return choose_passes(ELEMENTS, SITE, settings, measured, (start_ns, parse_utc(until)))


def test_a_slow_mount_needs_longer_before_a_pass():
    """One of 3 deg/s takes three minutes from one end of its travel to the other."""
    axis = STATION.mount.azimuth
    slow = STATION.mount.model_copy(update={'azimuth': axis.model_copy(update={'max_rate_deg_s': 3.0})})
    station = STATION.model_copy(update={'mount': slow})
    way_s = (axis.max_deg - axis.min_deg) / 3.0
    assert way_s + ARMED_S < ready_s(slow) < 1.2 * (way_s + ARMED_S)
    stated = MeasuredLight(load_downlink(), SITE)
    rise_ns = parse_utc(chosen(stated)[0]['rise'])
    cases = (100, STATION, True), (50, STATION, False), (300, station, True), (100, station, False)
    for before_s, settings, worth in cases:
        (found,) = chosen(stated, start_ns=rise_ns - before_s * SECOND, settings=settings)
        assert (found['worth'], found['why']) == (worth, '' if worth else 'it rises before the telescope is ready')


def test_the_pass_of_the_paper_is_worth_it_and_a_dark_channel_is_not():
    stated = MeasuredLight(load_downlink(), SITE)
    (one,) = chosen(stated)
    assert one['worth']
    assert one['forecast']['secret_bits']['expected'] > 50_000
    (weak,) = chosen(MeasuredLight(load_downlink(), SITE, gain=0.02))
    assert not weak['worth']
    assert 'secret bits are expected, fewer than 1000' in weak['why']


def test_a_measured_noise_replaces_the_stated_one():
    loud = NoiseMap(np.radians([0.0, 180.0]), np.radians([20.0, 70.0]), np.full((2, 2, 4), 20_000.0), np.zeros(4), '')
    (one,) = chosen(MeasuredLight(load_downlink(), SITE, noise=loud))
    assert one['forecast']['noise_cps'] == pytest.approx(80_000, rel=0.05)
    assert not one['worth']


def test_a_pass_that_begins_too_soon_or_ends_too_late_says_so():
    stated = MeasuredLight(load_downlink(), SITE)
    (late,) = chosen(stated, until='2018-10-03T15:58:00Z')
    assert late['why'] == 'it sets after the end of the evening'
    (soon,) = chosen(stated, start_ns=parse_utc('2018-10-03T15:51:30Z'))
    assert soon['why'] == 'it rises before the telescope is ready'


def test_the_sky_is_dark_from_dusk_on():
    dusk_ns = dark_from_ns(SITE, parse_utc('2018-10-03T04:00:00Z'))  # noon
    _, el = np.degrees(sun_azel(SITE, dusk_ns + 60 * SECOND * np.array([-1, 0])))
    assert el[1] < -6 <= el[0]
    assert dark_from_ns(SITE, NOW_NS) == NOW_NS
    with pytest.raises(StationError, match='the sky is not dark within a day'):
        dark_from_ns(SITE.model_copy(update={'latitude_deg': 80.0}), parse_utc('2018-06-21T12:00:00Z'))
