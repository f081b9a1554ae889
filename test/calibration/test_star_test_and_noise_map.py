"""Star test and noise map from readings: what they find, reject and say."""

import json
from dataclasses import replace
from math import radians

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.calibration.light.history import keep_result, load_history
from qkd_gs.calibration.light.noise_map import noise_map
from qkd_gs.calibration.light.readings import BESIDE, DARK, HIP, SKY, LightReading, read_light, save_light
from qkd_gs.calibration.light.star_test import LightVerdict, efficiency_of_stars, suitable_stars
from qkd_gs.calibration.stars import load_stars
from qkd_gs.downlink.budget import air_mass
from qkd_gs.downlink.extinction import zenith_loss_db
from qkd_gs.downlink.starlight import star_rate
from qkd_gs.errors import StationError
from qkd_gs.settings.downlink import load_downlink
from qkd_gs.settings.site import load_site

SITE, LINK, DEAD_NS = load_site('shanghai'), load_downlink().link, 50.0
NOW_NS = 1_538_578_800 * 10**9
STARS = suitable_stars(load_stars())
FOUR = tuple[int, int, int, int]


def clicks(rates, seconds) -> FOUR:
    """What detectors with a dead time count of these rates."""
    return tuple(round(rate / (1 + rate * DEAD_NS * 1e-9) * seconds) for rate in rates)


def on_stars(efficiency, fainter=(), count=5):
    """Readings of stars at growing elevations; those of `fainter` are a magnitude too faint."""
    readings = []
    for k, star in enumerate(STARS[:count]):
        el = radians(30 + 10 * k)
        air = 10 ** (-0.1 * zenith_loss_db(SITE) * float(air_mass(el)))
        rate = star_rate(LINK, star.i_mag) * air * efficiency * (0.4 if k in fainter else 1.0)
        sky = (50.0, 60.0, 40.0, 50.0)
        place = NOW_NS + k * 10**9, 1.0 + k, el, 4.0
        readings.append(LightReading(f'{HIP}{star.hip}', *place, clicks([rate / 4 + one for one in sky], 4)))
        readings.append(LightReading(f'{BESIDE}{HIP}{star.hip}', *place, clicks(sky, 4)))
    return readings


def judged(readings):
    return efficiency_of_stars(readings, load_stars(), LINK, SITE, DEAD_NS)


@given(st.floats(0.05, 0.8))
def test_the_efficiency_is_found_whatever_it_is(efficiency):
    found = judged(on_stars(efficiency))
    assert found.efficiency == pytest.approx(efficiency, rel=0.01)
    assert sum(found.shares) == pytest.approx(1)


@pytest.mark.parametrize(
    ('part', 'verdict'), [(1.0, LightVerdict.GO), (0.5, LightVerdict.WEAK), (0.3, LightVerdict.NO_GO)]
)
def test_the_verdict_follows_the_stated_efficiency(part, verdict):
    assert judged(on_stars(LINK.system_efficiency * part)).verdict is verdict


def test_a_star_behind_a_cloud_is_named_and_does_not_count():
    found = judged(on_stars(0.4, fainter=(2,)))
    assert found.efficiency == pytest.approx(0.4, rel=0.01)
    assert [bool(one.rejected) for one in found.stars] == [False, False, True, False, False]
    assert '1.0 mag fainter than the others: a cloud' in found.stars[2].rejected


@pytest.mark.parametrize(
    ('readings', 'said'),
    [
        (on_stars(0.4, count=2), '2 of 2 stars were counted, 3 are needed'),
        (on_stars(0.4, fainter=(0, 1, 2), count=4)[:7], 'the sky beside HIP .* was not measured'),
        ([replace(on_stars(0.4)[0], target='HIP 1')], 'HIP 1 is no star for this test'),
    ],
)
def test_what_makes_no_test_is_refused_with_its_reason(readings, said):
    with pytest.raises(StationError, match=said):
        judged(readings)


def sky(rate, azimuths=(0, 90, 180, 270), elevations=(15, 20, 30, 60), seconds=100.0):
    """Readings of a sky whose rate is a function of azimuth and elevation in degrees."""
    return [
        LightReading(SKY, NOW_NS, radians(az), radians(el), seconds, clicks([rate(az, el) / 4] * 4, seconds))
        for az in azimuths
        for el in elevations
    ]


def city(az_deg, el_deg):
    return 4000 * np.exp(-el_deg / 10) * (1 + 0.5 * np.cos(np.radians(az_deg)))


