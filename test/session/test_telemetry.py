"""telemetry.npz: comes back as it was written, and nothing damaged or telling gets through."""

from dataclasses import fields, replace

import numpy as np
import pytest

from qkd_gs.errors import StationError
from qkd_gs.session.telemetry import FILE_NAME, Telemetry, load_telemetry

SECOND_NS = 1_000_000_000
PASS = Telemetry(
    t_ns=np.arange(5) * 10_000_000,
    az_rad=np.linspace(0, 1, 5),
    error_x_urad=np.array([np.nan, 1, 2, 3, 4]),
    phase=np.array([3, 3, 4, 5, 5]),
    count_t_ns=np.arange(3) * SECOND_NS,
    counts=np.arange(12).reshape(4, 3),
)


def test_it_comes_back_as_it_was(tmp_path):
    PASS.save(tmp_path)
    back = load_telemetry(tmp_path)
    for item in fields(Telemetry):
        np.testing.assert_array_equal(getattr(back, item.name), getattr(PASS, item.name))
        assert getattr(back, item.name).dtype == getattr(PASS, item.name).dtype
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_series_that_were_not_recorded_are_empty(tmp_path):
    np.savez(tmp_path / FILE_NAME, schema_version=1, t_ns=np.arange(3), a_later_series=np.zeros(2))
    back = load_telemetry(tmp_path)
    assert len(back.t_ns) == 3
    assert back.qber.size == back.error_x_urad.size == 0
    assert back.counts.shape == (4, 0)


@pytest.mark.parametrize(
    'spoil',
    [lambda b: b[: len(b) // 2], lambda b: b'', lambda b: b'PK' + b[40:], lambda b: b[:200] + bytes(60) + b[260:]],
)
def test_damage_is_one_clear_sentence(tmp_path, spoil):
    path = PASS.save(tmp_path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(StationError, match=FILE_NAME):
        load_telemetry(tmp_path)


def test_a_pickle_is_never_opened(tmp_path):
    np.savez(tmp_path / FILE_NAME, schema_version=1, t_ns=np.array([{}], dtype=object))
    with pytest.raises(StationError, match='cannot be read'):
        load_telemetry(tmp_path)


def test_another_version_and_no_file_are_said(tmp_path):
    with pytest.raises(StationError, match='no telemetry'):
        load_telemetry(tmp_path)
    np.savez(tmp_path / FILE_NAME, schema_version=99)
    with pytest.raises(StationError, match='version 99'):
        load_telemetry(tmp_path)


@pytest.mark.parametrize(
    ('change', 'complaint'),
    [
        ({'az_rad': np.zeros(4)}, 'az_rad: 4 values do not fit 5'),
        ({'counts': np.zeros((3, 3), int)}, 'counts: shape'),
        ({'t_ns': np.zeros(5, int)}, 't_ns: times do not ascend'),
        ({'phase': np.zeros(5)}, 'phase: float64'),
        ({'el_rad': np.array(['up'] * 5)}, 'el_rad'),
    ],
)
def test_what_does_not_fit_is_refused(change, complaint):
    with pytest.raises(StationError, match=complaint):
        replace(PASS, **change)


def test_bins_short_enough_to_give_key_bits_away_are_refused(tmp_path):
    with pytest.raises(StationError, match='raw key bits'):
        replace(PASS, count_t_ns=np.arange(3) * SECOND_NS // 10)
    with pytest.raises(StationError, match='raw key bits'):
        Telemetry(qber_t_ns=np.arange(3) * SECOND_NS, qber=np.zeros(3))
    np.savez(tmp_path / FILE_NAME, schema_version=1, count_t_ns=np.arange(3), counts=np.zeros((4, 3), int))
    with pytest.raises(StationError, match=f'{FILE_NAME}:count_t_ns'):
        load_telemetry(tmp_path)
