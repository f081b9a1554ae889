"""Point at stars and at the empty sky in turn, and count photons at each: for `star_test` and `noise_map`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from math import cos, degrees, hypot, pi, radians

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.calibration.light.noise_map import AZIMUTHS_DEG, ELEVATIONS_DEG
from qkd_gs.calibration.light.readings import BESIDE, HIP, SKY, LightReading
from qkd_gs.calibration.light.star_test import suitable_stars
from qkd_gs.calibration.star_visit import StarVisit, VisitRules, VisitState
from qkd_gs.calibration.stars import Star, StarTrack, load_stars, select_stars
from qkd_gs.devices.mount import MountReading
from qkd_gs.errors import StationError
from qkd_gs.orbit.horizon import horizon_rad
from qkd_gs.orbit.sky import moon_azel
from qkd_gs.pointing.azimuth_turn import nearest_turn
from qkd_gs.pointing.camera_geometry import CameraGeometry
from qkd_gs.pointing.mount_model import AxisMotion, MountModel
from qkd_gs.pointing.sky_offsets import separation
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.timing.live import CountBin
from qkd_gs.tracking.types import SpotMeasurement

STARS = 6
RULES = VisitRules(min_snr=4.0, centred_rad=15e-6, frames=10)  # the receiver's field is 100 urad wide
_STAR_S, _SKY_S = 4.0, 2.0  # counted at each place
_BESIDE_RAD = radians(0.1)  # above the star
_SETTLED_RAD, _SETTLED_S = 20e-6, 0.3
_SLEW_S = 60.0
_SILENT_S = 5.0
_MOON_RAD = radians(8)
_STAR_EL_RAD = radians(25), radians(75)


@dataclass(frozen=True)
class LightBin:
    """Counts of H, V, D, A in an interval of a second or more."""

    start_ns: int
    end_ns: int
    counts: tuple[int, int, int, int]

    @classmethod
    def of(cls, full: CountBin) -> LightBin:
        """The detectors' part of a bin of all channels."""
        h, v, d, a, *_ = full.counts
        return cls(full.start_ns, full.end_ns, (h, v, d, a))


@dataclass(frozen=True)
class Direction:
    """A place to count at: a star, or a direction fixed to the ground."""

    star: Star | None = None
    az_rad: float = 0.0
    el_rad: float = 0.0

    @property
    def name(self) -> str:
        """For people."""
        if self.star is not None:
            return self.star.name or f'{HIP}{self.star.hip}'
        return f'azimuth {degrees(self.az_rad):.0f}, elevation {degrees(self.el_rad):.0f} deg'


class SurveyState(IntEnum):
    """States of a survey."""

    RUNNING = 0
    DONE = 1
    FAILED = 2  # aborted, or a silent mount or counter


@dataclass(frozen=True)
class SurveyInputs:
    """Inputs since the last step, oldest first."""

    mount: MountReading
    guiding: tuple[SpotMeasurement, ...] = ()
    tracking: tuple[SpotMeasurement, ...] = ()
    bins: tuple[LightBin, ...] = ()


@dataclass(frozen=True)
class SurveyOutputs:
    """Command and progress."""

    state: SurveyState
    axes: AxisMotion[float] | None  # None: stop
    message: str


@dataclass
class _Place:
    """The present place of counting."""

    target: str
    since_ns: int
    seconds: float
    inside_ns: int | None = None
    bins: list[LightBin] = field(default_factory=list)


