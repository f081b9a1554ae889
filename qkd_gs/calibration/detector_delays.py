"""Delays of the four detectors relative to each other, from a pulsed source whose trigger is tagged.

Steady light cannot give delays.  A pulsed laser of the satellite's wavelength lights all four detectors weakly; its
electrical trigger goes to a free input of the time tagger (that of the beacon).  What the delays have in common does
not matter: the pass itself gives it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

import numpy as np

from qkd_gs.arrays import AnyFloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.timing.tags import QUANTUM, Channel, TagBlock

TRIGGER = Channel.BEACON
_PARTS = 10
_LEAST_CLICKS = 10_000
_MOST_CLICKS = 20_000_000
_MAX_OCCUPANCY = 0.1  # clicks a pulse: of two photons only the first is tagged, so bright light comes early
_REACH_PS = 2500.0  # about the peak; covers the diodes' response
_COARSE_PS = 500
_SIGMA = 6.0
_MAX_UNCERTAINTY_NS = 0.3  # more, and light at the edges of the gate would cost the key


@dataclass(frozen=True)
class DelayCalibration:
    """Relative delays of the detectors H, V, D, A; arrays (4,).

    Attributes
    ----------
    delay_ps : (4,) float64
        Their mean is 0.
    sigma_ps : (4,) float64
        Standard error.
    rms_ps : (4,) float64
        Spread of single photons: pulse of the source and response of the diode.
    clicks : (4,) int64
    drift_ps : float
        Largest change of a relative delay between a tenth of the measurement and the whole, chance included.
    uncertainty_ps : float
        Largest error of a relative delay: 6 standard errors, the drift, the pile-up of bright pulses, and what the
        time tagger was said to err between its inputs.
    """

    delay_ps: AnyFloatArray
    sigma_ps: AnyFloatArray
    rms_ps: AnyFloatArray
    clicks: IntArray
    drift_ps: float
    uncertainty_ps: float


def calibrate_delays(blocks: Iterable[TagBlock], tagger_ps: float) -> DelayCalibration:
    """Measure the relative delays.

    Parameters
    ----------
    blocks : iterable of TagBlock
        The trigger on the input of the beacon, the photons on those of the detectors.
    tagger_ps : float
        Largest error of the time tagger between two inputs, from its data sheet.

    Raises
    ------
    StationError
        No regular trigger, a detector with too few clicks or no peak, or too bright a source.
    """
    late_ps, channel, trigger_ps = _after_trigger(blocks)
    period_ps = _period(trigger_ps)
    delays, sigmas, spreads, clicks = [], [], [], []
    for number in QUANTUM:
        own_ps = late_ps[channel == number] % period_ps
        _require_weak(number.name, len(own_ps), len(trigger_ps))
        middle_ps, spread_ps, light = _peak(own_ps, period_ps, number.name)
        delays.append(middle_ps)
        spreads.append(spread_ps)
        sigmas.append(spread_ps / np.sqrt(light))
        clicks.append(len(own_ps))
    relative_ps = _relative(np.array(delays), period_ps)
    drift_ps = 0.0
    for part in np.array_split(np.arange(len(late_ps)), _PARTS):
        means = [
            _mean_near(late_ps[part][channel[part] == number] % period_ps, middle_ps, period_ps)
            for number, middle_ps in zip(QUANTUM, delays, strict=True)
        ]
        drift_ps = max(drift_ps, float(np.max(np.abs(_relative(np.array(means), period_ps) - relative_ps))))
    pile_up_ps = max(clicks) / len(trigger_ps) * max(spreads)
    return DelayCalibration(
        relative_ps,
        np.array(sigmas),
        np.array(spreads),
        np.array(clicks, np.int64),
        drift_ps,
        float(ceil(_SIGMA * np.sqrt(2) * max(sigmas) + drift_ps + pile_up_ps + tagger_ps)),
    )


def require_certain(found: DelayCalibration) -> DelayCalibration:
    """The same calibration.

    Raises
    ------
    StationError
        It is not certain enough for a key.
    """
    if found.uncertainty_ps > _MAX_UNCERTAINTY_NS * 1e3:
        raise StationError(
            f'gives the delays to {found.uncertainty_ps * 1e-3:.2f} ns only, {_MAX_UNCERTAINTY_NS:g} ns are needed',
            hint='measure longer, and when the receiver has warmed up',
        )
    return found


def _after_trigger(blocks: Iterable[TagBlock]) -> tuple[IntArray, IntArray, IntArray]:
    """Time of each photon since the trigger before it, its channel, and the triggers."""
    triggers, late, channels, last_ps, total = [], [], [], np.empty(0, np.int64), 0
    for block in blocks:
        own_ps = block.of(TRIGGER)
        known_ps = np.concatenate([last_ps, own_ps])
        photon = (block.channel >= QUANTUM[0]) & (block.channel <= QUANTUM[-1])
        before = np.searchsorted(known_ps, block.time_ps[photon], side='right') - 1
        seen = before >= 0
        late.append(block.time_ps[photon][seen] - known_ps[before[seen]])
        channels.append(block.channel[photon][seen].astype(np.int64))
        triggers.append(own_ps)
        last_ps = known_ps[-1:]
        total += int(seen.sum())
        if total > _MOST_CLICKS:
            raise StationError(f'more than {_MOST_CLICKS / 1e6:.0f} million clicks: a shorter measurement does')
    if not late:
        raise StationError('holds no tags')
    return np.concatenate(late), np.concatenate(channels), np.concatenate(triggers)


def _period(trigger_ps: IntArray) -> float:
    gaps_ps = np.diff(trigger_ps)
    period_ps = float(np.median(gaps_ps)) if len(gaps_ps) else 0.0
    if len(gaps_ps) < _LEAST_CLICKS or np.mean(np.abs(gaps_ps - period_ps) < 0.01 * period_ps) < 0.9:
        raise StationError(
            f'{len(trigger_ps)} tags on the input of the trigger, which are no regular pulses', hint='see --inputs'
        )
    whole = gaps_ps[np.abs(gaps_ps - period_ps) < 0.01 * period_ps]
    return float(whole.mean())


def _require_weak(name: str, clicks: int, pulses: int) -> None:
    if clicks < _LEAST_CLICKS:
        raise StationError(f'{name}: {clicks} clicks, {_LEAST_CLICKS} are needed', hint='measure longer')
    if clicks > _MAX_OCCUPANCY * pulses:
        raise StationError(
            f'{name}: {clicks / pulses:.2f} clicks a pulse, {_MAX_OCCUPANCY:g} are allowed: bright pulses come early',
            hint='dim the source',
        )


def _peak(own_ps: AnyFloatArray, period_ps: float, name: str) -> tuple[float, float, float]:
    """Middle, spread and number of a detector's photons."""
    counts = np.bincount((own_ps / _COARSE_PS).astype(np.int64))
    around = counts + np.roll(counts, 1) + np.roll(counts, -1)
    middle_ps = (float(np.argmax(around)) + 0.5) * _COARSE_PS
    for _ in range(3):
        middle_ps = _mean_near(own_ps, middle_ps, period_ps)
    away_ps = _away(own_ps, middle_ps, period_ps)
    near = np.abs(away_ps) < _REACH_PS
    noise = np.count_nonzero(~near) * 2 * _REACH_PS / max(period_ps - 2 * _REACH_PS, 1.0)
    light = np.count_nonzero(near) - noise
    if light < 0.5 * np.count_nonzero(near):
        raise StationError(f'{name}: no clear peak after the trigger', hint='see --inputs; shut out other light')
    variance = (np.sum(away_ps[near] ** 2) - noise * _REACH_PS**2 / 3) / light
    return middle_ps, float(np.sqrt(max(variance, 1.0))), float(light)


def _mean_near(own_ps: AnyFloatArray, middle_ps: float, period_ps: float) -> float:
    """Mean of the photons about a place; even noise on both sides does not move it."""
    away_ps = _away(own_ps, middle_ps, period_ps)
    near_ps = away_ps[np.abs(away_ps) < _REACH_PS]
    return middle_ps + (float(near_ps.mean()) if len(near_ps) else 0.0)


def _away(own_ps: AnyFloatArray, middle_ps: float, period_ps: float) -> AnyFloatArray:
    away_ps: AnyFloatArray = (own_ps - middle_ps + period_ps / 2) % period_ps - period_ps / 2
    return away_ps


def _relative(delay_ps: AnyFloatArray, period_ps: float) -> AnyFloatArray:
    """Delays without what they have in common."""
    apart_ps = _away(delay_ps, float(delay_ps[0]), period_ps)
    relative_ps: AnyFloatArray = apart_ps - apart_ps.mean()
    return relative_ps
