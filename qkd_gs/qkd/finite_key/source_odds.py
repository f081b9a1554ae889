"""Odds of the three intensities for a pulse of n photons, within the tolerances of the source.

Given the number n of photons in a pulse, an intensity k was chosen with a probability proportional to
p_k exp(-k) k^n, whatever the eavesdropper does.  All decoy-state bounds start from these odds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import exp

from qkd_gs.qkd.finite_key.counts import BasisCounts, Intensities, SourceTolerance


@dataclass(frozen=True)
class Span:
    """An interval that holds the true value."""

    low: float
    high: float


@dataclass(frozen=True)
class SourceOdds:
    """Odds of the labels signal, decoy and vacuum.

    Attributes
    ----------
    one : Span
        P(decoy | 1 photon) / P(signal | 1 photon).
    two : Span
        The same for two photons; not exceeded for more than two.
    signal, decoy, vacuum : Span
        Weights p_k exp(-k) for pulses without a photon.
    """

    one: Span
    two: Span
    signal: Span
    decoy: Span
    vacuum: Span

    @classmethod
    def of(cls, counts: BasisCounts, intensities: Intensities, tolerance: SourceTolerance) -> SourceOdds:
        """Odds from the declared source; the pulses sent stand for the probabilities of the intensities.

        Raises
        ------
        ValueError
            No pulses of an intensity, or a decoy that is not weaker than the signal within the tolerance.
        """
        if not (counts.signal.sent and counts.decoy.sent and counts.vacuum.sent):
            raise ValueError('there are no pulses of some intensity')
        signal, decoy = (_around(m, tolerance.intensity) for m in (intensities.signal, intensities.decoy))
        if decoy.high >= signal.low:
            raise ValueError('the decoy is not weaker than the signal within the tolerance')
        total = counts.signal.sent + counts.decoy.sent + counts.vacuum.sent
        p_signal, p_decoy, p_vacuum = (
            _around(tally.sent / total, tolerance.probability) for tally in (counts.signal, counts.decoy, counts.vacuum)
        )

        def odds(photons: int) -> Span:
            corners = [
                exp(m - n) * (n / m) ** photons for m, n in product((signal.low, signal.high), (decoy.low, decoy.high))
            ]
            return Span(p_decoy.low / p_signal.high * min(corners), p_decoy.high / p_signal.low * max(corners))

        return cls(
            one=odds(1),
            two=odds(2),
            signal=Span(p_signal.low * exp(-signal.high), p_signal.high * exp(-signal.low)),
            decoy=Span(p_decoy.low * exp(-decoy.high), p_decoy.high * exp(-decoy.low)),
            vacuum=p_vacuum,
        )


def _around(value: float, tolerance: float) -> Span:
    return Span(value * (1.0 - tolerance), value * (1.0 + tolerance))
