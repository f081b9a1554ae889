"""Coverage of the bound on single photons: how often it fails for light that an eavesdropper chooses.

The failure probability is made large, so that failures can be counted; the formulas are those of a key.  What is
counted is compared with what is allowed by the exact tail of the binomial distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import exp, log2
from typing import Any

import numpy as np
from scipy.stats import beta, binom

from qkd_gs.arrays import FloatArray
from qkd_gs.qkd.finite_key.counts import BasisCounts, Intensities, KeyCounts, Tally
from qkd_gs.qkd.finite_key.joined import failure_of_a_choice, joined_counts
from qkd_gs.qkd.finite_key.joint_bound import joint_bound

Light = dict[int, tuple[float, float]]
"""Detections of pulses with so many photons, and their error rate."""

SENT, MEANS = np.array([0.5, 0.25, 0.25]), np.array([0.8, 0.1, 0.0])
ALLOWED = 0.02
_PULSES = 10**9  # of a basis; only their shares count
_MOST_PHOTONS = 6
_SHARE_OF_DECOYS = 0.0754  # of signal detections, about the median of an ordinary link
_CHANCE = 1e-6  # of a false alarm of this measurement

LIGHT: dict[str, Light] = {
    'an ordinary link': {0: (3000, 0.5), 1: (150_000, 0.012), 2: (80_000, 0.01), 3: (40_000, 0.01)},
    'single photons blocked': {0: (0, 0.5), 1: (60_000, 0.03), 2: (240_000, 0.0)},
    'errors in single photons only': {1: (150_000, 0.02), 2: (80_000, 0.0), 3: (40_000, 0.0)},
    'errors in several photons only': {0: (1000, 0.0), 1: (200_000, 0.0), 2: (50_000, 0.25), 3: (50_000, 0.25)},
    'nothing but single photons': {1: (300_000, 0.05)},
    'noise without errors': {0: (20_000, 0.0), 1: (150_000, 0.01), 2: (130_000, 0.0)},
    'few detections': {0: (60, 0.5), 1: (15_000, 0.012), 2: (8000, 0.01), 3: (4000, 0.01)},
}


def drawn_light(rng: np.random.Generator) -> Light:
    """Light drawn at random: yields and errors of each photon number independent of each other."""
    total = 10 ** rng.uniform(4, 6)
    shares = rng.dirichlet(np.full(_MOST_PHOTONS, 0.6))
    errors = rng.choice([0.0, 0.01, 0.03, 0.1, 0.5], _MOST_PHOTONS)
    return {n: (round(total * share), float(e)) for n, (share, e) in enumerate(zip(shares, errors, strict=True))}


def passes_of(light: Light, passes: int, rng: np.random.Generator) -> int:
    """Number of passes in which the bound is above the entropy that there is."""
    return sum(_fails(light, rng) for _ in range(passes))


@dataclass(frozen=True)
class _Pass:
    """Counts of both sides of a pass, and the truth that they cannot know."""

    counts: KeyCounts
    singles: int  # of the key
    phase: int  # their phase errors, in the virtual experiment

    def too_much(self, failure_probability: float) -> bool:
        """True if the bound is above the entropy that there is."""
        bound = joint_bound(self.counts, failure_probability)
        if bound is None:
            return False
        e0 = bound.phase_error
        return bound.entropy > (1 + log2(1 - e0)) * self.singles - log2((1 - e0) / e0) * self.phase


def _fails(light: Light, rng: np.random.Generator) -> bool:
    return _drawn_pass(light, rng).too_much(ALLOWED)


def _joined_fails(first: Light, rng: np.random.Generator) -> bool:
    """True if a bound is too high in any choice among three passes that contains the last one.

    The eavesdropper sends the light of a later pass according to what was counted in the one before.
    """
    passes = [_drawn_pass(first, rng)]
    for _ in range(2):
        seen = passes[-1].counts.pooled
        few_decoys = seen.decoy.sifted < _SHARE_OF_DECOYS * seen.signal.sifted
        passes.append(_drawn_pass(LIGHT['few detections'] if few_decoys else first, rng))
    *before, last = passes
    for size in range(len(before) + 1):
        for others in combinations(before, size):
            chosen = [*others, last]
            counts = joined_counts([one.counts for one in chosen], len(passes))
            together = _Pass(counts, sum(one.singles for one in chosen), sum(one.phase for one in chosen))
            if together.too_much(failure_of_a_choice(counts, ALLOWED)):
                return True
    return False


def _drawn_pass(light: Light, rng: np.random.Generator) -> _Pass:
    sifted, errors = np.zeros((2, 3), np.int64), np.zeros((2, 3), np.int64)
    phase, singles = 0, 0
    for n, (number, rate) in light.items():
        likelihood = _of_intensities(n)
        for measured in range(2):  # basis of the virtual measurement
            wrong = rng.multinomial(round(number * rate / 2), likelihood)
            right = rng.multinomial(round(number * (1 - rate) / 2), likelihood)
            key = 1 - measured if n == 1 else measured  # single photons of the key were sent in the other basis
            sifted[key, 0] += wrong[0] + right[0]
            sifted[measured, 1:] += wrong[1:] + right[1:]
            errors[measured, 1:] += wrong[1:]
            if n == 1:
                phase, singles = phase + int(wrong[0]), singles + int(wrong[0] + right[0])
    bases = [_basis(sifted[b].tolist(), errors[b].tolist()) for b in range(2)]
    counts = KeyCounts(
        intensities=Intensities(signal=MEANS[0], decoy=MEANS[1], vacuum=MEANS[2]), hv=bases[0], da=bases[1]
    )
    return _Pass(counts, singles, phase)


def _of_intensities(photons: int) -> FloatArray:
    """Probabilities of the intensities of a pulse with so many photons."""
    weights = np.array([p * exp(-mean) * mean**photons for p, mean in zip(SENT, MEANS, strict=True)])
    return np.asarray(weights / weights.sum())


def _basis(sifted: list[int], errors: list[int]) -> BasisCounts:
    sent = [round(_PULSES * p) for p in SENT.tolist()]
    tallies = [Tally(sent=s, sifted=n, errors=e) for s, n, e in zip(sent, sifted, errors, strict=True)]
    return BasisCounts(signal=tallies[0], decoy=tallies[1], vacuum=tallies[2])


def coverage(passes: int, drawn: int, seed: int = 1) -> list[dict[str, Any]]:
    """Failures of the bound under each light.

    Parameters
    ----------
    passes : int
        Of each light of `LIGHT`.
    drawn : int
        Lights drawn at random, a pass of each.
    seed : int

    Returns
    -------
    list of dict
        light, passes, failures, allowed; the upper end of the exact 95 % interval of the failure probability; and
        whether so many failures are compatible with what is allowed.
    """
    rng = np.random.default_rng(seed)
    found = [(name, passes, passes_of(light, passes, rng)) for name, light in LIGHT.items()]
    for name in ('an ordinary link', 'few detections'):
        number = max(1, passes // 5)
        failures = sum(_joined_fails(LIGHT[name], rng) for _ in range(number))
        found.append((f'three passes to join, each after the other: {name}', number, failures))
    found.append(('drawn at random', drawn, sum(_fails(drawn_light(rng), rng) for _ in range(drawn))))
    return [
        {
            'light': name,
            'passes': number,
            'failures': failures,
            'allowed': ALLOWED,
            'at_most': float(beta.ppf(0.95, failures + 1, number - failures)) if failures < number else 1.0,
            'held': bool(binom.sf(failures - 1, number, ALLOWED) > _CHANCE),
        }
        for name, number, failures in found
    ]
