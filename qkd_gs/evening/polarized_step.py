"""The step with the calibration light on a running station: the half-wave plate's zero, then the detectors' delays."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

from qkd_gs.calibration.measured_delays import FILE_NAME, MeasuredDelays, load_delays
from qkd_gs.calibration.observing.observation import ObservationKind
from qkd_gs.calibration.observing.polarization import Polarization, load_polarization
from qkd_gs.evening.evening import Outcome
from qkd_gs.evening.heard import Answer, Heard
from qkd_gs.evening.journal import Journal
from qkd_gs.evening.sequence import Doing, Performance
from qkd_gs.evening.steps import State
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.settings.station import StationSettings

NOT_DONE = 'not done on the running station'
Dark = Callable[[Heard], Generator[Doing, Heard, object]]
Measure = Callable[[ObservationKind, tuple[str, ...]], Generator[Doing, Heard, Answer]]
Kept = TypeVar('Kept', Polarization, MeasuredDelays)


def polarization(
    folder: Path,
    stored: StoredPointing | None,
    journal: Journal,
    again: bool,
    heard: Heard,
    make_dark: Dark,
    measure: Measure,
) -> Performance[Heard]:
    """Measure what tonight has not been measured yet.

    Parameters
    ----------
    folder : Path
        State folder.
    stored : StoredPointing or None
        The calibration as it is.
    again : bool
        Also what has been measured.
    make_dark : callable
        Steps that must be done so that the shutter can close.
    measure : callable
        Asks for an observation, which is ended before a pass; given its kind and the codes of good answers.
    """
    said, values = [], {}
    zero = _tonights(load_polarization(folder), journal)
    delays = _tonights(load_delays(folder), journal)
    if (zero is None or delays is None) or again:
        yield from make_dark(heard)
    if zero is None or again:
        answer = yield from measure(ObservationKind.POLARIZATION, ('DONE', 'REFUSED'))
        if answer.code == 'REFUSED':
            return _as_it_was(stored, answer.sentence)
        said.append(answer.sentence)
        zero = load_polarization(folder)
    else:
        said.append(f'measured at {zero.utc}: {zero.summary}')
    if zero is not None:
        values = {'offset_deg': zero.offset_deg, 'sigma_deg': zero.sigma_deg, 'visibility': zero.visibility}
    if delays is not None and not again:
        return Outcome(State.DONE, '; '.join([*said, f'delays of the detectors measured at {delays.utc}']), values)
    answer = yield from measure(ObservationKind.DELAYS, ('DONE', 'REFUSED'))
    not_measured = f'delays of the detectors {NOT_DONE}: {answer.sentence}'
    said.append(answer.sentence if answer.code == 'DONE' else not_measured)
    return Outcome(State.DONE, '; '.join(said), values)


def delays_verdict(folder: Path, station: StationSettings) -> str:
    """That the detectors' delays in force do not hold; empty: they do, or nobody has measured them.

    Raises
    ------
    StationError
        A damaged file.
    """
    measured = load_delays(folder)
    if measured is None or measured.holds(station.detectors):
        return ''
    return measured.verdict(station.detectors, folder / FILE_NAME)


def _as_it_was(stored: StoredPointing | None, why: str) -> Outcome:
    """Without a light: the zero that was measured by other means, if there is one."""
    if stored is None or stored.hwp_sigma_deg is None:
        return Outcome(State.UNAVAILABLE, f'{NOT_DONE}: {why}; count by hand for `qkd-gs calibrate-hwp`')
    known = f'zero known to {stored.hwp_sigma_deg:.3f} deg, {stored.hwp_offset_deg:+.3f} deg from the setting'
    return Outcome(State.NOT_NEEDED, f'{known}; {NOT_DONE}: {why}')


def _tonights(kept: Kept | None, journal: Journal) -> Kept | None:
    fresh = kept is not None and parse_utc(kept.utc, 'utc') >= parse_utc(journal.begun_utc, 'begun_utc')
    return kept if fresh else None
