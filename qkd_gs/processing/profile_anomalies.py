"""Anomalies of the folded profiles: signs that somebody chose when the light of a pulse arrives.

The detectors are always on, so a photon's time decides about nothing but the gate.  One gate for all four, with
relative delays from a calibration before the pass, leaves an eavesdropper the edges: what arrives there is accepted by
one detector and not by another whose delay is known a little less well.  Light at the edge of the gate is also light
outside it, so the profiles must show none; and the four must look alike.

A look refuses honest data with a probability of `FALSE_ALARM` at most, for: noise that is uniform in the slot; light of
which no more than the stated part lies outside the gate; delays within their uncertainty; detectors whose response
differs by no more than `_SHAPE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, permutations
from math import ceil

import numpy as np
from scipy.stats import binom, norm

from qkd_gs.arrays import AnyFloatArray, BoolArray, IntArray
from qkd_gs.processing.anomalies import Anomaly
from qkd_gs.timing.gate import Gate, centre_of_light
from qkd_gs.timing.profile import SlotProfile
from qkd_gs.timing.tags import QUANTUM

FALSE_ALARM = 1e-9  # of one look; a run of 400 s takes 250
_SIGMA = float(norm.isf(FALSE_ALARM / 2))
_WINDOWS = (0.25, 1.0)  # widths in which light outside the gate is looked for, in gates, moved by half a width
_SHAPE = 0.02  # by which the cumulated profiles of two healthy diodes may differ
_MAX_DRIFT = 0.05  # of the gate: 100 ps of 2 ns; the fitted clock errs by some ps as a rule
_LEAST_LIGHT = 100  # photons of an interval whose centre says something


@dataclass(frozen=True)
class _Folded:
    """Profiles of the four detectors about the gate.

    Attributes
    ----------
    counts : (4, b) int64
        Bins in the order of their distance from the gate's middle.
    distance_ps : (b,)
    inside : (b,) bool
    level : (4,) float
        Noise of each detector in a bin.
    light : (4,) float
        Its light inside the gate.
    """

    counts: IntArray
    distance_ps: AnyFloatArray
    inside: BoolArray
    level: AnyFloatArray
    light: AnyFloatArray

    @classmethod
    def of(cls, profile: SlotProfile, gate: Gate) -> _Folded:
        distance_ps = profile.distance_ps(gate.offset_ps)
        order = np.argsort(distance_ps)
        level = profile.noise_level(profile.by_detector, gate.offset_ps, gate.width_ps)
        counts, inside = profile.by_detector[:, order], gate.inside(profile)[order]
        light = np.maximum(counts[:, inside].sum(axis=1) - level * np.count_nonzero(inside), 1.0)
        return cls(counts, distance_ps[order], inside, level, light)


def find_profile_anomalies(
    profile: SlotProfile, gate: Gate, uncertainty_ps: float, max_outside: float
) -> list[Anomaly]:
    """Find anomalies in the profiles of a run; all are fatal.

    Parameters
    ----------
    uncertainty_ps : float
        Largest error of a detector's delay relative to the others.
    max_outside : float
        Largest part of the light that may lie outside the gate.
    """
    folded = _Folded.of(profile, gate)
    apart_ps = min(2 * uncertainty_ps, gate.width_ps / 2)
    found = (
        _second_peak(folded, profile.bin_ps, gate.width_ps, max_outside),
        _unequal_delays(folded, apart_ps),
        _unequal_profiles(folded, profile.bin_ps, gate.width_ps, apart_ps),
        _drift(profile, gate),
    )
    return [anomaly for anomaly in found if anomaly is not None]


def _second_peak(folded: _Folded, bin_ps: float, gate_ps: int, max_outside: float) -> Anomaly | None:
    """Light outside the gate: more clicks in a window than in the rest of the slot, beyond the part allowed."""
    outside = np.flatnonzero(~folded.inside)
    around = outside[np.argsort(folded.distance_ps[outside] % (len(folded.inside) * bin_ps))]  # once round the slot
    looks = [('all detectors', folded.counts.sum(axis=0), folded.light.sum())]
    looks += zip((channel.name for channel in QUANTUM), folded.counts, folded.light, strict=True)
    found = list[tuple[float, str, float]]()
    for name, counts, light in looks:
        for width_ps in (share * gate_ps for share in _WINDOWS):
            width = max(round(width_ps / bin_ps), 1)
            if width >= len(around):
                continue  # the gate fills the slot
            windows = np.lib.stride_tricks.sliding_window_view(counts[around], width)[:: max(width // 2, 1)]
            seen = windows.sum(axis=1)
            rest = counts[around].sum() - seen
            beyond = np.ceil(np.maximum(seen - max_outside * light, 0.0))
            chance = binom.sf(beyond - 1, beyond + rest, width / len(around))
            share = (seen - rest * width / (len(around) - width)) / light
            for k in np.flatnonzero(chance < FALSE_ALARM):
                at_ps = folded.distance_ps[around[k * max(width // 2, 1) + width // 2]]
                found.append((float(share[k]), name, float(at_ps)))
    if not found:
        return None
    share, name, at_ps = max(found)
    return Anomaly(
        'second_peak',
        f'{name}: light about {at_ps * 1e-3:+.1f} ns from the middle of the gate, {share:.1%} of that inside;'
        f' {max_outside:.1%} is allowed',
        True,
    )


def _unequal_delays(folded: _Folded, allowed_ps: float) -> Anomaly | None:
    """Detectors whose photons are further apart than the uncertainty of their delays explains."""
    near = folded.inside
    centres = [
        centre_of_light(folded.distance_ps[near], counts[near], level)
        for counts, level in zip(folded.counts, folded.level, strict=True)
    ]
    for a, b in combinations(range(len(QUANTUM)), 2):
        apart_ps = abs(centres[a][0] - centres[b][0])
        if apart_ps > allowed_ps + _SIGMA * np.hypot(centres[a][1], centres[b][1]):
            return Anomaly(
                'unequal_delays',
                f'{QUANTUM[a].name} and {QUANTUM[b].name}: their photons are {apart_ps:.0f} ps apart after the'
                f' calibrated delays are taken off, {allowed_ps:.0f} ps are allowed',
                True,
            )
    return None


def _unequal_profiles(folded: _Folded, bin_ps: float, width_ps: int, apart_ps: float) -> Anomaly | None:
    """Detectors whose photons are spread differently in time: whoever knows the time knows something of the bit.

    The cumulated profile of one detector must not run ahead of another's by more than their delays may differ.  Its
    statistical error is bounded by the inequality of Dvoretzky, Kiefer, Wolfowitz and Massart.
    """
    near = np.abs(folded.distance_ps) <= width_ps
    shift = ceil(apart_ps / bin_ps)
    counts = folded.counts[:, near]
    total = counts.sum(axis=1)
    noise = folded.level * np.count_nonzero(near)
    light = np.maximum(total - noise, 1.0)
    bands = np.sqrt(np.log(24 / FALSE_ALARM) / (2 * np.maximum(total, 1))) * total / light
    bands += _SIGMA * np.sqrt(noise + 1) / light
    cumulated = np.cumsum(counts - folded.level[:, None], axis=1) / light[:, None]
    for a, b in permutations(range(len(QUANTUM)), 2):
        ahead = float(np.max(cumulated[a, : -shift or None] - cumulated[b, shift:]))
        if ahead > _SHAPE + bands[a] + bands[b]:
            return Anomaly(
                'unequal_profiles',
                f'{ahead:.1%} of the photons of {QUANTUM[a].name} come before those of {QUANTUM[b].name},'
                f' {_SHAPE + bands[a] + bands[b]:.1%} are allowed',
                True,
            )
    return None


def _drift(profile: SlotProfile, gate: Gate) -> Anomaly | None:
    """A part of the run, ten seconds as a rule, in which all photons come earlier or later than in the rest."""
    inside, allowed_ps = gate.inside(profile), _MAX_DRIFT * gate.width_ps
    away_ps = profile.distance_ps(gate.offset_ps)[inside]
    parts = profile.counts.sum(axis=1)
    levels = profile.noise_level(parts, gate.offset_ps, gate.width_ps)
    for number, (counts, level) in enumerate(zip(parts[:, inside], levels.tolist(), strict=True), start=1):
        if counts.sum() - level * len(counts) < _LEAST_LIGHT:
            continue
        centre_ps, sigma_ps = centre_of_light(away_ps, counts, level)
        if abs(centre_ps) > allowed_ps + _SIGMA * sigma_ps:
            return Anomaly(
                'drift',
                f'part {number} of {len(parts)} of a run: the photons come {centre_ps:+.0f} ps from the middle of the'
                f' gate, {allowed_ps:.0f} ps are allowed',
                True,
            )
    return None