def test_city_light_that_falls_exponentially_is_found_between_the_rows():
    found = noise_map(sky(city), DEAD_NS)
    for az, el in ((0, 17), (90, 25), (180, 40), (360, 50)):
        assert found.at(np.radians([az]), np.radians([el])).sum() == pytest.approx(city(az, el), rel=0.03)
    assert 'at azimuth 0, elevation 15 deg' in found.summary


def test_the_map_closes_over_north():
    found = noise_map(sky(city), DEAD_NS)
    west, east = found.at(np.radians([-1.0, 1.0]), np.radians([20.0, 20.0])).sum(axis=1)
    assert west == pytest.approx(east, rel=1e-6)


def test_each_detector_keeps_its_share_and_its_dark_counts():
    rows = [replace(one, counts=(one.counts[0], one.counts[1], 3 * one.counts[2], one.counts[3])) for one in sky(city)]
    found = noise_map([*rows, LightReading(DARK, NOW_NS, 0, 0, 10.0, (200, 210, 2000, 190))], DEAD_NS)
    shares = found.at(np.radians([45.0]), np.radians([30.0]))[0]
    assert shares[2] / shares[0] == pytest.approx(3, rel=0.02)
    assert found.dark_cps.tolist() == [20, 21, 200, 19]
    assert 'detector D counts 10 times as much in the dark as the others' in found.summary


def test_directions_that_were_not_measured_get_the_mean_of_their_elevation():
    found = noise_map([one for one in sky(city) if not (one.az_rad == 0 and one.el_rad < 0.3)], DEAD_NS)
    there = found.at(np.zeros(1), np.radians([15.0])).sum()
    assert there == pytest.approx(np.mean([city(az, 15) for az in (90, 180, 270)]), rel=0.05)
    assert 'dark counts not measured' in found.summary


@pytest.mark.parametrize(
    ('readings', 'said'),
    [
        (sky(city, azimuths=(0,)), '1 azimuths and 4 elevations of the sky make no map'),
        ([], '0 azimuths and 0 elevations'),
        (
            [one for k, one in enumerate(sky(city)) if k in (0, 5, 10, 15)],
            'more than half of the grid was not measured',
        ),
    ],
)
def test_what_makes_no_map_is_refused(readings, said):
    with pytest.raises(StationError, match=said):
        noise_map(readings, DEAD_NS)


def test_readings_survive_their_file(tmp_path):
    readings = [*on_stars(0.4), *sky(city), LightReading(DARK, NOW_NS, 0.0, 0.0, 10.0, (1, 2, 3, 4))]
    save_light(tmp_path / 'counts.csv', readings)
    back = read_light(tmp_path / 'counts.csv')
    assert [(one.target, one.counts, one.t_ns) for one in back] == [
        (one.target, one.counts, one.t_ns) for one in readings
    ]
    assert np.allclose([one.az_rad for one in back], [one.az_rad for one in readings], atol=1e-6)


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('utc,target\n', 'column az_deg is missing'),
        ('utc,target,az_deg,el_deg,seconds,H,V,D,A\n2018-10-03T15:00:00Z,moon,1,2,3,4,5,6,7\n', "row 1: target 'moon'"),
        ('utc,target,az_deg,el_deg,seconds,H,V,D,A\n2018-10-03T15:00:00Z,sky,1,2,x,4,5,6,7\n', "row 1: seconds: 'x'"),
        ('utc,target,az_deg,el_deg,seconds,H,V,D,A\nx,sky,1,2,3,4,5,6,7\n', 'row 1'),
    ],
)
def test_a_bad_file_is_refused_with_its_row(tmp_path, text, said):
    path = tmp_path / 'counts.csv'
    path.write_text(text)
    with pytest.raises(StationError, match=said):
        read_light(path)


def test_the_history_tells_the_change_since_the_last_night(tmp_path):
    assert keep_result(tmp_path, 'Shanghai', NOW_NS, judged(on_stars(0.4))) == ''
    assert keep_result(tmp_path, 'Lijiang', NOW_NS, judged(on_stars(0.4))) == ''
    assert keep_result(tmp_path, 'Shanghai', NOW_NS, noise_map(sky(city), DEAD_NS)) == ''
    told = keep_result(tmp_path, 'Shanghai', NOW_NS + 86_400 * 10**9, judged(on_stars(0.2)))
    assert told.startswith('0.50 times that of 2018-10-03T')
    assert len(load_history(tmp_path).nights) == 4


def test_results_become_json():
    json.dumps([judged(on_stars(0.4)).to_dict(), noise_map(sky(city), DEAD_NS).to_dict()], allow_nan=False)
