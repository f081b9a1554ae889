"""The benchmark of passes through the zenith: its seeds and its summary."""

import pytest

from qkd_gs.bench.seeds import seed_numbers
from qkd_gs.bench.zenith import summary
from qkd_gs.errors import StationError

NAMES = ('hwp_error_deg', 'rms_x_urad', 'rms_y_urad', 'lost_s', 'relock_s', 'after_gap_urad')


def test_seeds_are_numbers_and_ranges():
    assert seed_numbers('7') == [7]
    assert seed_numbers('3-5,9') == [3, 4, 5, 9]
    for text in ('', 'a', '5-3', '1-b', '1.5'):
        with pytest.raises(StationError, match='seed'):
            seed_numbers(text)


def test_the_summary_has_median_and_worst_of_each_culmination_and_mount():
    rows = [
        {'culmination_deg': culmination, 'azimuth_deg_s': rate, **dict.fromkeys(NAMES, seed + rate / 100)}
        for seed in (1, 2, 6)
        for culmination in (88.0, 89.9)
        for rate in (30.0, 15.0)
    ]
    figures = summary(rows)
    assert len(figures) == 2 * 2 * 2 * len(NAMES)
    assert figures['89.9_deg.15_deg_s.lost_s.median'] == 2.15
    assert figures['88_deg.30_deg_s.hwp_error_deg.worst'] == 6.3
