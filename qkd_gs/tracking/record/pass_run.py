"""One pass from the first command to the parked mount: the tracker, and the session that remembers what it did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qkd_gs.errors import StationError
from qkd_gs.orbit.elements import load_elements
from qkd_gs.pointing.pass_window import pass_window_nearest, plan_against_sun
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.session.manifest import LockedSpan
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.tracking.control.tracker import Tracker
from qkd_gs.tracking.record.lock_log import LockLog
from qkd_gs.tracking.record.manifest_keeper import SessionBook, new_folder, tags_complete
from qkd_gs.tracking.types import Phase, TrackerInputs, TrackerOutputs


@dataclass(frozen=True)
class Knowledge:
    """What the station knows before a pass."""

    station: StationSettings
    site: Site
    pointing: StoredPointing
    elements: Path


class PassRun:
    """Take a pass, step by step.

    Attributes
    ----------
    tracker : Tracker
    start_ns, end_ns : int
        UTC between which the satellite stands above the start elevation, as predicted.
    """

    def __init__(self, book: SessionBook, knowledge: Knowledge) -> None:
        station = knowledge.pointing.refine(knowledge.station)
        elements = load_elements(book.folder / book.manifest.elements_file).only(book.manifest.satellite)
        _, predicted, self.start_ns, self.end_ns = pass_window_nearest(
            elements, knowledge.site, book.manifest.culmination_ns, station, force=True
        )
        model = knowledge.pointing.model
        plan = plan_against_sun(predicted, self.start_ns, self.end_ns, model, station, knowledge.site)
        self.book = book
        self.tracker = Tracker(station, predicted, model, plan)
        self._locks = LockLog(tuple(book.manifest.locked))
        self._error = (book.manifest.time_bias_s, book.manifest.cross_track_m)

    @classmethod
    def begin(
        cls, folder: Path, at_ns: int, now_ns: int, knowledge: Knowledge, simulated: bool, run: dict[str, Any]
    ) -> PassRun:
        """A new session for the pass nearest to `at_ns`.

        Raises
        ------
        StationError
            No such pass, one that this mount cannot take, one that is over, or a folder in use.
        """
        elements = load_elements(knowledge.elements)
        station = knowledge.pointing.refine(knowledge.station)
        found, predicted, start_ns, end_ns = pass_window_nearest(elements, knowledge.site, at_ns, station)
        if now_ns > end_ns:
            raise StationError('this pass is over', hint='`qkd-gs passes` lists the next ones')
        plan_against_sun(predicted, start_ns, end_ns, knowledge.pointing.model, station, knowledge.site)
        new_folder(folder)
        book = SessionBook.begin(folder, found, knowledge.site, station, knowledge.elements, now_ns, simulated, run)
        knowledge.pointing.save(folder)
        return cls(book, knowledge)

    @classmethod
    def resume(cls, folder: Path, knowledge: Knowledge) -> PassRun:
        """Go on with the pass of a session whose process has died."""
        return cls(SessionBook.resume(folder), knowledge)

    @property
    def done(self) -> bool:
        """The mount is parked."""
        return self.tracker.done

    @property
    def locked(self) -> list[LockedSpan]:
        """Stretches in which the satellite was held."""
        return self._locks.spans()

    def step(self, now_ns: int, inputs: TrackerInputs) -> TrackerOutputs:
        """One step of the loop."""
        outputs = self.tracker.step(now_ns, inputs)
        fine = outputs.phase is Phase.FINE
        self._locks.note(now_ns, fine)
        if fine:
            self._error = outputs.time_bias_s, outputs.cross_track_m
        return outputs

    def keep(self) -> None:
        """Bring the manifest on disk up to date; takes some milliseconds of the disk."""
        self.book.renew(self.locked, *self._error)

    def close(self, **figures: Any) -> None:
        """The pass is over; `figures` are fields of the manifest."""
        self.book.renew(self.locked, *self._error, closed=tags_complete(self.book.folder), **figures)
