"""Counts of several passes as those of one key, and what the freedom to choose the passes costs.

Theorem and proof: ``doc/security.md``, "Passes joined into one key".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.counts import MOST_PASSES, Joined, KeyCounts, Receiver
from qkd_gs.qkd.finite_key.joint_bound import SCALES
from qkd_gs.qkd.finite_key.receiver_flaws import bits_given_away


def joined_counts(passes: Sequence[KeyCounts], choices: int) -> KeyCounts:
    """Counts of passes that are made into one key.

    Parameters
    ----------
    passes : sequence of KeyCounts
        In the order of time, of one source.
    choices : int
        Passes within the stated time, these among them: any of them could have been left out.

    Raises
    ------
    StationError
        The passes have different sources (intensities, tolerances, probabilities), some have a receiver with flaws and
        some none, or there are too many.
    """
    if not len(passes) <= choices <= MOST_PASSES:
        raise StationError(f'{len(passes)} of {choices} passes cannot be joined, at most {MOST_PASSES} can')
    first = passes[0]
    if any(not _same_source(one, first) for one in passes):
        raise StationError('passes of different sources cannot be joined')
    receivers = [one.receiver for one in passes if one.receiver is not None]
    if receivers and len(receivers) < len(passes):
        raise StationError('passes with and without flaws of the receiver cannot be joined')
    return first.model_copy(
        update={
            'hv': reduce(lambda a, b: a + b, (one.hv for one in passes)),
            'da': reduce(lambda a, b: a + b, (one.da for one in passes)),
            'receiver': _worst(receivers) if receivers else None,
            'joined': Joined(passes=len(passes), choices=choices, receivers=receivers),
        }
    )


def failure_of_a_choice(counts: KeyCounts, failure_probability: float) -> float:
    """Failure probability of the bound for one choice of passes and one lambda, so that all together have this one.

    For a single pass lambda follows from the number of detections, and there is no choice.
    """
    if counts.joined is None:
        return failure_probability
    return float(failure_probability / len(SCALES) / 2 ** (counts.joined.choices - 1))


def all_given_away(counts: KeyCounts, failure_probability: float) -> float:
    """Bits that the receiver gives away (`bits_given_away`): of joined passes the sum, each with its own bound."""
    if counts.joined is None:
        return bits_given_away(counts.receiver, failure_probability, adaptive=counts.parted is not None)
    return sum(bits_given_away(one, failure_probability / MOST_PASSES) for one in counts.joined.receivers)


def _same_source(one: KeyCounts, other: KeyCounts) -> bool:
    """True if intensities, tolerances and probabilities are the same; the last up to rounded numbers of pulses."""
    if (one.intensities, one.tolerance) != (other.intensities, other.tolerance):
        return False
    mine, theirs = _sent(one), _sent(other)
    ratio = sum(mine) / max(1, sum(theirs))
    return all(abs(a - ratio * b) <= 2 * (1 + ratio) for a, b in zip(mine, theirs, strict=True))


def _sent(counts: KeyCounts) -> list[int]:
    return [tally.sent for basis in (counts.hv, counts.da) for tally in (basis.signal, basis.decoy, basis.vacuum)]


def _worst(receivers: Sequence[Receiver]) -> Receiver:
    return Receiver(
        within_basis=max(one.within_basis for one in receivers),
        between_bases=max(one.between_bases for one in receivers),
        cross_clicks=sum(one.cross_clicks for one in receivers),
        excess_dark_bits=sum(one.excess_dark_bits for one in receivers),
        edge_bits=sum(one.edge_bits for one in receivers),
    )
