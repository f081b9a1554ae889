"""Pulse number of a beacon tag in the satellite's log, and the check that the number is right."""

from __future__ import annotations

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.settings.timing_model import TimingModel
from qkd_gs.timing.pulse_times import PulseTimes

# The laser fires about 50 ns off its grid, each pulse by its own amount, which is in the log.  So a numbering that is
# wrong by one pulse is detected: its residuals scatter by 50 ns instead of by the single-pulse jitter.
_MAX_SCATTER_NS = 5.0
_MIN_CONTRAST = 5.0
_NEIGHBOURS = 2  # that a pulse is looked for between
_SAMPLES = 20
_PREDICTED = 0.25  # of the beacon's period: how good the prediction must be without jitter
_SAMPLE_TAGS = 400
_ANY = TimingModel()


def nearest(expected_ps: IntArray, log_ps: IntArray, shift: int) -> IntArray:
    """Index into the log of the pulse nearest to each expected time, `shift` pulses on."""
    index = np.clip(np.searchsorted(log_ps, expected_ps), 1, len(log_ps) - 1)
    index -= expected_ps - log_ps[index - 1] < log_ps[index] - expected_ps
    chosen: IntArray = np.clip(index + shift, 0, len(log_ps) - 1)
    return chosen


def residuals_ns(expected_ps: IntArray, log: PulseTimes, shift: int) -> FloatArray:
    """Emission minus expected time of the log's nearest pulse, `shift` pulses on, in ns; expected times ascend."""
    residual_ns, done = np.empty(len(expected_ps)), 0
    for until_ps, log_ps in log.segments(abs(shift) + _NEIGHBOURS):
        left = expected_ps[done:]
        here = left if until_ps is None else left[: np.searchsorted(left, until_ps)]
        if len(here):
            residual_ns[done : done + len(here)] = (log_ps[nearest(here, log_ps, shift)] - here) * 1e-3
        done += len(here)
    return residual_ns


def find_shift(expected_ps: IntArray, log: PulseTimes, model: TimingModel = _ANY) -> int:
    """Offset of the prediction in pulses.

    A beacon without jitter of its own looks the same at every offset.  It is numbered by the prediction, which must be
    good to a quarter of its period; a number that is wrong by one would show as errors of the decoy states.

    Raises
    ------
    StationError
        No numbering fits, or more than one does.
    """
    if len(log) < 2:
        raise StationError('the satellite log is empty', where='beacon log')
    reach = model.search_pulses
    samples = [(run, log.around(int(run[0]), int(run[-1]), reach + _NEIGHBOURS)) for run in _samples(expected_ps)]
    if model.numbering == 'prediction':
        return _by_prediction(samples)
    shifts = np.arange(-reach, reach + 1)
    scatter_ns = np.array(
        [np.median([_scatter_ns(run, log_ps, shift) for run, log_ps in samples]) for shift in shifts.tolist()]
    )
    order = np.argsort(scatter_ns)
    best, next_best = scatter_ns[order[0]], scatter_ns[order[1]]
    if next_best < _MIN_CONTRAST * best and scatter_ns.max() < _MAX_SCATTER_NS:
        if model.numbering == 'jitter':
            raise StationError(
                'the beacon is regular, and by source.timing.numbering its pulses are numbered by their jitter',
                where='beacon log',
            )
        return _by_prediction(samples)
    if not best < _MAX_SCATTER_NS or next_best < _MIN_CONTRAST * best:
        raise StationError(
            f'the beacon tags fit no numbering of the satellite log (scatter {best:.1f} ns, next {next_best:.1f} ns)',
            where='beacon log',
            hint='is it the log of this pass, and are the elements and the PPS pulses right? is most of it noise?',
        )
    return int(shifts[order[0]])


def _by_prediction(samples: list[tuple[IntArray, IntArray]]) -> int:
    """Offset 0, if the prediction is good enough everywhere: a regular beacon does not show where it slips a pulse."""
    period_ps = float(np.median([np.median(np.diff(log_ps)) for _, log_ps in samples]))
    away_ps = np.array([np.median(log_ps[nearest(run, log_ps, 0)] - run) for run, log_ps in samples])
    worst_ps = float(away_ps[np.argmax(np.abs(away_ps))])
    if abs(worst_ps) > _PREDICTED * period_ps:
        raise StationError(
            f'the beacon is regular, and its pulses are up to {worst_ps * 1e-6:+.1f} us from where they are predicted,'
            f' {_PREDICTED * period_ps * 1e-6:.3g} us are allowed: which is which?',
            where='beacon log',
            hint='the delay (or the orbit), the PPS, or the epoch or rate of the log is wrong; a jitter of the beacon'
            ' would number its pulses',
        )
    return 0


def _samples(expected_ps: IntArray) -> list[IntArray]:
    """The densest of evenly spread runs of tags: where the beacon is bright, noise tags are few."""
    starts = np.linspace(0, max(len(expected_ps) - _SAMPLE_TAGS, 0), 10 * _SAMPLES).astype(int)
    runs = [expected_ps[start : start + _SAMPLE_TAGS] for start in starts]
    return sorted(runs, key=lambda run: int(run[-1] - run[0]))[:_SAMPLES]


def _scatter_ns(expected_ps: IntArray, log_ps: IntArray, shift: int) -> float:
    """Robust scatter of the residuals of neighbouring tags; their slow trend drops out."""
    residual_ps = log_ps[nearest(expected_ps, log_ps, shift)] - expected_ps
    return float(np.median(np.abs(np.diff(residual_ps))) * 1.4826e-3 / np.sqrt(2))
