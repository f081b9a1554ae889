"""Observations between two passes, one at a time: where the telescope looks, and what the light of stars and sky is.

Each of them wraps a core that is stepped, and keeps its result in the state folder.  What it waits for at the
beginning, an image or a count, is waited for without a limit: whoever has asked says when it is too late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol

from qkd_gs.calibration.calibrator import star_tracks
from qkd_gs.calibration.finding.search import REQUEST, Search, SearchState
from qkd_gs.calibration.light.result import keep_noise_map, keep_star_test
from qkd_gs.calibration.light.survey import (
    LightBin,
    Survey,
    SurveyInputs,
    SurveyState,
    sky_directions,
    star_directions,
)
from qkd_gs.calibration.outcome import aligned
from qkd_gs.calibration.plate_solving.solver import PlateSolver
from qkd_gs.calibration.stars import load_stars
from qkd_gs.devices.camera import Frame
from qkd_gs.devices.mount import MountReading
from qkd_gs.errors import StationError
from qkd_gs.pointing.mount_model import AxisMotion
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.tracking.control.requests import GUIDING_STARS, TRACKING_STARS
from qkd_gs.tracking.types import CameraRequest, CameraRole, MountTask, SpotMeasurement


class ObservationKind(IntEnum):
    """Tasks of the action `observe`."""

    FIND = 1
    STAR_TEST = 2
    NOISE_MAP = 3


class ObservationState(Enum):
    """States of an observation."""

    RUNNING = 'running'
    DONE = 'done'  # `Observation.keep` gives its result
    FAILED = 'failed'


@dataclass(frozen=True)
class Sensed:
    """What the station has measured since the last step, oldest first."""

    mount: MountReading
    guiding: tuple[SpotMeasurement, ...] = ()
    tracking: tuple[SpotMeasurement, ...] = ()
    frames: tuple[Frame, ...] = ()  # full images of the guiding camera
    bins: tuple[LightBin, ...] = ()


@dataclass(frozen=True)
class Observed:
    """Command and progress.

    Attributes
    ----------
    axes : AxisMotion or None
        None: stop.
    work : callable or None
        Seconds of computing; whoever steps has it done elsewhere, once, and gives the result to `Observation.finish`.
    """

    state: ObservationState
    axes: AxisMotion[float] | None
    message: str
    work: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Place:
    """Station, site and state folder of an observation."""

    site: Site
    station: StationSettings  # as the settings have it
    pointing: StoredPointing
    folder: Path

    @property
    def refined(self) -> StationSettings:
        """The settings as calibrated."""
        return self.pointing.refine(self.station)


class Observation(Protocol):
    """One observation; `step` until it is over, then `keep`."""

    task: MountTask
    requests: Mapping[CameraRole, CameraRequest]
    images: ClassVar[bool]  # whether it needs the images of the guiding camera

    def step(self, now_ns: int, sensed: Sensed) -> Observed:
        """Take what was measured since the last step."""

    def finish(self, now_ns: int, result: Any) -> None:
        """Take the result of `Observed.work`."""

    def abort(self, why: str = 'aborted by the operator') -> None:
        """Stop; nothing is kept."""

    def keep(self, now_ns: int) -> str:
        """Keep the result; one sentence."""


def begin_observation(kind: ObservationKind, place: Place, solver: PlateSolver) -> Observation:
    """An observation of a kind.

    Raises
    ------
    StationError
        The pointing is not calibrated.
    """
    if kind is ObservationKind.FIND:
        return FindItself(place, solver)
    if place.pointing.coarse:
        raise StationError('the pointing is not calibrated', hint='run `qkd-gs calibrate`')
    return LightObservation(kind, place)


class FindItself:
    """Find the orientation from a compass alignment, or from what is left of a calibration."""

    task = MountTask.FINDING
    requests: Mapping[CameraRole, CameraRequest] = {CameraRole.GUIDING: REQUEST}
    images: ClassVar[bool] = True

    def __init__(self, place: Place, solver: PlateSolver) -> None:
        self._place, self._solver = place, solver
        self._search: Search | None = None
        self._failed = ''

    def step(self, now_ns: int, sensed: Sensed) -> Observed:
        """Begin with the first image; a set-point for the mount until the last one is there."""
        if self._failed:
            return Observed(ObservationState.FAILED, None, self._failed)
        if self._search is None:
            if not sensed.frames:
                return Observed(ObservationState.RUNNING, None, 'waits for an image of the guiding camera')
            model = self._place.pointing.model
            self._search = Search(self._place.site, self._place.station, model, self._solver, now_ns)
        out = self._search.step(now_ns, sensed.mount, sensed.frames)
        state = {SearchState.DONE: ObservationState.DONE, SearchState.FAILED: ObservationState.FAILED}
        said = out.message or 'photographs the first strip of sky'
        return Observed(state.get(out.state, ObservationState.RUNNING), out.axes, said, out.work)

    def finish(self, now_ns: int, result: Any) -> None:
        """Take the identification of a strip, unless it was aborted meanwhile."""
        if self._search is not None and self._search.state is SearchState.SOLVING:
            self._search.finish(now_ns, result)

    def abort(self, why: str = 'aborted by the operator') -> None:
        """Stop; nothing is changed."""
        self._failed = self._failed or why

    def keep(self, now_ns: int) -> str:
        """Store the zero points, from which a calibration starts."""
        assert self._search is not None
        assert self._search.found is not None
        found = self._search.found
        aligned(found, self._place.pointing, self._place.station, now_ns).save(self._place.folder)
        return found.summary


class LightObservation:
    """Count at stars of known brightness, or over the empty sky."""

    task = MountTask.MEASURING
    images: ClassVar[bool] = False

    def __init__(self, kind: ObservationKind, place: Place) -> None:
        self._kind, self._place = kind, place
        self._survey: Survey | None = None
        self._failed = ''
        stars = kind is ObservationKind.STAR_TEST
        wanted = {CameraRole.GUIDING: GUIDING_STARS, CameraRole.TRACKING: TRACKING_STARS}
        self.requests: Mapping[CameraRole, CameraRequest] = wanted if stars else {}

    def step(self, now_ns: int, sensed: Sensed) -> Observed:
        """Begin with the first counts."""
        if self._failed:
            return Observed(ObservationState.FAILED, None, self._failed)
        if self._survey is None:
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

    def finish(self, now_ns: int, result: Any) -> None:
        """Nothing is computed elsewhere."""

    def abort(self, why: str = 'aborted by the operator') -> None:
        """Stop; nothing is kept."""
        self._failed = self._failed or why

    def keep(self, now_ns: int) -> str:
        """Compute the result and keep it with its counts."""
        assert self._survey is not None
        place, readings = self._place, self._survey.readings
        if self._kind is ObservationKind.STAR_TEST:
            return keep_star_test(place.folder, place.site, place.station, readings, load_stars(), now_ns)[1]
        return keep_noise_map(place.folder, place.site, place.station, readings, now_ns)[1]
