"""Files of measured stars: separators, decimal commas, and encoders that count the wrong way."""

import numpy as np
import pytest

from qkd_gs.calibration.fit import fit_mount
from qkd_gs.calibration.observations import Observations, load_observations
from qkd_gs.errors import StationError
from qkd_gs.pointing.mount_model import MountModel

TRUTH = MountModel(IA=0.7, IE=-0.1, AN=2e-3, AW=-1e-3)


def measured(count=20):
    rng = np.random.default_rng(5)
    az, el = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.3, 1.4, count)
    enc_az, enc_el = TRUTH.encoder(az, el)
    return az, el, enc_az, enc_el


def table(separator, decimal, columns):
    rows = ['az_deg el_deg enc_az_deg enc_el_deg'.replace(' ', separator)]
    rows += [separator.join(f'{value:.7f}'.replace('.', decimal) for value in row) for row in np.degrees(columns).T]
    return '\n'.join(rows)


@pytest.mark.parametrize(('separator', 'decimal'), [(',', '.'), (';', ','), (';', '.'), ('\t', ','), ('\t', '.')])
def test_separators_and_decimal_commas(tmp_path, separator, decimal):
    path = tmp_path / 'stars.csv'
    path.write_text(table(separator, decimal, measured()))
    seen = load_observations(path)
    assert np.column_stack((seen.az_rad, seen.enc_el_rad)) == pytest.approx(np.column_stack(measured()[::3]), abs=1e-8)


def test_a_number_with_both_marks_is_refused(tmp_path):
    path = tmp_path / 'stars.csv'
    path.write_text('az_deg;el_deg;enc_az_deg;enc_el_deg\n1.234,5;40,1;3,2;41\n')
    with pytest.raises(StationError, match=r'stars.csv:2: az_deg'):
        load_observations(path)


@pytest.mark.parametrize(('axis', 'column'), [(2, 'enc_az_deg'), (3, 'enc_el_deg')])
def test_an_encoder_that_counts_backwards_is_named(axis, column):
    rows = np.array(measured())
    rows[axis] = 0.3 - rows[axis]
    seen = Observations.from_rows([tuple(row) for row in rows.T], [str(k) for k in range(rows.shape[1])])
    with pytest.raises(StationError, match=f'{column} counts backwards'):
        fit_mount(seen)


@pytest.mark.parametrize('spread_rad', [0.01, 0.3, 6.28])
@pytest.mark.parametrize('zero_rad', [0.0, 2.0, -3.1])
def test_encoders_that_count_forwards_pass(spread_rad, zero_rad):
    az, el, enc_az, enc_el = measured()
    near = (az / (2 * np.pi) * spread_rad, el)
    enc_az, enc_el = MountModel(IA=zero_rad, IE=0.2).encoder(*near)
    rows = np.column_stack((*near, enc_az, enc_el))
    fit_mount(Observations.from_rows([tuple(row) for row in rows], [str(k) for k in range(len(rows))]), ['IA', 'IE'])
