"""Quick check of a calibration on three stars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from qkd_gs.calibration.calibrator import (
    STAR_RULES,
    CalibrationInputs,
    CalibrationState,
    Calibrator,
    star_tracks,
    stars_to_visit,
)
from qkd_gs.calibration.check import STARS, Check, Verdict, check_stars, corrected
from qkd_gs.calibration.observing.observation import ObservationState, Observed, Place, Sensed
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.tracking.control.requests import GUIDING_STARS, TRACKING_STARS
from qkd_gs.tracking.types import CameraRequest, CameraRole, MountTask


class CheckObservation:
    """Visit three stars, and tell whether the calibration holds; it fails where a new one is needed."""

    task = MountTask.CHECKING
    requests: Mapping[CameraRole, CameraRequest] = {
        CameraRole.GUIDING: GUIDING_STARS, CameraRole.TRACKING: TRACKING_STARS
    }  # fmt: skip
    images: ClassVar[CameraRole | None] = None

    def __init__(self, place: Place, now_ns: int) -> None:
        self._place, site, pointing = place, place.site, place.pointing
        stars = stars_to_visit(site, now_ns, STARS, pointing.aligned_rad)
        self._calibrator = Calibrator(stars, star_tracks(site), pointing.model, place.refined, STAR_RULES)
        self._found: Check | None = None
        self._failed = ''

    def step(self, now_ns: int, sensed: Sensed) -> Observed:
        """Go on with the visits."""
        if self._failed:
            return Observed(ObservationState.FAILED, None, self._failed)
        out = self._calibrator.step(now_ns, CalibrationInputs(sensed.mount, sensed.guiding, sensed.tracking))
        if out.state is CalibrationState.RUNNING:
            return Observed(ObservationState.RUNNING, out.axes, out.message)
        if out.state is CalibrationState.FAILED:
            return Observed(ObservationState.FAILED, None, out.message)
        self._found = check_stars(self._place.pointing, self._calibrator.report().stars)
        state = ObservationState.FAILED if self._found.verdict is Verdict.NEEDED else ObservationState.DONE
        return Observed(state, None, self._found.summary)

    def finish(self, now_ns: int, result: Any) -> None:
        """Nothing is computed elsewhere."""

    def abort(self, why: str = 'aborted by the operator') -> None:
        """Stop; nothing is changed."""
        self._failed = self._failed or why

    def keep(self, now_ns: int) -> str:
        """Keep zero points that have moved."""
        assert self._found is not None
        if self._found.verdict is Verdict.ZEROS_MOVED:
            corrected(self._place.pointing, self._found, format_utc(now_ns)).save(self._place.folder)
        return self._found.summary
