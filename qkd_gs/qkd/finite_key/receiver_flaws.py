"""Phase errors that a receiver with flaws may add to the key, and the bits that it gives away.

Derivations: ``doc/security.md``, "The receiver".
"""

from __future__ import annotations

from math import exp, log, sqrt

from qkd_gs.qkd.finite_key.bounds import expectation_bounds
from qkd_gs.qkd.finite_key.counts import Receiver


def raised_phase_error(receiver: Receiver | None, expected: float) -> tuple[float, float]:
    """Factor f and floor g: the phase error of single photons is at most f times their bit error, plus g.

    Holds for light that an eavesdropper may choose pulse by pulse, within the inequality of the detectors.

    Parameters
    ----------
    receiver : Receiver or None
        None: ideal.
    expected : float
        Phase error for which f and g are best; they hold for any.
    """
    if receiver is None:
        return 1.0, 0.0
    m, b = receiver.within_basis, receiver.between_bases
    amplitude = sqrt((1.0 + m) / (1.0 - m))
    tilt = (amplitude - 1.0) / (amplitude + 1.0)
    unequal = (1.0 + b) / (1.0 - b) / (1.0 - m)
    if not tilt:
        return unequal, 0.0
    share = tilt / sqrt(expected)
    return (1.0 + share) * unequal, (1.0 + 1.0 / share) * tilt * tilt / (1.0 - m)


_STEPS: tuple[float, ...] = tuple(8.0 * 2.0 ** (-k / 2.0) for k in range(16))  # 8 to 0.044


def adaptive_expectation(count: int, failure_probability: float) -> float:
    """Upper bound on the sum of the probabilities of events of which `count` were seen, whatever they depend on.

    Whoever chooses each event may know the outcomes before.  For a fixed t the product of exp(-t) for each one seen
    and exp((1 - exp(-t)) q) for each of probability q has a mean of at most 1; all t are paid for.
    """
    exponent = log(len(_STEPS) / failure_probability)
    return min((count * t + exponent) / (1.0 - exp(-t)) for t in _STEPS)


def bits_given_away(receiver: Receiver | None, failure_probability: float, adaptive: bool = False) -> float:
    """Upper bound on the key bits that are given away: several photons at once, unequal dark counts, edges of the gate.

    Two photons click in both bases with probability q at least, more photons no less often.  So at most E / q pulses
    arrive with several, with E the largest expectation of the pulses with clicks in both bases.  `adaptive`: bases were
    announced while light was still to come.
    """
    if receiver is None:
        return 0.0
    m, b = receiver.within_basis, receiver.between_bases
    least = (1.0 - m) * (1.0 - b) / ((1.0 + m) * (1.0 + b))  # smallest efficiency over the largest
    if adaptive:
        clicks = adaptive_expectation(receiver.cross_clicks, failure_probability)
    else:
        clicks = expectation_bounds(receiver.cross_clicks, failure_probability).upper
    several = clicks / (least * least / 2.0)
    return several + receiver.excess_dark_bits + receiver.edge_bits
