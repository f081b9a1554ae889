"""Estimate of the signal error rate from decoy and vacuum states, before reconciliation."""

from __future__ import annotations

from math import sqrt

from qkd_gs.qkd.finite_key.counts import KeyCounts


def expected_qber(counts: KeyCounts) -> float:
    """Error rate of the signal bits, estimated from the decoy and vacuum states, 0 to 0.5.

    Background errors are the same for all intensities.  Optical errors are proportional to the detected photons,
    which on a link of high loss are proportional to mu.  The estimate discloses no signal bit.
    """
    both, mu = counts.pooled, counts.intensities
    if not (both.signal.sifted and both.decoy.sent and both.vacuum.sent):
        return 0.5
    background = both.vacuum.errors / both.vacuum.sent
    optics = max(0.0, both.decoy.errors / both.decoy.sent - background)
    scale = mu.signal / mu.decoy
    return min(0.5, (background + optics * scale) * both.signal.sent / both.signal.sifted)


def expected_qber_sigma(counts: KeyCounts) -> float:
    """Standard deviation of `expected_qber`, from the counted errors; 0.5 if there are no counts."""
    both, mu = counts.pooled, counts.intensities
    if not (both.signal.sifted and both.decoy.sent and both.vacuum.sent):
        return 0.5
    scale = mu.signal / mu.decoy
    decoy = scale / both.decoy.sent
    background = (scale - 1.0) / both.vacuum.sent
    variance = decoy * decoy * both.decoy.errors + background * background * both.vacuum.errors
    return sqrt(variance) * both.signal.sent / both.signal.sifted
