"""Epsilon budget: how the failure probability of a key is divided, and how each part enters it.

``doc/security.md`` states the theorems.  A failure of a bound on counts that were really measured adds its probability
to the distance from an ideal key.  A failure of a bound on phase errors, which nobody measures, enters by smoothing: an
event of probability p adds 2 sqrt(p).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.decoy import BOUNDS
from qkd_gs.qkd.finite_key.separate_bounds import PHASE_ERROR

Analysis = Literal['joint', 'sampling', 'rooted', 'additive']
JOINT = 'single_photons_and_phase_errors'
SEVERAL = 'several_photons_at_the_receiver'
_AMPLIFICATION_PART = 0.05  # of the secrecy, where amplification has a share of its own
_RECEIVER_PART = 0.01
_COUNTED = len(BOUNDS)  # bounds on counts in a basis
_EVENTS_OF_A_BASIS = len(BOUNDS) + 4 + 1  # four of the own basis, all of the other, and the phase error


@dataclass(frozen=True)
class Overhead:
    """Bits and failure probability that verification hashes and authentication tags cost.

    Attributes
    ----------
    verification_bits : int
        Length of the disclosed hash that compares the corrected keys.
    verification_epsilon : float
        Probability that different keys have the same hash.
    authentication_bits : int
        Pre-shared key consumed by the tags, to be replaced from the new key.
    authentication_epsilon : float
        Probability that any tag of the pass is forged.
    """

    verification_bits: int = 0
    verification_epsilon: float = 0.0
    authentication_bits: int = 0
    authentication_epsilon: float = 0.0


@dataclass(frozen=True)
class Shares:
    """Failure probabilities of the parts of an analysis.

    Attributes
    ----------
    count : float
        Probability of failure of each bound on a count; 0 where there is none.
    phase : float
        Of each bound on phase errors.
    amplification : float or None
        Distance that privacy amplification adds for each hashed part; None: not counted.
    parts : int
        Parts of the key that are hashed by themselves.
    secrecy : dict
        Contribution of each line to the secrecy parameter.
    """

    count: float
    phase: float
    amplification: float | None
    parts: int
    secrecy: dict[str, float]


def shares_per_bound(per_bound: float, pooled: bool) -> Shares:
    """Shares where only the failure probability of a bound is stated, as in publications; not composable."""
    if not 0.0 < per_bound < 0.5:
        raise StationError(f'{per_bound} is not a failure probability', where='epsilon_per_bound')
    return Shares(per_bound, per_bound, None, 1, _of_each_bound(pooled, per_bound, per_bound))


def shares_of_total(
    total: float, overhead: Overhead, analysis: Analysis, pooled: bool, receiver: bool = False
) -> Shares:
    """Shares of a total, after verification and authentication have taken theirs.

    With `receiver`, photons that arrive together at the receiver are bounded, too.

    Raises
    ------
    StationError
        `total` is out of range, or used up by `overhead`.
    """
    if not 0.0 < total < 0.5:
        raise StationError(f'{total} is not a failure probability', where='epsilon_total')
    left = total - overhead.verification_epsilon - overhead.authentication_epsilon
    if left <= 0.0:
        raise StationError(
            f'{total} is used up by verification ({overhead.verification_epsilon:.1e}) and authentication'
            f' ({overhead.authentication_epsilon:.1e})',
            where='epsilon_total',
            hint='lengthen the hashes or allow more',
        )
    if analysis == 'joint':
        amplification = _AMPLIFICATION_PART * left
        several = _RECEIVER_PART * left if receiver else 0.0
        smoothing = left - amplification - several
        secrecy = {JOINT: smoothing, 'privacy_amplification': amplification}
        if receiver:
            secrecy[SEVERAL] = several
        return Shares(several, (smoothing / 2.0) ** 2, amplification, 1, secrecy)
    if analysis == 'additive':
        bounds = _COUNTED if pooled else 2 * (_COUNTED + 1)
        share = left / (bounds + 1)
        return Shares(share, share, share, 1, _of_each_bound(pooled, share, share) | {'privacy_amplification': share})
    if analysis == 'sampling':
        share = left / (2 * _COUNTED + 4)
        secrecy = _of_each_bound(False, share, share) | {'privacy_amplification': 2 * share}
        return Shares(share, (share / 2.0) ** 2, share, 2, secrecy)
    amplification = _AMPLIFICATION_PART * left / 2.0
    smoothing = left / 2.0 - amplification  # of each basis
    failure = (smoothing / 2.0) ** 2 / _EVENTS_OF_A_BASIS
    line = 2.0 * smoothing / (2 * (_COUNTED + 1))
    secrecy = _of_each_bound(False, line, line) | {'privacy_amplification': 2 * amplification}
    return Shares(failure, failure, amplification, 2, secrecy)


def _of_each_bound(pooled: bool, count: float, phase: float) -> dict[str, float]:
    groups = ('pooled',) if pooled else ('hv', 'da')
    counted = {f'{group}.{name}': count for group in groups for name in BOUNDS}
    return counted if pooled else counted | {f'{group}.{PHASE_ERROR}': phase for group in groups}
