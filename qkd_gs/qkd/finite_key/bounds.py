"""Finite statistics: what a count says of its expectation, and one basis of the other.

The bounds are those of Zhang, Zhao, Razavi, Ma, Phys. Rev. A 95, 012333 (2017): Chernoff's inequality, solved
numerically instead of by its closed form, which gives a few per cent more key; and random sampling without
replacement for the phase error (Fung, Ma, Chau, Phys. Rev. A 81, 012318 (2010)).  Each bound fails with its own
probability; who uses how many is booked in `qkd_gs.qkd.key_length`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, expm1, isfinite, log, log1p, log2, pi, sqrt

from qkd_gs.qkd.finite_key.entropy import binary_entropy


@dataclass(frozen=True)
class Interval:
    """Bounds on an expectation; each side fails with the probability that it was made with."""

    lower: float
    upper: float


def deviation_exponent(epsilon: float) -> float:
    """Exponent beta = -ln(eps / 2) of a bound that fails with probability `epsilon` (their Eq. 9).

    Raises
    ------
    ValueError
        If `epsilon` is not between 0 and 1.
    """
    if not 0.0 < epsilon < 1.0:
        raise ValueError(f'a failure probability of {epsilon} is not between 0 and 1')
    return -log(epsilon / 2.0)


def expectation_bounds(count: float, epsilon: float) -> Interval:
    """Bounds on the expectation of a sum of independent 0/1 variables that came out as `count`.

    Both sides solve the same equation, E - count + count ln(count / E) = beta: Chernoff's exponent of their
    Eqs. (10) and (11) written for E = count / (1 + d) and E = count / (1 - d).

    Parameters
    ----------
    count : float
        Observed count, not negative.
    epsilon : float
        Failure probability of each side.

    Raises
    ------
    ValueError
        If the count is negative or the failure probability is none.
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
    """Least count that a sum of independent 0/1 variables of this expectation comes out as, never below 0.

    X (1 - d) with d = (beta + sqrt(beta^2 + 8 beta X)) / (2 X), their Eq. (8).
    """
    if expectation <= 0.0:
        return 0.0
    beta = deviation_exponent(epsilon)
    return max(0.0, expectation - (beta + sqrt(beta * beta + 8.0 * beta * expectation)) / 2.0)


def phase_error_bound(bit_error: float, tested: float, key: float, epsilon: float, strict: bool = True) -> float:
    """Upper bound on the phase error rate of one basis, from the bit error rate of the other.

    Solves sqrt(n / (e (1 - e) n_x n_z)) 2^(-n xi) = eps for theta, with xi = h(e + theta - q theta) - q h(e)
    - (1 - q) h(e + theta), q = n_x / n and n = n_x + n_z.

    This published left side bounds the probability of one outcome; of all outcomes that are as bad or worse it is
    exceeded, by a factor of up to 3 with the numbers of a pass.  `strict` multiplies it by sqrt(2) / pi (the better
    constants of Stirling's formula) and by (e + theta)(1 - e) / theta (the geometric series that the tail of the
    hypergeometric distribution stays below), which makes it a bound on the tail.

    Parameters
    ----------
    bit_error : float
        Upper bound e on the bit error rate of single photons in the tested basis.
    tested, key : float
        Single photons n_x in the tested basis and n_z in the basis of the key.
    epsilon : float
        Failure probability.
    strict : bool
        False: as published, for comparison.

    Returns
    -------
    float
        e + theta, at most 0.5 (which leaves no key).
    """
    deviation_exponent(epsilon)  # refuses what is no probability
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
    """Where a function changes its sign, between a place where it is positive (returned in doubt) and one where not.

    Halving to the last bit takes some sixty calls; a library's cleverer search would take longer to import.
    """
    while True:
        middle = 0.5 * (positive + negative)
        if middle in (positive, negative):
            return positive
        if function(middle) > 0.0:
            positive = middle
        else:
            negative = middle