class Survey:
    """Visit directions in their order; `step` until DONE or FAILED.

    Parameters
    ----------
    directions : sequence of Direction
        In the order of the visits; one that cannot be reached is left out with its reason in `missing`.
    track_of : callable
        (star, start_ns, end_ns) -> `StarTrack`.
    model, station
        As calibrated.
    """

    def __init__(
        self,
        directions: Sequence[Direction],
        track_of: Callable[[Star, int, int], StarTrack],
        model: MountModel,
        station: StationSettings,
        now_ns: int,
    ) -> None:
        self.state = SurveyState.RUNNING
        self.readings: list[LightReading] = []
        self.missing: dict[str, str] = {}
        self._waiting = list(directions)
        self._total = len(directions)
        self._track_of, self._model, self._station = track_of, model, station
        self._cameras = CameraGeometry.of(station.guiding_camera), CameraGeometry.of(station.tracking_camera)
        self._direction = Direction()
        self._visit: StarVisit | None = None
        self._place: _Place | None = None
        self._offset = (0.0, 0.0)  # added to the model's encoder angles
        self._message = ''
        self._turns = 0.0
        self._track: StarTrack | None = None
        self._next(now_ns)

    def step(self, now_ns: int, inputs: SurveyInputs) -> SurveyOutputs:
        """Process new inputs; set-point for the mount."""
        axes = None
        while self.state is SurveyState.RUNNING and axes is None:
            if self._visit is not None:
                axes = self._visit.step(now_ns, inputs.mount, inputs.guiding, inputs.tracking)
                if axes is None:
                    self._after_visit(now_ns, self._visit)
            else:
                axes = self._count(now_ns, inputs)
        return SurveyOutputs(self.state, axes, self._message)

    def abort(self, why: str = 'aborted by the operator') -> None:
        """Stop."""
        if self.state is SurveyState.RUNNING:
            self.state, self._message = SurveyState.FAILED, why

    def _next(self, now_ns: int) -> None:
        """Go to the next direction."""
        self._visit = self._place = None
        if not self._waiting:
            self.state = SurveyState.DONE
            self._message = f'{self._total - len(self.missing)} of {self._total} places counted'
            return
        direction = self._direction = self._waiting.pop(0)
        self._message = f'{self._total - len(self._waiting)} of {self._total}: {direction.name}'
        self._offset = (0.0, 0.0)
        if direction.star is None:
            self._place = _Place(SKY, now_ns, _SKY_S)
            return
        self._track = self._track_of(direction.star, now_ns, now_ns + round((RULES.timeout_s + 60) * 1e9))
        self._visit = StarVisit(self._track, self._model, self._station.mount, *self._cameras, RULES, now_ns)

    def _after_visit(self, now_ns: int, visit: StarVisit) -> None:
        star = visit.track.star
        if visit.state is not VisitState.MEASURED or visit.measurement is None:
            self.missing[self._direction.name] = visit.reason
            self._next(now_ns)
            return
        found = visit.measurement
        az, el = self._model.encoder(found.az_rad, found.el_rad)
        self._offset = found.enc_az_rad - az, found.enc_el_rad - el  # with the turns of the azimuth axis
        self._visit, self._place = None, _Place(f'{HIP}{star.hip}', now_ns, _STAR_S)

    def _count(self, now_ns: int, inputs: SurveyInputs) -> AxisMotion[float] | None:
        place = self._place
        assert place is not None
        target = self._commanded(now_ns, inputs.mount)
        if not self._within_travel(target):
            self.missing[self._direction.name] = 'outside the travel of the axes'
            self._next(now_ns)
            return None
        meant = self._commanded(inputs.mount.stamp_ns, inputs.mount)
        off = hypot((inputs.mount.az_rad - meant.az_rad) * cos(meant.el_rad), inputs.mount.el_rad - meant.el_rad)
        if off > _SETTLED_RAD:
            place.inside_ns = None
            place.bins.clear()
            if now_ns - place.since_ns > _SLEW_S * 1e9:
                self.abort(f'the mount is {off * 1e6:.0f} urad away after {_SLEW_S:.0f} s')
            return target
        place.inside_ns = place.inside_ns or now_ns
        ready_ns = place.inside_ns + round(_SETTLED_S * 1e9)
        place.bins += [one for one in inputs.bins if one.start_ns >= ready_ns]
        if sum(one.end_ns - one.start_ns for one in place.bins) >= place.seconds * 1e9:
            self._finish(now_ns, place)
        elif now_ns - (place.bins[-1].end_ns if place.bins else ready_ns) > _SILENT_S * 1e9:
            self.abort('the detectors send no counts')
        return target

    def _finish(self, now_ns: int, place: _Place) -> None:
        first_ns, last_ns = place.bins[0].start_ns, place.bins[-1].end_ns
        middle_ns = (first_ns + last_ns) // 2
        az, el = self._aim(middle_ns)
        seconds = sum(one.end_ns - one.start_ns for one in place.bins) * 1e-9
        sums: list[int] = np.sum([one.counts for one in place.bins], axis=0).tolist()
        self.readings.append(
            LightReading(place.target, middle_ns, az % (2 * pi), el, seconds, (sums[0], sums[1], sums[2], sums[3]))
        )
        if place.target.startswith(HIP):
            self._offset = self._offset[0], self._offset[1] + _BESIDE_RAD
            self._place = _Place(BESIDE + place.target, now_ns, _STAR_S)
        else:
            self._next(now_ns)

    def _aim(self, t_ns: int) -> tuple[float, float]:
        """Apparent direction of the star, or of the empty sky."""
        if self._track is None or self._direction.star is None:
            return self._direction.az_rad, self._direction.el_rad
        state = self._track.at(t_ns)
        return state.az_rad, state.el_rad

    def _commanded(self, t_ns: int, mount: MountReading) -> AxisMotion[float]:
        if self._direction.star is not None and self._track is not None:
            motion = self._model.encoder_command(self._track.at(t_ns))
            return replace(motion, az_rad=motion.az_rad + self._offset[0], el_rad=motion.el_rad + self._offset[1])
        az, el = self._model.encoder(self._direction.az_rad, self._direction.el_rad)
        az += nearest_turn(az, self._station.mount.azimuth, mount.az_rad)
        return AxisMotion(t_ns, az, el, 0.0, 0.0, 0.0, 0.0)

    def _within_travel(self, axes: AxisMotion[float]) -> bool:
        mount = self._station.mount
        pairs = (axes.az_rad, mount.azimuth), (axes.el_rad, mount.elevation)
        return all(radians(axis.min_deg) <= angle <= radians(axis.max_deg) for angle, axis in pairs)


