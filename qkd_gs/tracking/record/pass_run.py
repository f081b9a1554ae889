"""One pass from the first command to the parked mount: the tracker and the manifest of its session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qkd_gs.devices.capability import MountCapability, why_too_coarse
from qkd_gs.errors import StationError
from qkd_gs.forecast.forecast import forecast_pass
from qkd_gs.orbit.elements import load_elements
from qkd_gs.pointing.pass_window import PassWindow, pass_window_nearest, plan_against_sun
from qkd_gs.pointing.plan import PassPlan
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.session.manifest import LockedSpan
from qkd_gs.settings.downlink import load_downlink
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.tracking.control.tracker import Tracker
from qkd_gs.tracking.record.light_log import LightLog
from qkd_gs.tracking.record.lock_log import LockLog
from qkd_gs.tracking.record.manifest_writer import ManifestWriter, new_folder, tags_complete
from qkd_gs.tracking.types import Phase, TrackerInputs, TrackerOutputs


@dataclass(frozen=True)
class Knowledge:
    """The station's knowledge before a pass."""

    station: StationSettings
    site: Site
    pointing: StoredPointing
    elements: Path
    capability: MountCapability | None = None  # of the mount; None: that of the settings

    @property
    def calibrated(self) -> StationSettings:
        """Settings as calibrated."""
        return self.pointing.refine(self.station)

    def plan(self, window: PassWindow) -> PassPlan:
        """Plan of a pass for the calibrated mount.

        Raises
        ------
        StationError
            As `plan_against_sun`; or the mount is too coarse for the tracking camera.
        """
        model, station = self.pointing.model, self.calibrated
        plan = plan_against_sun(window.predicted, window.start_ns, window.end_ns, model, station, self.site)
        if self.capability is not None:
            coarse = why_too_coarse(self.capability, plan.max_az_rate_rad_s, station)
            if coarse:
                raise StationError(coarse, where='mount')
        return plan


class PassRun:
    """Track a pass, step by step, and keep its manifest up to date.

    Parameters
    ----------
    writer : ManifestWriter
        Of the session.
    window : PassWindow
        The pass.
    plan : PassPlan
        From `Knowledge.plan`.

    Attributes
    ----------
    tracker : Tracker
    notes : tuple of str
        Trimming of the plan, for the operator.
    light : LightLog
    start_ns, end_ns : int
        Predicted UTC between which the satellite is above the start elevation.
    """

    def __init__(self, writer: ManifestWriter, knowledge: Knowledge, window: PassWindow, plan: PassPlan) -> None:
        self.start_ns, self.end_ns = window.start_ns, window.end_ns
        self.notes = plan.notes
        self.writer = writer
        self.tracker = Tracker(knowledge.calibrated, window.predicted, knowledge.pointing.model, plan)
        self.light = LightLog()
        self._locks = LockLog(tuple(writer.manifest.locked))
        self._error = (writer.manifest.time_bias_s, writer.manifest.cross_track_m)

    @classmethod
    def begin(
        cls, folder: Path, at_ns: int, now_ns: int, knowledge: Knowledge, simulated: bool, run: dict[str, Any]
    ) -> PassRun:
        """A new session for the pass nearest to `at_ns`.

        Raises
        ------
        StationError
            No such pass, one that this mount cannot track, one that is over, or a folder in use.
        """
        station, site = knowledge.calibrated, knowledge.site
        window = pass_window_nearest(load_elements(knowledge.elements), site, at_ns, station)
        if now_ns > window.end_ns:
            raise StationError('this pass is over', hint='`qkd-gs passes` lists the next ones')
        plan = knowledge.plan(window)
        forecast = forecast_pass(window.found, site, station, load_downlink(), gaps_ns=plan.gaps)
        facts = {'plan': plan.summary(), 'forecast': forecast.to_dict() if forecast is not None else None}
        new_folder(folder)
        writer = ManifestWriter.begin(
            folder, window.found, site, station, knowledge.elements, now_ns, simulated, run | facts
        )
        knowledge.pointing.save(folder)
        return cls(writer, knowledge, window, plan)

    @classmethod
    def resume(cls, folder: Path, knowledge: Knowledge) -> PassRun:
        """Continue the pass of a session whose process has died."""
        writer = ManifestWriter.resume(folder)
        elements = load_elements(writer.manifest.orbit_path(folder)).only(writer.manifest.satellite)
        at_ns = writer.manifest.culmination_ns
        window = pass_window_nearest(elements, knowledge.site, at_ns, knowledge.calibrated, force=True)
        return cls(writer, knowledge, window, knowledge.plan(window))

    @property
    def done(self) -> bool:
        """The mount is parked."""
        return self.tracker.done

    @property
    def locked(self) -> list[LockedSpan]:
        """Spans of UTC in which the satellite was locked."""
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
        """Update the manifest on disk; takes some milliseconds."""
        self.writer.renew(self.locked, *self._error)

    def close(self, **fields: Any) -> None:
        """Close the session; `fields` as `ManifestWriter.renew` takes them."""
        self.writer.renew(self.locked, *self._error, closed=tags_complete(self.writer.folder), **fields)
