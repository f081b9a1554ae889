"""Pulse numbers at rates whose period is no whole number of picoseconds, over an hour, beside fractions."""

from fractions import Fraction

import numpy as np
import pytest

from qkd_gs.timing.clicks import ClickFilter
from qkd_gs.timing.gate import Gate, find_gate, gate_events
from qkd_gs.timing.profile import fold_clicks
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.slots import Slots
from qkd_gs.timing.spline import TimeMap
from qkd_gs.timing.tags import TagBlock

HOUR_PS, GRID_PS = 3600 * 10**12, 50 * 10**9
AWAY_PS = 86_000 * 10**12  # the satellite's clock read 0 a day before


@pytest.mark.parametrize(('rate_hz', 'gate_ps'), [(7.6e7, 2000), (1e8, 2000), (6.25e8, 400), (1e9, 200), (7.6e6, 2000)])
def test_every_pulse_of_an_hour_has_its_number(rate_hz, gate_ps):
    period, exact = PulsePeriod(rate_hz), 10**12 / Fraction(rate_hz)
    grid = np.full(HOUR_PS // GRID_PS + 2, AWAY_PS, np.int64)
    clock = TimeMap.through(0, GRID_PS, grid, np.zeros(len(grid)))
    slots = Slots(clock, np.zeros(7, np.int64), np.array([[0, HOUR_PS]], np.int64), period)
    rng = np.random.default_rng(round(rate_hz))
    first = int(AWAY_PS / exact) + 10
    pulse = first + np.sort(rng.choice(round(3599 * rate_hz), 20_000, replace=False))
    sent_ps = np.array([round(int(n) * exact) for n in pulse], np.int64) - AWAY_PS
    channel = rng.integers(1, 5, len(pulse)).astype(np.uint8)
    jitter_ps = np.rint(rng.standard_normal(len(pulse)) * gate_ps / 8).astype(np.int64)
    gate = find_gate(fold_clicks([TagBlock(sent_ps + jitter_ps, channel)], slots, gate_ps), 100, gate_ps)
    assert abs(gate.offset_ps) < 5
    hold_off = ClickFilter(first, int(pulse[-1]), round(rate_hz), dead_slots=1, hold_off_slots=1)
    exactly = Gate(0, 2, 0.0)  # a gate that shows each picosecond
    found = [part.pulse for part in gate_events([TagBlock(sent_ps, channel)], slots, exactly, hold_off)]
    held = np.concatenate([[True], np.diff(pulse) == 1])  # the first click of a span, and a neighbour
    np.testing.assert_array_equal(np.concatenate(found), pulse[~held])
