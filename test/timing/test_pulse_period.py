"""Pulse numbers and times at any rate: exact over a day, beside fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.timing.pulse_period import PulsePeriod

DAY_PS = 86_400 * 10**12
RATES = [1e6, 7.6e7, 1e8, 6.25e8, 1e9, 75_999_999.0, 81_234_567.89, 1.25e9]


@pytest.mark.parametrize('rate_hz', RATES)
@given(data=st.data())
def test_numbers_and_times_over_a_day(rate_hz, data):
    period, exact = PulsePeriod(rate_hz), 10**12 / Fraction(rate_hz)
    times = data.draw(st.lists(st.integers(0, DAY_PS), min_size=1, max_size=20))
    numbers = np.array([int(time / exact) for time in times])
    sent_ps = period.time_ps(numbers)
    assert all(abs(int(sent) - int(n) * exact) < Fraction(51, 100) for sent, n in zip(sent_ps, numbers, strict=True))
    found = period.before(np.array(times))
    for time, number in zip(times, found.tolist(), strict=True):
        assert number * exact - Fraction(1, 100) <= time < (number + 1) * exact + Fraction(1, 100)


def test_whole_picoseconds_are_divided_as_integers():
    period = PulsePeriod(1e8)
    times = np.array([0, 1, 9_999, 10_000, DAY_PS - 1, DAY_PS, -1, -10_000])
    assert (period.whole_ps, period.rest_ps) == (10_000, 0.0)
    np.testing.assert_array_equal(period.before(times), times // 10_000)
    np.testing.assert_array_equal(period.time_ps(period.before(times)), times // 10_000 * 10_000)
    assert period.pulses_in(500_000) == 50
    assert PulsePeriod(7.6e7).pulses_in(500_000) == 38
