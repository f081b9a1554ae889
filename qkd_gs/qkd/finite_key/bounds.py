"""Finite statistics: bounds on the expectation of a count, and on the phase error of one basis from the other.

The bounds are those of Zhang, Zhao, Razavi, Ma, Phys. Rev. A 95, 012333 (2017): Chernoff's inequality, solved
numerically instead of by its closed form, which gives a few per cent more key; and random sampling without
replacement for the phase error (Fung, Ma, Chau, Phys. Rev. A 81, 012318 (2010)).  Each bound has its own failure
probability; `qkd_gs.qkd.finite_key.key_length` adds them up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, expm1, isfinite, log, log1p, log2, pi, sqrt

from qkd_gs.qkd.finite_key.entropy import binary_entropy


@dataclass(frozen=True)
class Interval:
    """Bounds on an expectation; each side has the failure probability given to the function that computed it."""

    lower: float
    upper: float


def deviation_exponent(epsilon: float) -> float:
    """Exponent beta = -ln(eps / 2) of a bound with failure probability `epsilon` (Eq. 9 of Zhang et al.).

    Raises
    ------
    ValueError
        `epsilon` is not between 0 and 1.
    """
    if not 0.0 < epsilon < 1.0:
        raise ValueError(f'a failure probability of {epsilon} is not between 0 and 1')
    return -log(epsilon / 2.0)


def expectation_bounds(count: float, epsilon: float) -> Interval:
    """Bounds on the expectation of a sum of independent 0/1 variables with the observed value `count`.

    Both sides solve the same equation, E - count + count ln(count / E) = beta: the Chernoff exponent of Eqs. (10) and
    (11) of Zhang et al., written for E = count / (1 + d) and E = count / (1 - d).

    Parameters
    ----------
    count : float
        Observed count, not negative.
    epsilon : float
        Failure probability of each side.

    Raises
    ------
    ValueError
        The count is negative, or `epsilon` is not between 0 and 1.
    """
    if not (isfinite(count) and count >= 0.0):
        raise ValueError(f'{count} is not a count')
    beta = deviation_exponent(epsilon)
    if count == 0.0:
        return Interval(0.0, beta)
    ratio = beta / count

    def excess(u: float) -> float:  # u = ln(E / count)
        return expm1(u) - u - ratio

    # outside these brackets the excess is positive: u - ln(1 + u) >= u^2 / (2 (1 + u)), and exp(u) > 0
    lowest, highest = -1.0 - ratio, log1p(ratio + sqrt(ratio * (ratio + 2.0)))
    lower = _root(excess, lowest, 0.0)
    upper = _root(excess, highest * (1.0 + 1e-9), 0.0)
    return Interval(count * exp(lower), count * exp(upper))


def outcome_lower_bound(expectation: float, epsilon: float) -> float:
    """Lower bound, at least 0, on the value of a sum of independent 0/1 variables with this expectation.

    X (1 - d) with d = (beta + sqrt(beta^2 + 8 beta X)) / (2 X), Eq. (8) of Zhang et al.
    """
    if expectation <= 0.0:
        return 0.0
    beta = deviation_exponent(epsilon)
    return max(0.0, expectation - (beta + sqrt(beta * beta + 8.0 * beta * expectation)) / 2.0)


def phase_error_bound(bit_error: float, tested: float, key: float, epsilon: float, strict: bool = True) -> float:
    """Upper bound on the phase error rate of one basis, from the bit error rate of the other.

    Solves sqrt(n / (e (1 - e) n_x n_z)) 2^(-n xi) = eps for theta, with xi = h(e + theta - q theta) - q h(e)
    - (1 - q) h(e + theta), q = n_x / n and n = n_x + n_z.

    The published left side bounds the probability of one outcome.  The probability of all outcomes that are as bad or
    worse is larger, by a factor of up to 3 with the numbers of a pass.  `strict` multiplies the left side by
    sqrt(2) / pi (tighter constants of Stirling's formula) and by (e + theta)(1 - e) / theta (a geometric series that
    bounds the tail of the hypergeometric distribution), which makes it a bound on the tail.

    Parameters
    ----------
    bit_error : float
        Upper bound e on the bit error rate of single photons in the tested basis.
    tested, key : float
        Single photons n_x in the tested basis and n_z in the basis of the key.
    epsilon : float
        Failure probability.
    strict : bool
        False: the published formula, for comparison.

    Returns
    -------
    float
        e + theta, at most 0.5 (no key).
    """
    deviation_exponent(epsilon)  # refuses an invalid probability
    if tested < 1.0 or key < 1.0:
        return 0.5
    # the formula has no limit at e = 0; less than one error among the tested photons is no better than one
    error = max(bit_error, 1.0 / tested)
    if error >= 0.5:
        return 0.5
    total = tested + key
    q = tested / total
    prefactor = 0.5 * log2(total / (error * (1.0 - error) * tested * key)) - log2(epsilon)
    entropy = binary_entropy(error)

    def log_excess(theta: float) -> float:  # log2 of failure probability over epsilon, falling with theta
        xi = binary_entropy(error + (1.0 - q) * theta) - q * entropy - (1.0 - q) * binary_entropy(error + theta)
        tail = log2(sqrt(2.0) / pi * (error + theta) * (1.0 - error) / theta) if strict else 0.0
        return prefactor + tail - total * xi

    least, widest = 1e-15, 0.5 - error
    if widest <= least or log_excess(widest) >= 0.0:
        return 0.5
    if log_excess(least) <= 0.0:
        return error + least
    return error + _root(log_excess, least, widest)


def _root(function: Callable[[float], float], positive: float, negative: float) -> float:
    """Root of a function by bisection, between a point where it is positive (the side returned) and one where not.

    Bisection to the last bit takes about sixty calls; importing a faster root finder would take longer.
    """
    while True:
        middle = 0.5 * (positive + negative)
        if middle in (positive, negative):
            return positive
        if function(middle) > 0.0:
            positive = middle
        else:
            negative = middle
