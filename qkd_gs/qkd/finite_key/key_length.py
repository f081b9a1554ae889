"""Secret key length of a pass, the epsilon budget, and the cost of each step.

The key is as long as the entropy of the single photons among the sifted bits, minus all disclosed bits, minus the
price of privacy amplification.  Theorems and proofs: ``doc/security.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import floor, log2

from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.budget import Analysis, Overhead, Shares, shares_of_total, shares_per_bound
from qkd_gs.qkd.finite_key.counts import BasisCounts, KeyCounts, SourceTolerance
from qkd_gs.qkd.finite_key.decoy import single_photons_without_fluctuations
from qkd_gs.qkd.finite_key.entropy import binary_entropy
from qkd_gs.qkd.finite_key.joined import all_given_away, failure_of_a_choice
from qkd_gs.qkd.finite_key.joint_bound import JointBound, joint_bound
from qkd_gs.qkd.finite_key.separate_bounds import Group, groups_per_basis, pooled_group

__all__ = ['Analysis', 'KeyLength', 'Overhead', 'key_length']

NO_SINGLE_PHOTON = 'the counts do not prove a single photon among the sifted bits: too few, or too much noise'


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
        Per group of bits (``both``, or ``hv`` and ``da``, or ``pooled``): the bounds.
    epsilon_ledger : dict
        Epsilon budget: contribution of each bound, of privacy amplification, and of hashes and tags; their sum
        is `epsilon`.
    cost : dict
        In order: the sifted bits, then the cost of each assumption and each step (negative), then the secret bits,
        which are the sum of all entries before.
    analysis : str
        The analysis used; ``additive`` is not composable.
    """

    secret_bits: int
    reason: str
    bounds: dict[str, dict[str, float]]
    epsilon_ledger: dict[str, float]
    cost: dict[str, float] = field(default_factory=dict)
    analysis: Analysis = 'joint'

    @property
    def epsilon(self) -> float:
        """Total failure probability."""
        return sum(self.epsilon_ledger.values())

    @property
    def composable(self) -> bool:
        """True if `epsilon` bounds the distance from an ideal key, so that it adds up over keys and their uses."""
        return self.analysis != 'additive'

    @property
    def epsilon_split(self) -> dict[str, float]:
        """`epsilon` by what fails: ``secrecy``, ``correctness`` or ``authentication``."""
        correctness, authentication = (self.epsilon_ledger.get(name, 0.0) for name in _NOT_SECRECY)
        secrecy = sum(value for name, value in self.epsilon_ledger.items() if name not in _NOT_SECRECY)
        return {'secrecy': secrecy, 'correctness': correctness, 'authentication': authentication}


_NOT_SECRECY = ('verification', 'authentication')


