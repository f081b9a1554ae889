"""Single photons among the sifted bits, by the vacuum + weak decoy-state method.

Formulas of Ma, Qi, Zhao, Lo, Phys. Rev. A 72, 012326 (2005), Eqs. (34) and (37), with a vacuum state of intensity
zero; every count is replaced by the bound on its expectation that makes the key shorter.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from qkd_gs.qkd.finite_key.bounds import expectation_bounds, outcome_lower_bound
from qkd_gs.qkd.finite_key.counts import BasisCounts, Intensities

# each fails with its own probability
BOUNDS = (
    'decoy_sifted_lower',
    'signal_sifted_upper',
    'vacuum_sifted_upper',
    'single_photons_lower',
    'decoy_errors_upper',
    'vacuum_errors_lower',
)


@dataclass(frozen=True)
class SinglePhotons:
    """Bounds on single photons in one basis (or in both, pooled)."""

    yield_lower: float  # Y1: lower bound on the probability that a pulse of one photon is detected
    sifted_lower: float  # M1: lower bound on the sifted signal bits from single photons
    error_upper: float  # e1: upper bound on their bit error rate; 0.5 without data
    inputs: dict[str, float]  # bounds on the expectations used, by the names of `BOUNDS`


def single_photons(counts: BasisCounts, intensities: Intensities, epsilon: float) -> SinglePhotons:
    """Bounds on yield, number and error rate of single photons; each of `BOUNDS` has failure probability `epsilon`.

    Without data the yield is 0 and the error rate 0.5, which gives no key.
    """
    inputs = {
        'decoy_sifted_lower': expectation_bounds(counts.decoy.sifted, epsilon).lower,
        'signal_sifted_upper': expectation_bounds(counts.signal.sifted, epsilon).upper,
        'vacuum_sifted_upper': expectation_bounds(counts.vacuum.sifted, epsilon).upper,
        'decoy_errors_upper': expectation_bounds(counts.decoy.errors, epsilon).upper,
        'vacuum_errors_lower': expectation_bounds(counts.vacuum.errors, epsilon).lower,
    }
    yield_lower = _yield(counts, intensities, inputs)
    expected = _expected_singles(counts, intensities, yield_lower)
    return SinglePhotons(
        yield_lower=yield_lower,
        sifted_lower=min(outcome_lower_bound(expected, epsilon), float(counts.signal.sifted)),
        error_upper=_error(counts, intensities, inputs, yield_lower),
        inputs=inputs,
    )


def single_photons_without_fluctuations(counts: BasisCounts, intensities: Intensities) -> SinglePhotons:
    """Values of the same quantities if the counts were equal to their expectations (infinite statistics).

    For comparison only; a key of this length is not secret.
    """
    inputs = {
        'decoy_sifted_lower': float(counts.decoy.sifted),
        'signal_sifted_upper': float(counts.signal.sifted),
        'vacuum_sifted_upper': float(counts.vacuum.sifted),
        'decoy_errors_upper': float(counts.decoy.errors),
        'vacuum_errors_lower': float(counts.vacuum.errors),
    }
    yield_lower = _yield(counts, intensities, inputs)
    return SinglePhotons(
        yield_lower=yield_lower,
        sifted_lower=min(_expected_singles(counts, intensities, yield_lower), float(counts.signal.sifted)),
        error_upper=_error(counts, intensities, inputs, yield_lower),
        inputs=inputs,
    )


def _yield(counts: BasisCounts, intensities: Intensities, inputs: dict[str, float]) -> float:
    mu, nu = intensities.signal, intensities.decoy
    if not (counts.signal.sent and counts.decoy.sent and counts.vacuum.sent):
        return 0.0
    decoy = exp(nu) * inputs['decoy_sifted_lower'] / counts.decoy.sent
    signal = exp(mu) * inputs['signal_sifted_upper'] / counts.signal.sent
    vacuum = inputs['vacuum_sifted_upper'] / counts.vacuum.sent
    weight = (nu / mu) ** 2
    return min(1.0, max(0.0, mu / (mu * nu - nu**2) * (decoy - weight * signal - (1.0 - weight) * vacuum)))


def _expected_singles(counts: BasisCounts, intensities: Intensities, yield_lower: float) -> float:
    mu = intensities.signal
    return counts.signal.sent * mu * exp(-mu) * yield_lower


def _error(counts: BasisCounts, intensities: Intensities, inputs: dict[str, float], yield_lower: float) -> float:
    if yield_lower <= 0.0:
        return 0.5
    nu = intensities.decoy
    decoy = exp(nu) * inputs['decoy_errors_upper'] / counts.decoy.sent
    vacuum = inputs['vacuum_errors_lower'] / counts.vacuum.sent
    return min(0.5, max(0.0, (decoy - vacuum) / (nu * yield_lower)))
