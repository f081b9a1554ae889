"""Search for the telescope's orientation: strips of sky are photographed and identified, no star is centred by hand."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import asin, atan2, degrees, hypot, pi, radians, remainder

import numpy as np

from qkd_gs.arrays import Float32Array
from qkd_gs.calibration.finding.strip import Strip, Tile, make_strip
from qkd_gs.calibration.finding.verdict import Field, Found, conclusion, locate
from qkd_gs.calibration.plate_solving.solver import NoSolution, PlateSolution, PlateSolver, Sighting
from qkd_gs.devices.camera import Frame
from qkd_gs.devices.mount import MountReading
from qkd_gs.errors import StationError
from qkd_gs.orbit.diurnal import diurnal_rates
from qkd_gs.orbit.sky import moon_azel
from qkd_gs.orbit.timescale import to_time
from qkd_gs.orbit.vectors import enu_from_azel, horizon_rotation
from qkd_gs.pointing.azimuth_turn import nearest_turn
from qkd_gs.pointing.mount_model import AxisMotion, MountModel
from qkd_gs.pointing.sky_offsets import separation
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.tracking.control.encoder_history import EncoderHistory
from qkd_gs.tracking.types import CameraRequest

log = logging.getLogger(__name__)

REQUEST = CameraRequest(2.0, stars=True)  # of the guiding camera: exposures of 0.45 s
TILES, STEP = 7, 0.5  # images of a strip, and the step as a part of the field's height
PARTS, FRAMES = (
    3,
    5,
)  # of each image: parts, and exposures of a part; stars may drift by 2 px in a part, if the compass is 10 deg off
_SETTLED_RAD, _SETTLED_S = 1e-4, 0.5
_SLEW_S = 90.0  # longest time from a command to its position
_SILENT_S = 5.0  # longest time without an image
_MOON_RAD = radians(25)
_CLEAR_RAD = radians(8)  # above the site's horizon: the compass may be 10 deg off
_ELEVATIONS_DEG = (38, 50, 62)  # of a strip's lower end; azimuths are 30 deg apart
# Of the two fields: one field cannot tell in which sense the encoders count
_APART_RAD, _HIGHER_RAD = radians(25), radians(8)
_GALACTIC_POLE = np.array([-0.867666, -0.198076, 0.455984])  # ICRS
# Sense of the two encoders in which the mount follows the sky; the first is right, and the others are tried when no
# strip was identified: the stars are then trails, because the mount followed them the wrong way.
_SENSES = ((1, 1), (-1, 1), (1, -1), (-1, -1))
_FIELDS = 2
_PATTERN_RAD = radians(2.0)  # size of the patterns searched for: wider than a strip, less than its length
_WITHIN_DEG = 16.0  # of the direction that the compass gives: 10 deg in azimuth, and as much for the rest
_NARROW_TRIALS = 3  # then the whole sky is searched
_MOST_PLACES = 6


@dataclass(frozen=True)
class Analysis:
    """A strip, and where the line of sight of its middle image is."""

    strip: Strip
    solution: PlateSolution | NoSolution


class SearchState(IntEnum):
    """States of a search."""

    RUNNING = 0
    SOLVING = 1  # `SearchOutputs.work` is to be run, and its result given to `Search.finish`
    DONE = 2
    FAILED = 3


@dataclass(frozen=True)
class SearchOutputs:
    """Command and progress."""

    state: SearchState
    axes: AxisMotion[float] | None  # None: stop
    work: Callable[[], Analysis] | None
    message: str  # for the operator


class Search:
    """Photograph strips until two are identified; `step` until DONE or FAILED.

    Parameters
    ----------
    compass : MountModel
        Zero points as the station was set up, good to 10 deg.
    solver : PlateSolver
    """

    def __init__(self, site: Site, station: StationSettings, compass: MountModel, solver: PlateSolver, now_ns: int):
        self.state = SearchState.RUNNING
        self.found: Found | None = None
        self.fields: list[Field] = []
        self._site, self._station, self._compass, self._solver = site, station, compass, solver
        self._scale = station.guiding_camera.scale_urad_px * 1e-6
        self._step_rad = STEP * station.guiding_camera.height_px * self._scale
        places = _clear_places(site, now_ns, self._step_rad * (TILES - 1))
        if not places:
            raise StationError('no part of the sky is clear of the Moon and the horizon', where=site.name)
        self._waiting = [(place, _SENSES[0]) for place in places[:_NARROW_TRIALS]]
        self._waiting += [(place, sense) for place in places[_NARROW_TRIALS:_MOST_PLACES] for sense in _SENSES]
        self._tried = 0
        fastest = max(station.mount.azimuth.max_acc_deg_s2, station.mount.elevation.max_acc_deg_s2)
        self._history = EncoderHistory(radians(fastest))
        self._message = ''
        self._tiles: list[Tile] = []
        self._next_field(now_ns)

    def step(self, now_ns: int, mount: MountReading, frames: Sequence[Frame]) -> SearchOutputs:
        """Take readings and full images since the last step, oldest first; set-point for the mount at `now_ns`."""
        self._history.add(mount)
        if self.state is SearchState.RUNNING:
            self._expose(now_ns, mount, frames)
        axes = self._commanded(now_ns, mount) if self.state is SearchState.RUNNING else None
        work = self._analyse if self.state is SearchState.SOLVING else None
        return SearchOutputs(self.state, axes, work, self._message)

    def _analyse(self) -> Analysis:
        """Identify the strip: seconds of computing, which changes nothing."""
        strip = make_strip(self._tiles, self._scale)
        middle = self._tiles[len(self._tiles) // 2]
        az, el = self._place
        enu = enu_from_azel(np.array(az), np.array(el + self._step_rad * (len(self._tiles) // 2)))
        x, y, z = enu @ horizon_rotation(self._site, middle.t_ns)
        near = degrees(atan2(y, x)) % 360, degrees(asin(z))
        within = _WITHIN_DEG if self._tried < _NARROW_TRIALS else 180.0  # a compass may be misread
        solution = self._solver.solve(self._sighting(strip), near, within, float(to_time(middle.t_ns).J))
        return Analysis(strip, solution)

    def _sighting(self, strip: Strip) -> Sighting:
        """The strip about the line of sight of its middle image."""
        camera = self._station.guiding_camera
        x0, y0 = strip.origins_px[TILES // 2] + (camera.reference_x_px, camera.reference_y_px)
        half_px = max(y0, strip.height_px - y0)
        return Sighting(
            (strip.x_px - x0) * self._scale,
            (y0 - strip.y_px) * self._scale,
            strip.flux,
            _PATTERN_RAD,
            2 * half_px * self._scale,
        )

    def finish(self, now_ns: int, analysis: Analysis) -> None:
        """Take the result of `SearchOutputs.work`."""
        self._tried += 1
        strip, solution = analysis.strip, analysis.solution
        where = f'azimuth {degrees(self._place[0]):.0f}, elevation {degrees(self._place[1]):.0f} deg'
        if isinstance(solution, NoSolution):
            self._message = f'{len(strip.x_px)} stars at {where}: {solution.reason}'
        else:
            field = locate(solution, self._tiles[TILES // 2], self._site)
            self._message = f'{solution.matches} of {len(strip.x_px)} stars at {where} identified'
            self.fields.append(field)
        log.info(self._message)
        if len(self.fields) >= _FIELDS:
            self._conclude()
        elif not self._next_field(now_ns):
            self.state = SearchState.FAILED
            self._message = (
                f'the telescope does not find itself: of {self._tried} parts of the sky {len(self.fields)} identified, '
                f'in the last one {len(strip.x_px)} stars seen; clouds, a lens cap, or a wrong focus or time'
            )

    def abort(self) -> None:
        """Stop; nothing is found."""
        if self.state in (SearchState.RUNNING, SearchState.SOLVING):
            self._fail('aborted by the operator')

    def _conclude(self) -> None:
        try:
            self.found = conclusion(self.fields, self._compass)
        except StationError as error:
            self._fail(str(error))
            return
        self.state, self._message = SearchState.DONE, self.found.summary

    def _next_field(self, now_ns: int) -> bool:
        """Begin the next strip; False if there is none left."""
        while self._waiting:
            self._place, self._sense = self._waiting.pop(0)
            if self.fields:
                first = self.fields[0]
                self._sense = first.sense  # stars were seen with it: it is the right one
                apart = abs(remainder(self._place[0] - first.place[0], 2 * pi))
                higher = abs(self._place[1] - first.place[1])
                if not (_APART_RAD < apart < pi - _APART_RAD and higher > _HIGHER_RAD):
                    continue
            self._tiles = []
            self._turns: float | None = None
            self._begin_ns = now_ns
            self.state = SearchState.RUNNING
            self._next_tile(now_ns)
            return True
        return False

    def _next_tile(self, now_ns: int) -> None:
        self._since_ns, self._ready_ns = now_ns, 0
        self._inside_ns: int | None = None
        self._sums: list[Float32Array] = []
        self._stamps: list[int] = []
        self._image_ns = now_ns
        self._middle_ns = 0
        self._encoder: tuple[float, float] | None = None

    def _expose(self, now_ns: int, mount: MountReading, frames: Sequence[Frame]) -> None:
        target = self._commanded(now_ns, mount)
        off = hypot(mount.az_rad - target.az_rad, mount.el_rad - target.el_rad)
        if off > _SETTLED_RAD:
            self._inside_ns = None
            if now_ns - self._since_ns > _SLEW_S * 1e9:
                self._fail(f'the mount is still {degrees(off):.2f} deg off after {_SLEW_S:.0f} s')
            return
        self._inside_ns = self._inside_ns or now_ns
        self._ready_ns = self._inside_ns + round(_SETTLED_S * 1e9)
        for frame in frames:
            if frame.stamp_ns - frame.exposure_s * 5e8 >= self._ready_ns and len(self._stamps) < PARTS * FRAMES:
                if len(self._stamps) % FRAMES == 0:
                    self._sums.append(np.zeros(frame.image.shape, np.float32))
                self._sums[-1] += frame.image
                self._stamps.append(frame.stamp_ns)
                self._image_ns = now_ns
                if len(self._stamps) == (PARTS * FRAMES + 1) // 2:
                    self._middle_ns, self._encoder = frame.stamp_ns, self._history.at(frame.stamp_ns, linear=True)
        if len(self._stamps) == PARTS * FRAMES:
            self._end_tile(now_ns)
        elif now_ns - max(self._image_ns, self._ready_ns) > _SILENT_S * 1e9:
            self._fail('the guiding camera sends no images')

    def _end_tile(self, now_ns: int) -> None:
        encoder = self._encoder
        if encoder is None:
            self._fail('the mount was silent while the guiding camera exposed')
            return
        place = (self._place, self._sense)
        self._tiles.append(
            Tile(self._middle_ns, *encoder, tuple(part / np.float32(FRAMES) for part in self._sums), *place)
        )
        self._message = f'image {len(self._tiles)} of {TILES}'
        self._next_tile(now_ns)
        if len(self._tiles) == TILES:
            self.state = SearchState.SOLVING

    def _commanded(self, t_ns: int, mount: MountReading) -> AxisMotion[float]:
        """Follow the sky as the compass has it, one step higher for each image."""
        az_rad, el_rad = self._place
        az_rate, el_rate = diurnal_rates(radians(self._site.latitude_deg), az_rad, el_rad)
        az_rate, el_rate = self._sense[0] * float(az_rate), self._sense[1] * float(el_rate)
        az, el = self._compass.encoder(az_rad, el_rad)
        if self._turns is None:
            self._turns = nearest_turn(az, self._station.mount.azimuth, mount.az_rad)
        since_s = (t_ns - self._begin_ns) * 1e-9
        return AxisMotion(
            t_ns,
            az + self._turns + az_rate * since_s,
            el + el_rate * since_s + self._step_rad * len(self._tiles),
            az_rate,
            el_rate,
            0.0,
            0.0,
        )

    def _fail(self, why: str) -> None:
        self.state, self._message = SearchState.FAILED, why


def _clear_places(site: Site, now_ns: int, height_rad: float) -> list[tuple[float, float]]:
    """Directions clear of the Moon and of the site's horizon; those near the Milky Way, with many stars, first."""
    moon_az, moon_el = (float(angle[0]) for angle in moon_azel(site, np.array([now_ns])))
    hidden = max((high for _, high in site.horizon), default=0.0)
    pole = horizon_rotation(site, now_ns) @ _GALACTIC_POLE
    clear = []
    for el_deg in _ELEVATIONS_DEG:
        for az_deg in range(0, 360, 30):
            az, el = radians(az_deg), radians(el_deg)
            middle = el + height_rad / 2
            from_moon = float(separation(np.array(az), np.array(middle), np.array(moon_az), np.array(moon_el)))
            if (from_moon > _MOON_RAD or moon_el < 0) and el > radians(hidden) + _CLEAR_RAD:
                latitude = abs(float(np.dot(pole, enu_from_azel(np.array(az), np.array(middle)))))
                clear.append((round(latitude, 1), -el_deg, az_deg, (az, el)))
    return [place for *_, place in sorted(clear)]
