"""Autofocus on a star."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from qkd_gs.calibration.calibrator import star_tracks
from qkd_gs.calibration.focus import FocusState, forget_start, note_start, noted_start, save_focus
from qkd_gs.calibration.light.survey import star_directions
from qkd_gs.calibration.observing.observation import Observation, ObservationState, Observed, Place, Sensed
from qkd_gs.calibration.star_focus import StarFocus
from qkd_gs.tracking.control.requests import TRACKING_STARS
from qkd_gs.tracking.types import CameraRequest, CameraRole, MountTask

_STATES = {FocusState.DONE: ObservationState.DONE, FocusState.FAILED: ObservationState.FAILED}


class FocusObservation(Observation):
    """Move the focuser to where a star is smallest; one that was cut off is begun about the same place again."""

    task = MountTask.FOCUSING
    requests: Mapping[CameraRole, CameraRequest] = {CameraRole.TRACKING: TRACKING_STARS}
    images: ClassVar[CameraRole | None] = CameraRole.TRACKING

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._focus: StarFocus | None = None
        self._noted = False

    def _go_on(self, now_ns: int, sensed: Sensed) -> Observed:
        """Begin with the first reading of the focuser and the first image of the tracking camera."""
        if self._focus is None:
            if sensed.focuser is None or not sensed.frames:
                what = 'the focuser' if sensed.focuser is None else 'an image of the tracking camera'
                return Observed(ObservationState.RUNNING, None, f'waits for {what}')
            self._focus = self._begun(now_ns)
        focus = self._focus
        out = focus.step(now_ns, sensed.mount, sensed.focuser, sensed.frames)
        if focus.run is not None and not self._noted:
            self._noted = True
            note_start(self._place.folder, now_ns, focus.run.home)
        if self._noted and out.state is FocusState.FAILED:
            forget_start(self._place.folder)
        return Observed(_STATES.get(out.state, ObservationState.RUNNING), out.axes, out.message, None, out.focus_to)

    def _begun(self, now_ns: int) -> StarFocus:
        site, folder = self._place.site, self._place.folder
        star = star_directions(site, now_ns, 1)[0].star
        assert star is not None
        model, station = self._place.pointing.model, self._place.refined
        return StarFocus(star, star_tracks(site), model, station, now_ns, noted_start(folder, now_ns))

    def abort(self, why: str = 'aborted by the operator') -> None:
        """Stop; the focuser goes back, and nothing is kept."""
        if self._focus is None:
            super().abort(why)
        else:  # which tells where the focuser goes back to
            self._focus.abort(why)

    def keep(self, now_ns: int) -> str:
        """Keep position, width and temperature."""
        assert self._focus is not None
        save_focus(self._place.folder, self._focus.result(now_ns))
        forget_start(self._place.folder)
        return self._focus.summary
