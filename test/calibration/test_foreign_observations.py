"""Observations of other programs, the choice of terms, the quick check, and the model against katpoint's."""

from __future__ import annotations

import json
from math import atan2, cos, radians, sin

import numpy as np
import pytest
from katpoint import PointingModel

from qkd_gs.calibration.check import Verdict, check, drift_rad
from qkd_gs.calibration.choice import fit_by_held_out
from qkd_gs.calibration.fit import fit_mount
from qkd_gs.calibration.foreign_observations import azel_of, load_any
from qkd_gs.calibration.observations import Observations
from qkd_gs.errors import StationError
from qkd_gs.pointing.mount_model import MountModel

LATITUDE_DEG = 31.13
TRUTH = MountModel(IA=0.02, IE=-0.01, AN=2e-3, AW=-1e-3, CA=3e-4)


def measured(count=20, model=TRUTH, noise_rad=0.0, seed=5):
    rng = np.random.default_rng(seed)
    az, el = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.4, 1.3, count)
    enc_az, enc_el = model.encoder(az, el)
    enc_az = enc_az + rng.normal(0, noise_rad, count) / np.cos(el)
    rows = list(zip(az, el, enc_az, enc_el + rng.normal(0, noise_rad, count), strict=True))
    return Observations.from_rows(rows, [f'star {i}' for i in range(count)])


def equatorial(az, el):
    """Hour angle and declination of a direction, rad: the reverse of `azel_of`, by the same triangle."""
    lat = radians(LATITUDE_DEG)
    dec = np.arcsin(sin(el) * sin(lat) + cos(el) * cos(lat) * cos(az))
    return atan2(-sin(az) * cos(el), sin(el) * cos(lat) - cos(el) * sin(lat) * cos(az)), float(dec)


def sexagesimal(value, places=5):
    sign, value = ('-' if value < 0 else ''), abs(value)
    whole, rest = divmod(value, 1)
    minutes, seconds = divmod(rest * 60, 1)
    return f'{sign}{int(whole)} {int(minutes)} {seconds * 60:.{places}f}'


def tpoint(rows, options=(':ALTAZ', ':NODA')):
    return '\n'.join(['Observatory of a test', *options, '31 07 48 2018 10 03', *rows, 'END', ''])


def as_the_truth(seen):
    for name, term in fit_mount(seen, ['AN', 'AW', 'CA']).model.to_dict().items():
        assert term == pytest.approx(TRUTH[name] * 1e6, abs=1.0)


def test_hour_angle_to_azimuth():
    assert azel_of(0.0, 0.0, radians(LATITUDE_DEG)) == pytest.approx((np.pi, radians(90 - LATITUDE_DEG)))
    assert azel_of(-np.pi / 2, 0.0, radians(LATITUDE_DEG)) == pytest.approx((np.pi / 2, 0.0), abs=1e-12)


def test_tpoint_in_degrees(tmp_path):
    seen = measured()
    table = np.degrees([seen.az_rad, seen.el_rad, seen.enc_az_rad, seen.enc_el_rad]).T
    path = tmp_path / 'run.dat'
    path.write_text(tpoint([' '.join(f'{value:.7f}' for value in row) + ' ! a star' for row in table]))
    as_the_truth(load_any(path))


def test_tpoint_with_right_ascensions(tmp_path):
    rows = []
    for az, el, enc_az, enc_el in np.array([(o.az_rad, o.el_rad, o.enc_az_rad, o.enc_el_rad) for o in [measured()]])[
        0
    ].T:
        words = []
        for one_az, one_el in ((az, el), (enc_az, enc_el)):
            hour, dec = equatorial(one_az, one_el)
            words += [sexagesimal((6.5 - np.degrees(hour) / 15) % 24, 7), sexagesimal(np.degrees(dec))]
        rows.append(' '.join(words) + ' 6 30.0')
    path = tmp_path / 'run.dat'
    path.write_text(tpoint(rows))
    as_the_truth(load_any(path))


