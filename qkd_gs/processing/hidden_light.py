"""Light outside the gate that is spread so evenly that it looks like noise.

Noise clicks in pulses that the satellite sent empty, too, and in the gate as often as anywhere.  So the clicks in empty
pulses, known after sifting, tell how many clicks outside the gate are noise.  What is more than that is light which
somebody has delayed: it makes no errors, and hides a second peak.
"""

from __future__ import annotations

from math import ceil

from scipy.stats import binom

from qkd_gs.processing.anomalies import afterpulse_share
from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.timing.clicks import ClickStatistics

_FALSE_ALARM = 1e-9
_MATCHING = 0.5  # empty pulses whose random basis is the receiver's
_MAX_AFTERPULSES = 0.02


def hidden_light(
    counts: KeyCounts, clicks: ClickStatistics, admitted: int, gate_share: float, p_vacuum: float, max_outside: float
) -> str:
    """Reason to make no key, or empty.

    Given the sum of both, the clicks in empty pulses are binomial among them and the noise outside the gate; an
    honest pass is refused with a probability of 1e-9 at most.

    Parameters
    ----------
    counts : KeyCounts
        After sifting.
    clicks : ClickStatistics
        Of the same time.
    admitted : int
        Clicks in the gate that the hold-off let through.
    gate_share : float
        Gate over slot.
    p_vacuum : float
        Probability of an empty pulse.
    max_outside : float
        Part of the light that may lie outside the gate.
    """
    outside = int(clicks.outside.sum())
    inside = int(clicks.counts.sum()) - outside
    if not admitted or gate_share >= 1:
        return ''
    afterpulses = min(afterpulse_share(clicks), _MAX_AFTERPULSES) * (inside + outside)
    unexplained = max(ceil(outside - max_outside * inside - afterpulses), 0)
    empty = counts.pooled.vacuum.sifted
    in_empty = p_vacuum * _MATCHING * admitted / inside * gate_share
    chance = in_empty / (in_empty + 1 - gate_share)
    if binom.cdf(empty, empty + unexplained, chance) >= _FALSE_ALARM:
        return ''
    noise = empty / in_empty * (1 - gate_share)
    return (
        f'hidden_light: {outside} clicks outside the gate, but {empty} in empty pulses explain only {noise:.0f} of'
        f' them as noise, and afterpulses {afterpulses:.0f}'
    )
