"""`qkd-gs fit-pointing`: the promised JSON, and complaints that name file and line."""

import json
from math import pi, radians

import numpy as np
import pytest

from qkd_gs.cli import main
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import StoredPointing

HEADER = 'az_deg,el_deg,enc_az_deg,enc_el_deg'


def write(path, lines):
    path.write_text('\n'.join(lines) + '\n')
    return str(path)


def measured(n=25):
    rng = np.random.default_rng(2)
    az, el = rng.uniform(0, 2 * pi, n), rng.uniform(radians(20), radians(80), n)
    enc_az, enc_el = MountModel(IA=radians(-170), IE=0.1, AN=0.005, CA=4e-4).encoder(az, el)
    table = np.degrees(np.array([az, el, enc_az, enc_el]).T + rng.normal(0, 1e-5, (n, 4)))
    return [HEADER] + [','.join(f'{value:.7f}' for value in row) for row in table]


def test_json_as_promised(tmp_path, capsys):
    lines = measured()
    lines[8] = '100.0,45.0,20.0,10.0'
    assert main(['fit-pointing', write(tmp_path / 'stars.csv', lines), '--json']) == 0
    document = json.loads(capsys.readouterr().out)
    assert document['terms']['CA']['value_urad'] == pytest.approx(400, abs=180)
    assert 0 < document['terms']['CA']['sigma_urad'] < 60
    assert document['terms']['IA']['value_urad'] == pytest.approx(radians(-170) * 1e6, abs=120)
    assert 5 < document['rms_urad'] < document['heldout_rms_urad'] < 40
    assert [star['label'] for star in document['rejected']] == ['line 9']
    assert document['stars'] == {'given': 25, 'used': 24}


def test_table_for_people(tmp_path, capsys):
    assert main(['fit-pointing', write(tmp_path / 'stars.csv', measured())]) == 0
    assert 'azimuth axis leans towards north' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('lines', 'complaint'),
    [
        ([], 'has no header'),
        ([HEADER], 'has no observations'),
        (['az_deg,el_deg,enc_az_deg'], 'stars.csv:1: column enc_el_deg is missing'),
        ([HEADER, '1,2,3,4', '1,2,3'], 'stars.csv:3: 3 values where the header has 4'),
        ([HEADER, '1,x,3,4'], "stars.csv:2: el_deg: 'x' is not a number"),
        ([HEADER, '1,nan,3,4'], 'stars.csv:2: el_deg: nan is outside'),
        ([HEADER, '', '# comment', '1,91,3,4'], 'stars.csv:4: el_deg: 91 is outside'),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path, capsys, lines, complaint):
    assert main(['fit-pointing', write(tmp_path / 'stars.csv', lines), '--json']) == 2
    streams = capsys.readouterr()
    assert complaint in streams.err
    assert streams.out == ''


def test_no_such_file_and_no_such_term(tmp_path, capsys):
    assert main(['fit-pointing', str(tmp_path / 'none.csv')]) == 2
    assert main(['fit-pointing', write(tmp_path / 'stars.csv', measured()), '--terms', 'XX']) == 2
    assert 'unknown term' in capsys.readouterr().err


def test_stars_that_cannot_tell_the_terms(tmp_path, capsys):
    assert main(['fit-pointing', write(tmp_path / 'stars.csv', measured(2)), '--terms', 'AN,AW,CA']) == 2
    assert 'stars.csv: 2 stars give 4 measurements for 5 terms' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('raised_rad', 'verdict', 'sentence'),
    [(0.0, 'good', 'it still holds'), (1e-3, 'zeros_moved', 'the zero points have moved')],
)
def test_an_earlier_calibration_is_judged(tmp_path, capsys, raised_rad, verdict, sentence):
    """By the stars that the fit keeps; the drift is that of the model, over the sky."""
    earlier = MountModel(IA=radians(-170), IE=0.1 + raised_rad, AN=0.005, CA=4e-4)
    StoredPointing.of(earlier, (640.0, 512.0), '20 stars', '2018-10-03T14:00:00Z').save(tmp_path)
    stars = write(tmp_path / 'stars.csv', measured())
    command = ['fit-pointing', stars, '--terms', 'AN,AW,CA', '--against', str(tmp_path)]
    assert main([*command, '--json']) == 0
    judged = json.loads(capsys.readouterr().out)['check']
    assert judged['verdict'] == verdict
    assert judged['drift_urad'] == pytest.approx(raised_rad * 1e6, abs=40)
    assert main(command) == 0
    assert sentence in capsys.readouterr().out
    assert main(['fit-pointing', stars, '--against', str(tmp_path / 'nowhere')]) == 2
    assert 'the pointing is not calibrated' in capsys.readouterr().err