def test_mountwizzard4(tmp_path):
    seen, points = measured(), []
    for az, el, enc_az, enc_el in zip(seen.az_rad, seen.el_rad, seen.enc_az_rad, seen.enc_el_rad, strict=True):
        point = {'siderealTime': 6.5, 'name': 'm-file', 'success': True}
        for letter, one_az, one_el in (('S', az, el), ('M', enc_az, enc_el)):
            hour, dec = equatorial(one_az, one_el)
            point[f'raJNow{letter}'], point[f'decJNow{letter}'] = 6.5 - np.degrees(hour) / 15, np.degrees(dec)
        points.append(point)
    points.append(points[0] | {'success': False, 'raJNowM': 0.0})
    path = tmp_path / 'night.model'
    path.write_text(json.dumps(points))
    as_the_truth(load_any(path, LATITUDE_DEG))
    with pytest.raises(StationError, match=r'point 1.*the latitude of the site is needed.*--site'):
        load_any(path)


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        (tpoint(['1 2 3 4'], (':EQUAT',)), 'equatorial mount'),
        (tpoint(['1 2 3']), 'run.dat:5: 3 numbers where there should be 4 or 14'),
        (tpoint(['1 2 x 4']), 'run.dat:5: enc_az_deg'),
        (tpoint([]), 'no observations'),
        ('[{"raJNowS": 1}]', 'point 1'),
        ('[1]', 'is not a point of a model'),
        ('[{', 'is not JSON'),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, sentence):
    path = tmp_path / 'run.dat'
    path.write_text(text)
    with pytest.raises(StationError, match=sentence):
        load_any(path, LATITUDE_DEG)


def test_terms_are_chosen_by_the_stars_left_out():
    """Those that the mount has, and hardly any that it has not; the rest says why."""
    fit = fit_by_held_out(measured(30, noise_rad=15e-6))
    assert {'IA', 'IE', 'AN', 'AW', 'CA'} <= set(fit.sigma_rad)
    assert len(fit.sigma_rad) <= 8
    assert fit.heldout_rms_rad < 30e-6
    assert all('2 %' in why or 'cannot' in why for name, why in fit.left_out.items() if name != 'ECEC')
    seen = measured(30, noise_rad=15e-6)
    seen.enc_el_rad[4] += 2e-3  # a wrong star
    assert [star.index for star in fit_by_held_out(seen).rejected] == [4]
    with_flexure = fit_by_held_out(measured(30, TRUTH.replace(TF=2e-4), 15e-6))
    assert with_flexure.model['TF'] == pytest.approx(2e-4, abs=4e-5)


@pytest.mark.parametrize(
    ('now', 'verdict', 'sentence'),
    [
        (TRUTH, Verdict.GOOD, 'it still holds'),
        (TRUTH.replace(IA=TRUTH['IA'] + 1e-3, IE=TRUTH['IE'] - 4e-4), Verdict.ZEROS_MOVED, 'azimuth by 1000'),
        (TRUTH.replace(AN=TRUTH['AN'] + 2e-3), Verdict.NEEDED, 'a new calibration is needed'),
    ],
)
def test_quick_check(now, verdict, sentence):
    seen = measured(3, now, seed=8)
    result = check(TRUTH, seen)
    assert result.verdict is verdict
    assert sentence in result.summary
    assert (result.errors_rad.max() > 60e-6) == (verdict is not Verdict.GOOD)
    if verdict is Verdict.ZEROS_MOVED:
        assert drift_rad(result.model, now) < 30e-6
    with pytest.raises(StationError, match='2 stars are too few'):
        check(TRUTH, measured(2))


def test_drift_is_what_the_line_of_sight_moves_by():
    assert drift_rad(TRUTH, TRUTH) < 1e-9
    assert drift_rad(TRUTH, TRUTH.replace(IE=TRUTH['IE'] + 1e-4)) == pytest.approx(1e-4, rel=0.02)


def test_model_agrees_with_katpoint():
    """For small terms, where the model of radio telescopes, a sum of corrections, is exact."""
    terms = {'IA': 2e-5, 'IE': -3e-5, 'AN': 1e-5, 'AW': 2e-5, 'CA': 1e-5, 'NPAE': -2e-5, 'TF': 3e-5}
    terms |= {'ACES': 1e-5, 'ACEC': -1e-5, 'ECES': 2e-5}
    theirs = [0.0] * 22
    for name, (number, sign) in {
        'IA': (1, 1), 'NPAE': (3, 1), 'CA': (4, -1), 'AN': (5, 1), 'AW': (6, -1), 'IE': (7, 1),
        'TF': (8, 1), 'ECES': (11, 1), 'ACEC': (13, 1), 'ACES': (14, 1),
    }.items():  # fmt: skip
        theirs[number - 1] = sign * terms[name]
    rng = np.random.default_rng(2)
    az, el = rng.uniform(0, 2 * np.pi, 500), rng.uniform(0.1, 1.3, 500)
    their_az, their_el = PointingModel(theirs).apply(az, el)
    our_az, our_el = MountModel(**terms).encoder(az, el)
    assert np.abs(np.angle(np.exp(1j * (our_az - their_az)))).max() < 2e-8
    assert np.abs(our_el - their_el).max() < 2e-8
