"""The slope of what a process uses: found where it is, with an error that covers it."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.bench.endurance.figure import draw, memory_figure
from qkd_gs.bench.endurance.program import Samples
from qkd_gs.bench.endurance.trend import Trend
from qkd_gs.cli import main
from qkd_gs.errors import StationError


def trend_of(values, hours=2.0):
    trend = Trend()
    for hour, value in zip(np.linspace(0.0, hours, len(values)), values, strict=True):
        trend.add(float(hour), float(value))
    return trend


@given(st.floats(-50, 50), st.floats(0, 1000), st.integers(24, 800))
def test_a_straight_line_is_found(slope, start, count):
    found, error = trend_of(start + slope * np.linspace(0.0, 2.0, count)).slope()
    assert found == pytest.approx(slope, abs=1e-6 + 1e-3 * abs(slope))
    assert error < 1e-6 + 0.01 * abs(slope)


def test_the_error_covers_noise_that_lasts():
    """Memory that goes up and down by the minute, without a trend, in 200 draws: four of five within 1.5 errors."""
    rng = np.random.default_rng(3)
    within = 0
    for _ in range(200):
        noise = np.convolve(rng.normal(size=720 + 30), np.ones(30) / 30, 'valid')[:720]
        slope, error = trend_of(100 + noise).slope()
        within += abs(slope) < 1.5 * error
    assert within > 150


def test_too_few_samples_give_no_slope():
    assert np.isnan(trend_of([1.0, 2.0, 3.0]).slope()).all()


def test_samples_are_of_this_process_and_begin_after_the_warm_up():
    samples = Samples(lambda: {'me': os.getpid()}, began_s=0.0)
    samples.look(599.0)
    assert samples.figures() == {}
    with open(os.devnull, 'rb'):
        for now_s in range(600, 900, 5):
            samples.look(float(now_s))
    (found,) = samples.figures().values()
    assert found['files'][0] == found['files'][1] <= found['files'][2]
    assert found['memory_mb'][0] > 1
    assert found['threads'][0] >= 1


def test_the_figure_has_a_panel_for_each_node_with_its_slope(tmp_path):
    samples = Samples(lambda: {'me': os.getpid()}, began_s=0.0)
    for now_s in range(600, 900, 10):
        samples.look(float(now_s))
    nodes = {**samples.figures(), 'young': {'memory_mb_per_hour': [float('nan')] * 2, 'memory_mb_by_minute': []}}
    assert [round(60 * hour, 1) for hour, _ in nodes['me']['memory_mb_by_minute']] == [10.5, 11.5, 12.5, 13.5, 14.5]
    figures = {'nodes': nodes, 'done': [(0.0, 0.1, 'pass'), (0.15, 0.2, 'calibration')]}
    titles = [axes.get_title(loc='left') for axes in memory_figure(figures).axes]
    assert titles == ['me', 'young', '']
    draw(figures, tmp_path / 'memory.svg')
    assert (tmp_path / 'memory.svg').read_text().startswith('<?xml')
    with pytest.raises(StationError, match=r'memory\.nothing'):
        draw(figures, tmp_path / 'memory.nothing')


@pytest.mark.parametrize('options', [['--hours', '1'], ['--lockstep'], ['--figure', 'memory.png']])
def test_only_endurance_takes_a_time(capsys, options):
    assert main(['bench', 'machine', *options]) == 2
    assert options[0] in capsys.readouterr().err
