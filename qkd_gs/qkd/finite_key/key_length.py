"""Secret key length of a pass, the epsilon budget, and the cost of each step.

The key length follows Zhang, Zhao, Razavi, Ma, Phys. Rev. A 95, 012333 (2017): single photons among the sifted bits
times 1 - h(phase error), minus all disclosed bits.  Failure probabilities add up; the epsilon budget lists them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import floor, log2

from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.bounds import phase_error_bound
from qkd_gs.qkd.finite_key.counts import BasisCounts, KeyCounts
from qkd_gs.qkd.finite_key.decoy import BOUNDS, SinglePhotons, single_photons, single_photons_without_fluctuations
from qkd_gs.qkd.finite_key.entropy import binary_entropy

PHASE_ERROR = 'phase_error_upper'
BOUNDS_POOLED = len(BOUNDS)  # 6: the pooled bit error is used as the phase error, see `key_length`
BOUNDS_PER_BASIS = 2 * (len(BOUNDS) + 1)  # 14


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
class KeyLength:
    """Result of `key_length`.

    Attributes
    ----------
    secret_bits : int
        Length to which privacy amplification may compress, at least 0.
    reason : str
        Reason if there is no key; empty if there is one.
    bounds : dict
        Per group of bits (``hv`` and ``da``, or ``pooled``): the bounds of `SinglePhotons`, and the phase error.
    epsilon_ledger : dict
        Epsilon budget: failure probability of each bound, of privacy amplification, and of hashes and tags; their sum
        is `epsilon`.
    cost : dict
        In order: the sifted bits, then the cost of each assumption and each step (negative), then the secret bits,
        which are the sum of all entries before.
    """

    secret_bits: int
    reason: str
    bounds: dict[str, dict[str, float]]
    epsilon_ledger: dict[str, float]
    cost: dict[str, float] = field(default_factory=dict)

    @property
    def epsilon(self) -> float:
        """Total failure probability."""
        return sum(self.epsilon_ledger.values())


@dataclass(frozen=True)
class _Group:
    """Bits whose single photons are estimated together."""

    counts: BasisCounts
    singles: SinglePhotons
    ideal: SinglePhotons
    phase_error: float
    ideal_phase_error: float


def key_length(
    counts: KeyCounts,
    *,
    pooled: bool = False,
    epsilon_per_bound: float | None = None,
    epsilon_total: float | None = None,
    disclosed_bits: int | None = None,
    f_ec: float | None = None,
    overhead: Overhead | None = None,
) -> KeyLength:
    """Secret bits that the counts of a pass allow.

    Parameters
    ----------
    counts : KeyCounts
        Both bases; the key is made of the signal bits of both.
    pooled : bool
        True: estimate both bases together (6 bounds).  This assumes that the phase error of single photons equals
        their bit error over both bases, without a bound; for comparison with published figures.  False: estimate
        each basis separately (14 bounds), the phase error of one from the bit error of the other.
    epsilon_per_bound : float, optional
        Failure probability of each bound, for comparison with publications that state only this number: privacy
        amplification costs nothing then, and the phase error is bounded as published (not `strict`).
    epsilon_total : float, optional
        Total failure probability.  After subtraction of `overhead` it is divided equally between the bounds and
        privacy amplification, which costs 2 log2(1 / (2 eps)) bits (leftover hash lemma).
    disclosed_bits : int, optional
        Bits of the key that error correction disclosed (leak_EC).
    f_ec : float, optional
        Alternative to `disclosed_bits`: efficiency, as a multiple of the Shannon limit of each group of bits.
    overhead : Overhead, optional
        Cost of verification and authentication; default none.

    Raises
    ------
    StationError
        Both or none of two alternatives are given, or a value is out of range.
    """
    overhead = overhead or Overhead()
    number_of_bounds = BOUNDS_POOLED if pooled else BOUNDS_PER_BASIS
    per_bound, amplification = _shares(epsilon_per_bound, epsilon_total, number_of_bounds, overhead)
    strict = epsilon_total is not None
    groups = _pooled_group(counts, per_bound) if pooled else _groups_per_basis(counts, per_bound, strict)
    shannon = sum(_shannon_bits(group.counts) for group in groups.values())
    disclosed = _disclosed(disclosed_bits, f_ec, shannon)
    cost = _cost(counts.sifted_bits, list(groups.values()), shannon, disclosed, overhead, amplification)
    left = sum(cost.values())
    secret_bits = max(0, floor(left))
    cost['rounding' if left >= 0 else 'missing_for_a_key'] = secret_bits - left
    return KeyLength(
        secret_bits=secret_bits,
        reason='' if secret_bits else _reason(counts, groups, left),
        bounds={name: _listed(group) for name, group in groups.items()},
        epsilon_ledger=_epsilon_budget(groups, per_bound, pooled, amplification, overhead),
        cost=cost | {'secret_bits': float(secret_bits)},
    )


def _shares(
    per_bound: float | None, total: float | None, number_of_bounds: int, overhead: Overhead
) -> tuple[float, float | None]:
    """Failure probability of a bound, and of privacy amplification (None: not counted)."""
    if (per_bound is None) == (total is None):
        raise StationError('exactly one of epsilon_per_bound and epsilon_total must be given')
    if per_bound is not None:
        if not 0.0 < per_bound < 0.5:
            raise StationError(f'{per_bound} is not a failure probability', where='epsilon_per_bound')
        return per_bound, None
    assert total is not None
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
    share = left / (number_of_bounds + 1)
    return share, share


def _pooled_group(counts: KeyCounts, epsilon: float) -> dict[str, _Group]:
    both = counts.pooled
    singles = single_photons(both, counts.intensities, epsilon)
    ideal = single_photons_without_fluctuations(both, counts.intensities)
    return {'pooled': _Group(both, singles, ideal, singles.error_upper, ideal.error_upper)}


def _groups_per_basis(counts: KeyCounts, epsilon: float, strict: bool) -> dict[str, _Group]:
    tallies = {'hv': counts.hv, 'da': counts.da}
    singles = {name: single_photons(basis, counts.intensities, epsilon) for name, basis in tallies.items()}
    ideal = {name: single_photons_without_fluctuations(basis, counts.intensities) for name, basis in tallies.items()}
    groups = {}
    for name, other in (('hv', 'da'), ('da', 'hv')):
        phase_error = phase_error_bound(
            singles[other].error_upper, singles[other].sifted_lower, singles[name].sifted_lower, epsilon, strict
        )
        groups[name] = _Group(tallies[name], singles[name], ideal[name], phase_error, ideal[other].error_upper)
    return groups


def _shannon_bits(counts: BasisCounts) -> float:
    """Minimum number of bits to disclose for correcting the signal bits (Slepian-Wolf limit)."""
    signal = counts.signal
    return signal.sifted * binary_entropy(signal.errors / signal.sifted) if signal.sifted else 0.0


def _disclosed(disclosed_bits: int | None, f_ec: float | None, shannon: float) -> float:
    if (disclosed_bits is None) == (f_ec is None):
        raise StationError('exactly one of disclosed_bits and f_ec must be given')
    if disclosed_bits is not None:
        if disclosed_bits < 0:
            raise StationError(f'{disclosed_bits} is negative', where='disclosed_bits')
        return float(disclosed_bits)
    assert f_ec is not None
    if not 1.0 <= f_ec < 10.0:
        raise StationError(
            f'{f_ec} is not an efficiency of error correction', where='f_ec', hint='at least 1, the Shannon limit'
        )
    return f_ec * shannon


def _cost(
    sifted_bits: int,
    groups: list[_Group],
    shannon: float,
    disclosed: float,
    overhead: Overhead,
    amplification: float | None,
) -> dict[str, float]:
    ideal_singles = sum(group.ideal.sifted_lower for group in groups)
    singles = sum(group.singles.sifted_lower for group in groups)
    ideal_phase = sum(group.singles.sifted_lower * binary_entropy(group.ideal_phase_error) for group in groups)
    phase = sum(group.singles.sifted_lower * binary_entropy(group.phase_error) for group in groups)
    return {
        'sifted_bits': float(sifted_bits),
        'multi_photon_and_vacuum': ideal_singles - sifted_bits,
        'finite_statistics_of_single_photons': singles - ideal_singles,
        'phase_error': -ideal_phase,
        'finite_statistics_of_phase_error': ideal_phase - phase,
        'error_correction_shannon_limit': -shannon,
        'error_correction_above_limit': shannon - disclosed,
        'verification': 0.0 - overhead.verification_bits,
        'authentication': 0.0 - overhead.authentication_bits,
        'privacy_amplification': 0.0 if amplification is None else 2.0 * log2(2.0 * amplification),
    }


def _listed(group: _Group) -> dict[str, float]:
    return {
        'single_photon_yield_lower': group.singles.yield_lower,
        'single_photon_sifted_lower': group.singles.sifted_lower,
        'single_photon_error_upper': group.singles.error_upper,
        PHASE_ERROR: group.phase_error,
        **group.singles.inputs,
    }


def _epsilon_budget(
    groups: dict[str, _Group], per_bound: float, pooled: bool, amplification: float | None, overhead: Overhead
) -> dict[str, float]:
    names = BOUNDS if pooled else (*BOUNDS, PHASE_ERROR)
    budget = {f'{group}.{name}': per_bound for group in groups for name in names}
    if amplification is not None:
        budget['privacy_amplification'] = amplification
    return budget | {
        'verification': overhead.verification_epsilon,
        'authentication': overhead.authentication_epsilon,
    }


def _reason(counts: KeyCounts, groups: dict[str, _Group], left: float) -> str:
    if not counts.sifted_bits:
        return 'no sifted bits'
    if all(group.singles.sifted_lower <= 0.0 for group in groups.values()):
        return 'the counts do not prove a single photon among the sifted bits: too few, or too much noise'
    if all(group.phase_error >= 0.5 for group in groups.values()):
        return 'the errors of the decoy states leave the phase error unbounded'
    return f'disclosed bits and phase errors outweigh the single photons by {-left:.0f} bits'
