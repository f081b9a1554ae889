"""Bounds: against the probabilities they promise, closed forms and limits."""

from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from qkd_gs.qkd.finite_key.bounds import expectation_bounds, outcome_lower_bound, phase_error_bound
from qkd_gs.qkd.finite_key.entropy import binary_entropy

epsilons = st.floats(1e-20, 0.4)


@given(count=st.integers(0, 10**12), epsilon=epsilons)
def test_bounds_solve_the_equations_they_are_defined_by(count, epsilon):
    beta = -log(epsilon / 2)
    found = expectation_bounds(count, epsilon)
    assert 0 <= found.lower <= count <= found.upper
    if count == 0:
        assert found.upper == pytest.approx(beta)
        return
    d = count / found.lower - 1
    assert count / (1 + d) * (d - (1 + d) * log(1 + d)) == pytest.approx(-beta, rel=1e-3, abs=1e-6 * beta)
    d = 1 - count / found.upper
    assert count / (1 - d) * (-d - (1 - d) * log(1 - d)) == pytest.approx(-beta, rel=1e-3, abs=1e-6 * beta)


@given(count=st.integers(0, 10**9), epsilon=epsilons)
def test_a_smaller_failure_probability_widens_the_interval(count, epsilon):
    narrow, wide = expectation_bounds(count, epsilon), expectation_bounds(count, epsilon / 10)
    assert wide.lower <= narrow.lower <= narrow.upper <= wide.upper


@given(count=st.integers(600, 10**9), epsilon=st.floats(1e-12, 0.01))
def test_the_closed_form_is_a_little_more_careful(count, epsilon):
    beta = -log(epsilon / 2)
    if count < 6 * beta:
        return
    d = (3 * beta + (8 * beta * count + beta**2) ** 0.5) / (2 * (count - beta))
    found = expectation_bounds(count, epsilon)
    # the published closed form encloses the exact solution
    assert count / (1 + d) <= found.lower * (1 + 1e-9)
    assert found.upper <= count / (1 - d) * (1 + 1e-9)


@pytest.mark.parametrize('expectation', [0.5, 4.0, 60.0, 4000.0])
@pytest.mark.parametrize('epsilon', [0.05, 1e-3, 1e-9])
def test_bounds_fail_no_more_often_than_they_say(expectation, epsilon):
    """Exact tail of the Poisson distribution, to which the counts of a pass are close."""
    counts = np.arange(int(stats.poisson.isf(1e-15, expectation)) + 2)
    probability = stats.poisson.pmf(counts, expectation)
    intervals = [expectation_bounds(int(count), epsilon) for count in counts]
    assert sum(p for p, i in zip(probability, intervals, strict=True) if i.lower > expectation) <= epsilon
    assert sum(p for p, i in zip(probability, intervals, strict=True) if i.upper < expectation) <= epsilon


@pytest.mark.parametrize('expectation', [3.0, 50.0, 2e4])
@pytest.mark.parametrize('epsilon', [0.05, 1e-6])
def test_an_outcome_falls_below_its_bound_no_more_often_than_it_says(expectation, epsilon):
    bound = outcome_lower_bound(expectation, epsilon)
    assert stats.poisson.cdf(np.ceil(bound) - 1, expectation) <= epsilon


@settings(max_examples=40)
@given(error=st.floats(1e-4, 0.2), tested=st.integers(10**3, 10**7), key=st.integers(10**3, 10**7))
def test_phase_error_lies_above_the_bit_error_and_solves_its_equation(error, tested, key):
    epsilon = 1e-10
    bound = phase_error_bound(error, tested, key, epsilon, strict=False)
    assert max(error, 1 / tested) <= bound <= 0.5
    if bound < 0.5 and error >= 1 / tested:
        n, q = tested + key, tested / (tested + key)
        theta = bound - error
        xi = binary_entropy(error + theta - q * theta) - q * binary_entropy(error) - (1 - q) * binary_entropy(bound)
        # in the exponent: the equation spans hundreds of decades
        left = 0.5 * np.log2(n / (error * (1 - error) * tested * key)) - n * xi
        assert left == pytest.approx(np.log2(epsilon), rel=1e-3)


@pytest.mark.parametrize(
    ('tested', 'key', 'errors'),
    [(4000, 6000, 300), (64_000, 64_000, 4000), (64_000, 64_000, 400), (20_000, 80_000, 3000), (80_000, 20_000, 3000)],
)
@pytest.mark.parametrize('epsilon', [0.02, 1e-5, 1e-11])
def test_phase_error_bound_fails_no_more_often_than_it_says(tested, key, errors, epsilon):
    """Errors lie at random in two bases: exact tail of the hypergeometric distribution."""
    few, mean = 0, errors * tested // (tested + key)
    while few < mean:  # most errors among the tested at which the other basis exceeds the bound
        middle = (few + mean + 1) // 2
        exceeded = (errors - middle) / key > phase_error_bound(middle / tested, tested, key, epsilon)
        few, mean = (middle, mean) if exceeded else (few, middle - 1)
    assert stats.hypergeom.cdf(few, tested + key, errors, tested) <= epsilon


@settings(max_examples=40)
@given(error=st.floats(1e-4, 0.2), tested=st.integers(10**3, 10**7), key=st.integers(10**3, 10**7))
def test_the_strict_phase_error_bound_is_near_the_published_one(error, tested, key):
    strict = phase_error_bound(error, tested, key, 1e-10)
    published = phase_error_bound(error, tested, key, 1e-10, strict=False)
    assert abs(strict - published) <= 0.25 * (published - error) + 1e-9


@pytest.mark.parametrize(('error', 'tested', 'key'), [(0.5, 1e4, 1e4), (0.1, 0, 1e4), (0.1, 1e4, 0), (0.4, 10, 10)])
def test_without_data_nothing_is_known_of_the_phase(error, tested, key):
    assert phase_error_bound(error, tested, key, 1e-10) == 0.5


def test_large_samples_leave_the_bit_error():
    assert phase_error_bound(0.03, 1e12, 1e12, 1e-10) == pytest.approx(0.03, abs=1e-5)


@pytest.mark.parametrize('epsilon', [0.0, 1.0, -1.0, float('nan')])
def test_what_is_no_probability_is_refused(epsilon):
    with pytest.raises(ValueError, match='probability'):
        expectation_bounds(10, epsilon)
    with pytest.raises(ValueError, match='probability'):
        phase_error_bound(0.01, 1e4, 1e4, epsilon)


def test_entropy():
    assert binary_entropy(0.5) == 1.0
    assert binary_entropy(0.0) == binary_entropy(1.0) == 0.0
    assert binary_entropy(0.11) == pytest.approx(stats.entropy([0.11, 0.89], base=2))
    assert binary_entropy(1e-300) == pytest.approx(1e-300 * (300 * log(10) + 1) / log(2))
    with pytest.raises(ValueError, match='probability'):
        binary_entropy(-exp(-30))