def key_length(
    counts: KeyCounts,
    *,
    analysis: Analysis | None = None,
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
    analysis : str, optional
        ``joint``, the default with `epsilon_total`: one concentration bound for both bases.  For comparison, each with
        bounds per count and basis: ``sampling`` (phase errors under the root), ``rooted`` (everything under the root),
        ``additive`` (failure probabilities added; not composable, and the only one with `epsilon_per_bound` or
        `pooled`).
    pooled : bool
        True: estimate both bases together (6 bounds).  This assumes that the phase error of single photons equals
        their bit error over both bases, without a bound; for comparison with published figures.
    epsilon_per_bound : float, optional
        Failure probability of each bound, for comparison with publications that state only this number: privacy
        amplification costs nothing then, and the phase error is bounded as published (not `strict`).
    epsilon_total : float, optional
        Total failure probability, of which `overhead` takes its part.  Privacy amplification to a distance eps costs
        2 log2(1 / (2 eps)) bits (leftover hash lemma).
    disclosed_bits : int, optional
        Bits of the key that error correction disclosed (leak_EC).
    f_ec : float, optional
        Alternative to `disclosed_bits`: efficiency, as a multiple of the Shannon limit of each group of bits.
    overhead : Overhead, optional
        Cost of verification and authentication; default none.

    Raises
    ------
    StationError
        Both or none of two alternatives are given, a value is out of range, or the analysis cannot take flaws.
    """
    overhead = overhead or Overhead()
    if (epsilon_per_bound is None) == (epsilon_total is None):
        raise StationError('exactly one of epsilon_per_bound and epsilon_total must be given')
    comparison = pooled or epsilon_total is None
    analysis = analysis or ('additive' if comparison else 'joint')
    if comparison and analysis != 'additive':
        raise StationError(f'{analysis} is neither pooled nor without a total', where='analysis')
    flaws = counts.tolerance != SourceTolerance() or counts.receiver is not None
    if analysis != 'joint' and (flaws or (counts.joined or counts.parted)):
        raise StationError(
            f'{analysis} takes a single pass, an exact source and an ideal receiver', where='analysis', hint='use joint'
        )
    if epsilon_per_bound is not None:
        shares = shares_per_bound(epsilon_per_bound, pooled)
    else:
        assert epsilon_total is not None
        shares = shares_of_total(epsilon_total, overhead, analysis, pooled, counts.receiver is not None)
    if analysis == 'joint':
        steps, bounds, shannon, reason = _joint(counts, shares)
    else:
        if pooled:
            groups = pooled_group(counts, shares.count)
        else:
            groups = groups_per_basis(counts, shares.count, shares.phase, strict=epsilon_total is not None)
        steps, bounds, shannon, reason = _separate(counts, groups)
    disclosed = _disclosed(disclosed_bits, f_ec, shannon)
    cost = {'sifted_bits': float(counts.sifted_bits)} | steps
    cost |= {
        'error_correction_shannon_limit': -shannon,
        'error_correction_above_limit': shannon - disclosed,
        'verification': 0.0 - overhead.verification_bits,
        'authentication': 0.0 - overhead.authentication_bits,
        'privacy_amplification': _amplification(shares),
    }
    left = sum(cost.values())
    secret_bits = max(0, floor(left))
    cost['rounding' if left >= 0 else 'missing_for_a_key'] = secret_bits - left
    outweighed = f'disclosed bits and phase errors outweigh the single photons by {-left:.0f} bits'
    return KeyLength(
        secret_bits=secret_bits,
        reason='' if secret_bits else reason or outweighed,
        bounds=bounds,
        epsilon_ledger=shares.secrecy
        | {'verification': overhead.verification_epsilon, 'authentication': overhead.authentication_epsilon},
        cost=cost | {'secret_bits': float(secret_bits)},
        analysis=analysis,
    )


_Part = tuple[dict[str, float], dict[str, dict[str, float]], float, str]  # steps of the cost, bounds, limit, reason


def _joint(counts: KeyCounts, shares: Shares) -> _Part:
    """Both bases by one bound."""
    both = counts.pooled
    ideal = single_photons_without_fluctuations(both, counts.intensities)
    ideal_entropy = ideal.sifted_lower * (1.0 - binary_entropy(ideal.error_upper))
    # what the tolerances of the source and the inequality of the detectors cost is the difference that they make
    ideal_receiver = counts.model_copy(update={'receiver': None})
    exact = ideal_receiver.model_copy(update={'tolerance': SourceTolerance()})
    failure = failure_of_a_choice(counts, shares.phase)
    bounds = [joint_bound(exact, failure)]
    for before, case in ((exact, ideal_receiver), (ideal_receiver, counts)):
        bounds.append(bounds[-1] if case == before else joint_bound(case, failure))
    entropies = [bound.entropy if bound else 0.0 for bound in bounds]
    given_away = all_given_away(counts, shares.count)
    steps = {
        'multi_photon_and_vacuum': ideal.sifted_lower - both.signal.sifted,
        'phase_error': ideal_entropy - ideal.sifted_lower,
        'finite_statistics': entropies[0] - ideal_entropy,
        'source_tolerance': entropies[1] - entropies[0],
        'detector_mismatch': entropies[2] - entropies[1],
        'given_away_by_the_receiver': 0.0 - given_away,
    }
    limits = sum(_shannon_bits(basis) for basis in (counts.hv, counts.da))
    reason = _no_data(counts) or ('' if entropies[2] > 0 else NO_SINGLE_PHOTON)
    return steps, {'both': _listed(bounds[2], entropies[2])}, limits, reason


def _listed(bound: JointBound | None, entropy: float) -> dict[str, float]:
    if bound is None:
        return {'entropy_lower': entropy}
    listed = {'entropy_lower': entropy, 'linearized_at': bound.phase_error, 'scale': bound.scale}
    for name, value in vars(bound.weights).items():
        pair = isinstance(value, tuple)
        listed |= {f'{name}_{b}': v for b, v in zip(('hv', 'da'), value, strict=True)} if pair else {name: value}
    return listed


def _separate(counts: KeyCounts, groups: dict[str, Group]) -> _Part:
    """Each group by its own bounds."""
    all_groups = list(groups.values())
    ideal_singles = sum(group.ideal.sifted_lower for group in all_groups)
    singles = sum(group.singles.sifted_lower for group in all_groups)
    ideal_phase = sum(group.singles.sifted_lower * binary_entropy(group.ideal_phase_error) for group in all_groups)
    phase = sum(group.singles.sifted_lower * binary_entropy(group.phase_error) for group in all_groups)
    steps = {
        'multi_photon_and_vacuum': ideal_singles - counts.sifted_bits,
        'finite_statistics_of_single_photons': singles - ideal_singles,
        'phase_error': -ideal_phase,
        'finite_statistics_of_phase_error': ideal_phase - phase,
    }
    reason = _no_data(counts)
    if not reason and singles <= 0.0:
        reason = NO_SINGLE_PHOTON
    if not reason and all(group.phase_error >= 0.5 for group in all_groups):
        reason = 'the errors of the decoy states leave the phase error unbounded'
    shannon = sum(_shannon_bits(group.counts) for group in all_groups)
    return steps, {name: group.listed() for name, group in groups.items()}, shannon, reason


def _no_data(counts: KeyCounts) -> str:
    return '' if counts.sifted_bits else 'no sifted bits'


def _shannon_bits(counts: BasisCounts) -> float:
    """Minimum number of bits to disclose for correcting the signal bits (Slepian-Wolf limit)."""
    signal = counts.signal
    return signal.sifted * binary_entropy(signal.errors / signal.sifted) if signal.sifted else 0.0


def _amplification(shares: Shares) -> float:
    return 0.0 if shares.amplification is None else shares.parts * 2.0 * log2(2.0 * shares.amplification)


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
