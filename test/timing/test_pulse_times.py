"""Times in blocks against the same times in one array."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.timing.clocks.pulse_number import nearest, residuals_ns
from qkd_gs.timing.pulse_times import PulseTimes

TIMES = st.lists(st.integers(1, 1000), max_size=60).map(lambda gaps: np.cumsum(gaps, dtype=np.int64))
SIZES = st.integers(1, 20)


@given(times=TIMES, size=SIZES, start=st.integers(0, 70), stop=st.integers(0, 70))
def test_slices_are_those_of_the_array(times, size, start, stop):
    blocks = PulseTimes.of(times, size)
    assert len(blocks) == len(times)
    np.testing.assert_array_equal(blocks[start:stop], times[start:stop])
    np.testing.assert_array_equal(blocks[:], times)


@given(times=TIMES.filter(len), size=SIZES, first=st.integers(-100, 60_100), span=st.integers(0, 9000), more=SIZES)
def test_slices_around_an_interval(times, size, first, span, more):
    inside = np.searchsorted(times, [first, first + span])
    expected = times[max(inside[0] - more, 0) : inside[1] + more]
    np.testing.assert_array_equal(PulseTimes.of(times, size).around(first, first + span, more), expected)


@given(times=TIMES.filter(lambda t: len(t) > 1), size=SIZES, shift=st.integers(-30, 30), data=st.data())
def test_residuals_block_by_block_are_those_of_the_whole_log(times, size, shift, data):
    expected = np.sort(np.array(data.draw(st.lists(st.integers(-500, 61_000), max_size=40)), np.int64))
    whole = (times[nearest(expected, times, shift)] - expected) * 1e-3
    np.testing.assert_array_equal(residuals_ns(expected, PulseTimes.of(times, size), shift), whole)


@pytest.mark.parametrize('shift', [0, 3])
def test_each_block_is_made_once_for_a_walk_through_all(shift):
    times, made = np.arange(1000) * 100, []

    def block(number):
        made.append(number)
        return times[number * 10 : number * 10 + 10]

    residuals_ns(times[::7], PulseTimes(10, times[::10].tolist(), 1000, block), shift)
    assert made == list(range(100))
