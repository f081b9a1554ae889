"""Entropy of the single photons of a pass from one concentration bound, without a bound for each count.

Theorem and proof: ``doc/security.md``, "Entropy of the single photons".  In short: in the virtual experiment, in which
the single photons of the key are measured in the other basis, the intensity of a pulse is independent of everything
else, given its number of photons.  So each detection multiplies a product of weights by a random factor of mean at most
one, and the product exceeds 1 / p with probability at most p (Markov).  Its logarithm is linear in the counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log, log2

from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.finite_key.receiver_flaws import raised_phase_error
from qkd_gs.qkd.finite_key.source_odds import SourceOdds, Span

# Phase error rates at which the entropy is linearized.  All are tried; the failure probability is divided among them.
PHASE_ERRORS = (0.01, 0.018, 0.03, 0.05, 0.08)
_EXPECTED_PART = 0.6  # of such a phase error rate, the bit error rate of a pass for which it is best
_EXPECTED_NOISE = 0.004  # detections of empty pulses over those of the light of a pulse of one photon on average
SCALES = tuple(10.0 ** (-k / 40.0) for k in range(240))  # 1 to 1e-6 in steps of 6 %


@dataclass(frozen=True)
class Weights:
    """Logarithms of the factors by which a detection multiplies the product, by intensity and error.

    Attributes
    ----------
    signal, decoy, vacuum : float
        A signal bit; a decoy bit without an error; a vacuum bit without an error.
    decoy_error, vacuum_error : (float, float)
        A decoy or vacuum bit with an error, in HV and in DA.
    """

    signal: float
    decoy: float
    vacuum: float
    decoy_error: tuple[float, float]
    vacuum_error: tuple[float, float]


@dataclass(frozen=True)
class JointBound:
    """Lower bound on the entropy of the single photons among the sifted signal bits.

    Attributes
    ----------
    entropy : float
        Bits; negative if the counts prove nothing.
    phase_error : float
        Rate at which the entropy was linearized, one of `PHASE_ERRORS`.
    scale : float
        The factor lambda of the exponent.
    weights : Weights
    """

    entropy: float
    phase_error: float
    scale: float
    weights: Weights


@dataclass(frozen=True)
class _Observed:
    """Detections of both bases by intensity, and errors of decoy and vacuum states in HV and in DA."""

    signal: float
    decoy: float
    vacuum: float
    decoy_errors: tuple[float, float]
    vacuum_errors: tuple[float, float]

    @property
    def detections(self) -> float:
        return self.signal + self.decoy + self.vacuum

    def weighed(self, found: Weights) -> float:
        """Logarithm of the product of the weights."""
        total = found.signal * self.signal
        total += found.decoy * (self.decoy - sum(self.decoy_errors))
        total += found.vacuum * (self.vacuum - sum(self.vacuum_errors))
        for k in range(2):
            total += found.decoy_error[k] * self.decoy_errors[k] + found.vacuum_error[k] * self.vacuum_errors[k]
        return total


def joint_bound(counts: KeyCounts, failure_probability: float) -> JointBound | None:
    """Bound on the entropy of the single photons of both bases together.

    Parameters
    ----------
    counts : KeyCounts
        Errors of signal bits are not used.
    failure_probability : float
        Of the event that the single photons have fewer bits of entropy, in the virtual experiment.

    Returns
    -------
    JointBound or None
        None if the counts are so few that no weights exist.
    """
    both, ratios = counts.pooled, _basis_ratios(counts)
    observed = _Observed(
        both.signal.sifted,
        both.decoy.sifted,
        both.vacuum.sifted,
        (counts.hv.decoy.errors, counts.da.decoy.errors),
        (counts.hv.vacuum.errors, counts.da.vacuum.errors),
    )
    if not observed.detections:
        return None
    try:
        odds = SourceOdds.of(both, counts.intensities, counts.tolerance)
    except ValueError:
        return None
    exponent = log(len(PHASE_ERRORS) / failure_probability)
    best = None
    for phase_error in PHASE_ERRORS:
        raised = raised_phase_error(counts.receiver, phase_error)
        # lambda depends on the number of detections alone, which says nothing of their intensities; where some of these
        # were told before the last detection, it depends on the number that was expected before the first was told
        number = counts.parted.expected if counts.parted else observed.detections
        expected = _expected(counts, number, _EXPECTED_PART * phase_error)
        found = {scale: weights(odds, ratios, scale, phase_error, raised) for scale in SCALES}
        bounds = {scale: (expected.weighed(w) - exponent) / scale for scale, w in found.items() if w}
        if not bounds:
            continue
        scale = max(bounds, key=bounds.__getitem__)
        chosen = found[scale]
        assert chosen is not None
        entropy = (observed.weighed(chosen) - exponent) / scale
        if best is None or entropy > best.entropy:
            best = JointBound(entropy, phase_error, scale, chosen)
    return best


def weights(
    odds: SourceOdds,
    ratios: tuple[float, float],
    scale: float,
    phase_error: float,
    raised: tuple[float, float] = (1.0, 0.0),
) -> Weights | None:
    """Weights for which the factor of a detection has a mean of at most 1, for any number of photons.

    Parameters
    ----------
    odds : SourceOdds
    ratios : (float, float)
        For errors in HV and in DA: sifted pulses sent in the other basis over those in this one.
    scale : float
        The factor lambda, positive.
    phase_error : float
        Rate at which the entropy is linearized.
    raised : (float, float)
        Factor and floor of the phase error, from `raised_phase_error`.

    Returns
    -------
    Weights or None
        None if `scale` is too large.
    """
    gain, price = 1.0 + log2(1.0 - phase_error), log2((1.0 - phase_error) / phase_error)
    right, wrong = exp(-scale * gain), exp(-scale * (gain - price))
    factor, floor = raised
    share = right + (wrong - right) * floor
    ratio = odds.two.high / odds.one.high
    if ratio * share >= 1.0 or ratio >= 1.0:
        return None
    signal = (1.0 - ratio) / (1.0 - ratio * share)
    decoy = 1.0 + (1.0 - share * signal) / odds.one.high
    decoy_errors = [decoy - (wrong - right) * signal * factor * ratio / odds.one.low for ratio in ratios]
    vacuum, *vacuum_errors = (_vacuum(odds, signal, value) for value in (decoy, *decoy_errors))
    if min(vacuum, *vacuum_errors, *decoy_errors) <= 0.0:
        return None
    return Weights(
        signal=log(signal),
        decoy=log(decoy),
        vacuum=log(vacuum),
        decoy_error=(log(decoy_errors[0]), log(decoy_errors[1])),
        vacuum_error=(log(vacuum_errors[0]), log(vacuum_errors[1])),
    )


def _vacuum(odds: SourceOdds, signal: float, decoy: float) -> float:
    """Factor of a vacuum bit, so that the mean factor of a pulse without a photon is at most 1."""
    excess = _largest(odds.signal, signal - 1.0) + _largest(odds.decoy, decoy - 1.0)
    return 1.0 - excess / (odds.vacuum.low if excess > 0.0 else odds.vacuum.high)


def _largest(weight: Span, value: float) -> float:
    return value * (weight.high if value > 0.0 else weight.low)


def _basis_ratios(counts: KeyCounts) -> tuple[float, float]:
    sent_hv, sent_da = (sum(t.sent for t in (b.signal, b.decoy, b.vacuum)) for b in (counts.hv, counts.da))
    return (sent_da / sent_hv, sent_hv / sent_da) if sent_hv and sent_da else (inf, inf)


def _expected(counts: KeyCounts, detections: float, error: float) -> _Observed:
    """Counts of an ordinary pass with so many detections, half of them in each basis."""
    both, mean = counts.pooled, counts.intensities
    sent = (both.signal.sent, both.decoy.sent, both.vacuum.sent)
    light = (mean.signal, mean.decoy, 0.0)
    rates = [n * (_EXPECTED_NOISE + m) for n, m in zip(sent, light, strict=True)]
    errors = [n * (_EXPECTED_NOISE / 2 + error * m) for n, m in zip(sent, light, strict=True)]
    unit = detections / sum(rates)
    decoy_errors, vacuum_errors = errors[1] * unit / 2, errors[2] * unit / 2
    signal, decoy, vacuum = (rate * unit for rate in rates)
    return _Observed(signal, decoy, vacuum, (decoy_errors, decoy_errors), (vacuum_errors, vacuum_errors))