def star_directions(
    site: Site, now_ns: int, count: int = STARS, catalogue: Sequence[Star] | None = None
) -> list[Direction]:
    """Stars for the efficiency test that begins now, spread over azimuth and air mass.

    Raises
    ------
    StationError
        None can be used.
    """
    moon_az, moon_el = _moon(site, now_ns)
    avoid = [(moon_az, moon_el, 2 * _MOON_RAD)] if moon_el > -_MOON_RAD else []
    suitable = suitable_stars(load_stars() if catalogue is None else catalogue)
    stars = [replace(star, mag=0.0) for star in suitable]  # none is preferred for its brightness
    return [Direction(star) for star in select_stars(stars, site, now_ns, count, None, avoid, *_STAR_EL_RAD)]


def sky_directions(site: Site, now_ns: int) -> list[Direction]:
    """Grid of the noise map, in an order with short ways: clear of the Moon and above the site's horizon.

    Raises
    ------
    StationError
        Nothing is left.
    """
    moon_az, moon_el = _moon(site, now_ns)
    directions = []
    for k, az_deg in enumerate(AZIMUTHS_DEG):
        for el_deg in ELEVATIONS_DEG[:: 1 if k % 2 == 0 else -1]:
            az, el = radians(az_deg), radians(el_deg)
            off = float(separation(np.array(az), np.array(el), np.array(moon_az), np.array(moon_el)))
            hidden = bool(site.horizon) and el <= _horizon(site, az)
            if off > _MOON_RAD and not hidden:
                directions.append(Direction(None, az, el))
    if not directions:
        raise StationError('no part of the sky is clear of the Moon and the horizon', where=site.name)
    return directions


def _horizon(site: Site, az_rad: float) -> float:
    hidden: FloatArray = horizon_rad(site, np.array([az_rad]))
    return float(hidden[0])


def _moon(site: Site, now_ns: int) -> tuple[float, float]:
    az, el = moon_azel(site, np.array([now_ns]))
    return float(az[0]), float(el[0])
