"""Quick check of a calibration on three stars."""

from __future__ import annotations

from collections.abc import Mapping

from qkd_gs.calibration.calibrator import (
    STAR_RULES,
    CalibrationInputs,
    CalibrationState,
    Calibrator,
    star_tracks,
    stars_to_visit,
)
from qkd_gs.calibration.check import STARS, Check, Verdict, check_stars, corrected
from qkd_gs.calibration.observing.observation import Observation, ObservationState, Observed, Place, Sensed
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.tracking.control.requests import GUIDING_STARS, TRACKING_STARS
from qkd_gs.tracking.types import CameraRequest, CameraRole, MountTask


class CheckObservation(Observation):
    """Visit three stars, and tell whether the calibration holds; it fails where a new one is needed."""

    task = MountTask.CHECKING
    requests: Mapping[CameraRole, CameraRequest] = {
        CameraRole.GUIDING: GUIDING_STARS, CameraRole.TRACKING: TRACKING_STARS
    }  # fmt: skip

    def __init__(self, place: Place, now_ns: int) -> None:
        super().__init__(place)
        site, pointing = place.site, place.pointing
        stars = stars_to_visit(site, now_ns, STARS, pointing.aligned_rad)
        self._calibrator = Calibrator(stars, star_tracks(site), pointing.model, place.refined, STAR_RULES)
        self._found: Check | None = None

    def _go_on(self, now_ns: int, sensed: Sensed) -> Observed:
        """Go on with the visits."""
        out = self._calibrator.step(now_ns, CalibrationInputs(sensed.mount, sensed.guiding, sensed.tracking))
        if out.state is CalibrationState.RUNNING:
            return Observed(ObservationState.RUNNING, out.axes, out.message)
        if out.state is CalibrationState.FAILED:
            return Observed(ObservationState.FAILED, None, out.message)
        self._found = check_stars(self._place.pointing, self._calibrator.report().stars)
        state = ObservationState.FAILED if self._found.verdict is Verdict.NEEDED else ObservationState.DONE
        return Observed(state, None, self._found.summary)

    def keep(self, now_ns: int) -> str:
        """Keep zero points that have moved."""
        assert self._found is not None
        if self._found.verdict is Verdict.ZEROS_MOVED:
            corrected(self._place.pointing, self._found, format_utc(now_ns)).save(self._place.folder)
        return self._found.summary
