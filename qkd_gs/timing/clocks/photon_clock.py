"""The satellite's clock from the clicks of public pulses, where there is no beacon.

The clicks know the phase of the pulse train; its smooth course is what a beacon would give, up to a whole number of
periods.  The intensities of the disclosed pulses tell that number: pulses with more light click more often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from qkd_gs.arrays import AnyFloatArray, ByteArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.settings.public_pulses import PublicPulses
from qkd_gs.settings.timing_model import TimingModel
from qkd_gs.timing.clocks.clock import GRID_PS, ClockFit, corrected_clock, fitted
from qkd_gs.timing.clocks.phase import tracks
from qkd_gs.timing.clocks.pps import PpsTimescale
from qkd_gs.timing.clocks.residuals import Residuals
from qkd_gs.timing.clocks.thinned import Thinned
from qkd_gs.timing.public_pulses import is_public
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.spline import TimeMap
from qkd_gs.timing.tags import QUANTUM, TagBlock

_GATES_NS = (10.0, 2.5)
_PART = 0.25  # of the period, if that is less
_MARGIN = 10.0  # by which the likelihood of the right number, its logarithm, must exceed that of any other
_MOST_CLICKS = 4000  # of a track, that are compared with the disclosed pulses
_NOISE = 0.02  # clicks of an empty pulse over those of an average one: enough to reckon with
_WHERE = 'public pulses'


@dataclass(frozen=True)
class PublicTrain:
    """The public pulses of a source.

    Attributes
    ----------
    rule : PublicPulses
    model : TimingModel
    period : PulsePeriod
    weights : (3,) float
        Mean photon numbers of signal, decoy and vacuum over that of an average pulse.
    starts : (b,) int64
        First pulses of the disclosed blocks, ascending.
    intensity : (b, block) uint8
        Intensities of their pulses.
    """

    rule: PublicPulses
    model: TimingModel
    period: PulsePeriod
    weights: AnyFloatArray
    starts: IntArray
    intensity: ByteArray


def recover_clock_without_beacon(
    blocks: Iterable[TagBlock],
    delay_ps: IntArray,
    ends_ps: tuple[int, int],
    scale: PpsTimescale,
    emission_ps: Callable[[IntArray], IntArray],
    train: PublicTrain,
) -> ClockFit:
    """Fit the satellite's clock to the clicks of the public pulses; those of other pulses have no part in it.

    Parameters
    ----------
    blocks : iterable of TagBlock
        All tags.
    delay_ps : (7,) int64
        Known delay by channel.
    ends_ps : (int, int)
        TDC times between which the clock is needed.
    scale, emission_ps
        As in `recover_clock`.  The prediction must be right within ``rule.margin`` pulses.

    Raises
    ------
    StationError
        Too few clicks, no pulse train in them, or one that fits no numbering.
    """
    start_ps, end_ps = ends_ps[0] - GRID_PS, ends_ps[1] + 2 * GRID_PS
    grid = np.arange(start_ps, end_ps, GRID_PS, dtype=np.int64)
    predicted = emission_ps(scale.utc_ps(grid))
    rough = TimeMap.through(start_ps, GRID_PS, predicted - grid, np.zeros(len(grid)))
    click_ps = np.sort(_public_clicks(blocks, delay_ps, ends_ps, rough, train))
    if not len(click_ps):
        raise StationError('no click is that of a public pulse', where=_WHERE)
    expected_ps = rough(click_ps)
    pulse = _nearest(train.period, expected_ps)
    cycles = (expected_ps - train.period.time_ps(pulse)) / train.period.ps
    t_s = (click_ps - start_ps) * 1e-12
    found = tracks(t_s, cycles)
    if not found:
        raise StationError('the clicks of the public pulses show no pulse train', where=_WHERE, hint='is there light?')
    total, known = np.full(len(t_s), np.nan), 0
    for track in found:
        first, end = np.searchsorted(t_s, [track.start_s, track.end_s])
        part = slice(int(first), int(end))
        turns = np.rint(track.at(t_s[part]) - cycles[part]).astype(np.int64)
        shift = _number(pulse[part] - turns, train)
        if shift is not None:
            total[part] = cycles[part] + turns - shift
            known += 1
    numbered = np.isfinite(total)
    if not known:
        raise StationError(
            'the clicks fit no numbering of the disclosed pulses',
            where=_WHERE,
            hint='the delay (or the orbit), the PPS, or the epoch of the log is wrong; or there is too little light',
        )
    value_ns = total[numbered] * (-1e-3 * train.period.ps)
    residuals = Residuals.of_all(click_ps[numbered], start_ps, value_ns)
    gates_ns = [min(gate_ns, _PART * train.period.ps * 1e-3) for gate_ns in _GATES_NS]
    smooth, residuals = fitted(residuals, gates_ns, train.model.knot_s)
    return corrected_clock(grid, predicted, smooth, residuals, len(click_ps) - len(residuals), train.model.knot_s)


def _public_clicks(
    blocks: Iterable[TagBlock], delay_ps: IntArray, ends_ps: tuple[int, int], rough: TimeMap, train: PublicTrain
) -> IntArray:
    """Times of the clicks that belong to public pulses wherever the prediction errs within the margin, delays off."""
    clicks = Thinned()
    for block in blocks:
        quantum = (block.channel >= QUANTUM[0]) & (block.channel <= QUANTUM[-1])
        time_ps = block.time_ps[quantum] - delay_ps[block.channel[quantum]]
        time_ps = time_ps[(time_ps >= ends_ps[0]) & (time_ps <= ends_ps[1])]
        pulse = _nearest(train.period, rough(time_ps))
        clicks.add(time_ps[is_public(train.rule, pulse, train.rule.margin)])
    return clicks.times_ps()


def _nearest(period: PulsePeriod, time_ps: IntArray) -> IntArray:
    return period.before(time_ps + period.whole_ps // 2)


def _number(pulse: IntArray, train: PublicTrain) -> int | None:
    """Number to be added to these pulses, or None if the disclosed ones do not tell."""
    reach = train.rule.margin
    block = np.searchsorted(train.starts, pulse, side='right') - 1
    into = pulse - train.starts[np.maximum(block, 0)] if len(train.starts) else np.zeros(len(pulse), np.int64)
    usable = np.flatnonzero((block >= 0) & (into >= reach) & (into < train.rule.block - reach))
    usable = usable[:: max(len(usable) // _MOST_CLICKS, 1)]
    weight = np.log((train.weights + _NOISE) / (1 + _NOISE))
    score = np.zeros(2 * reach + 1)
    for number in np.unique(block[usable]).tolist():
        shifted = sliding_window_view(weight[train.intensity[number]], 2 * reach + 1)
        for place in into[usable[block[usable] == number]].tolist():
            score += shifted[place - reach]
    best, next_best = np.argsort(score)[[-1, -2]]
    if score[best] <= 0 or score[best] - score[next_best] < _MARGIN:
        return None
    return int(best) - reach
