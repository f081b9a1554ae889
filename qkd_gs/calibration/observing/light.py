"""The light of stars of known brightness, and of the empty sky."""

from __future__ import annotations

from collections.abc import Mapping

from qkd_gs.calibration.calibrator import star_tracks
from qkd_gs.calibration.light.result import keep_noise_map, keep_star_test, kept_dark
from qkd_gs.calibration.light.survey import Survey, SurveyInputs, SurveyState, sky_directions, star_directions
from qkd_gs.calibration.observing.observation import (
    Observation,
    ObservationKind,
    ObservationState,
    Observed,
    Place,
    Sensed,
)
from qkd_gs.calibration.stars import load_stars
from qkd_gs.tracking.control.requests import GUIDING_STARS, TRACKING_STARS
from qkd_gs.tracking.types import CameraRequest, CameraRole, MountTask


class LightObservation(Observation):
    """Count at stars of known brightness, or over the empty sky."""

    task = MountTask.MEASURING

    def __init__(self, kind: ObservationKind, place: Place) -> None:
        super().__init__(place)
        self._kind = kind
        self._survey: Survey | None = None
        stars = kind is ObservationKind.STAR_TEST
        wanted = {CameraRole.GUIDING: GUIDING_STARS, CameraRole.TRACKING: TRACKING_STARS}
        self.requests: Mapping[CameraRole, CameraRequest] = wanted if stars else {}

    def _go_on(self, now_ns: int, sensed: Sensed) -> Observed:
        """Begin with the first counts."""
        if self._survey is None:
            if sensed.dome is None or sensed.dome:
                return Observed(ObservationState.RUNNING, None, 'waits until the shutter is open')
            if not sensed.bins:
                return Observed(ObservationState.RUNNING, None, 'waits for the counts of the detectors')
            self._survey = self._begun(now_ns)
        out = self._survey.step(now_ns, SurveyInputs(sensed.mount, sensed.guiding, sensed.tracking, sensed.bins))
        state = {SurveyState.DONE: ObservationState.DONE, SurveyState.FAILED: ObservationState.FAILED}
        return Observed(state.get(out.state, ObservationState.RUNNING), out.axes, out.message)

    def _begun(self, now_ns: int) -> Survey:
        site, model = self._place.site, self._place.pointing.model
        stars = self._kind is ObservationKind.STAR_TEST
        directions = star_directions(site, now_ns) if stars else sky_directions(site, now_ns)
        return Survey(directions, star_tracks(site), model, self._place.refined, now_ns)

    def keep(self, now_ns: int) -> str:
        """Compute the result and keep it with its counts."""
        assert self._survey is not None
        place, readings = self._place, self._survey.readings
        if self._kind is ObservationKind.STAR_TEST:
            return keep_star_test(place.folder, place.site, place.station, readings, load_stars(), now_ns)[1]
        readings = [*kept_dark(place.folder, now_ns), *readings]
        return keep_noise_map(place.folder, place.site, place.station, readings, now_ns)[1]
