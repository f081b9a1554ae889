"""Shapes of station and sky: satellite, line of sight, both beacons, the Sun's zone, the track of the pass."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import degrees, radians

from qkd_gs.monitoring.markers import Colour, Kind, Point, Shape, cone, point
from qkd_gs.orbit.vectors import enu_from_azel
from qkd_gs.settings.station import StationSettings
from qkd_gs.tracking.types import Phase

FAR_M = 50.0  # the sky is drawn at this distance
FORWARD = (1.0, 0.0, 0.0)
SKY, LINE_OF_SIGHT, BEACON = 'sky', 'line_of_sight', 'beacon'  # frames of the URDF
SUN_IS_DOWN_RAD = radians(-1.0)

_TRAIL_EVERY_NS = 1_000_000_000
_TRAIL_LONGEST = 1800
_ANOTHER_PASS_NS = 60_000_000_000

_WHITE, _SUN = Colour(1.0, 1.0, 1.0), Colour(1.0, 0.8, 0.1, 0.15)
_RED_LIGHT, _GREEN_LIGHT = Colour(1.0, 0.15, 0.1, 0.35), Colour(0.2, 1.0, 0.3, 0.35)
_TRAIL = Colour(0.5, 0.7, 1.0, 0.7)
_HELD, _SEARCHING, _IDLE = Colour(0.2, 0.9, 0.3), Colour(1.0, 0.7, 0.1), Colour(0.6, 0.6, 0.6, 0.5)
_SEEN = (Phase.COARSE, Phase.FINE)


@dataclass(frozen=True)
class TargetPosition:
    """Apparent position of the satellite; angles in rad, azimuth from north through east."""

    satellite: str
    stamp_ns: int
    az_rad: float
    el_rad: float
    range_m: float


@dataclass(frozen=True)
class SceneState:
    """State to draw.

    Attributes
    ----------
    target : TargetPosition or None
        None: no satellite is in range.
    emitting : bool
        Our beacon is on.
    sun : tuple or None
        Apparent azimuth and elevation of the Sun, rad; None: not known.
    """

    phase: Phase
    target: TargetPosition | None
    emitting: bool
    sun: tuple[float, float] | None


class Trail:
    """Past positions of the satellite in this pass, one per second."""

    def __init__(self) -> None:
        self._places: deque[tuple[int, Point]] = deque(maxlen=_TRAIL_LONGEST)
        self._satellite = ''

    def add(self, seen: TargetPosition) -> None:
        """Add a position; another satellite, a gap of a minute or a step back in time starts a new trail."""
        since_ns = seen.stamp_ns - self._places[-1][0] if self._places else 0
        if seen.satellite != self._satellite or not 0 <= since_ns <= _ANOTHER_PASS_NS:
            self._places.clear()
            self._satellite = seen.satellite
        if not self._places or since_ns >= _TRAIL_EVERY_NS:
            self._places.append((seen.stamp_ns, _on_the_sky(seen.az_rad, seen.el_rad)))

    @property
    def points_m(self) -> tuple[Point, ...]:
        """In the frame `sky`, oldest first."""
        return tuple(place for _, place in self._places)


def draw(sky: SceneState, trail: tuple[Point, ...], station: StationSettings) -> tuple[Shape, ...]:
    """All shapes of the scene now; shapes not in it are to be deleted."""
    things = [_line_of_sight(sky.phase)]
    if sky.emitting:
        half_rad = station.beacon.divergence_mrad * 1e-3 / 2
        things.append(
            Shape(
                'our_beacon',
                Kind.TRIANGLE_LIST,
                BEACON,
                _RED_LIGHT,
                points_m=cone(FORWARD, FAR_M, half_rad),
                size_m=1.0,
            )
        )
    if sky.target is not None:
        things += _satellite(sky.target, sky.phase)
    if len(trail) > 1:
        things.append(Shape('trail', Kind.LINE_STRIP, SKY, _TRAIL, points_m=trail, size_m=0.15))
    if sky.sun is not None and sky.sun[1] > SUN_IS_DOWN_RAD:
        zone = cone(enu_from_azel(*sky.sun), FAR_M, radians(station.sun.exclusion_deg))
        things.append(Shape('sun_exclusion', Kind.TRIANGLE_LIST, SKY, _SUN, points_m=zone))
    return tuple(things)


def _line_of_sight(phase: Phase) -> Shape:
    searching = phase in (Phase.ACQUIRE, Phase.LOST)
    colour = _HELD if phase in _SEEN else _SEARCHING if searching else _IDLE
    ends = ((0.0, 0.0, 0.0), (FAR_M, 0.0, 0.0))
    return Shape('line_of_sight', Kind.LINE_STRIP, LINE_OF_SIGHT, colour, points_m=ends, size_m=0.03)


def _satellite(target: TargetPosition, phase: Phase) -> list[Shape]:
    place = _on_the_sky(target.az_rad, target.el_rad)
    label = f'{target.satellite}  {degrees(target.el_rad):.1f} deg  {target.range_m / 1e3:.0f} km'
    above = place[0], place[1], place[2] + 2.0
    things = [
        Shape('satellite', Kind.SPHERE, SKY, _WHITE, at_m=place, size_m=1.0),
        Shape('label', Kind.TEXT_VIEW_FACING, SKY, _WHITE, at_m=above, size_m=1.5, text=label),
    ]
    if phase in _SEEN:
        light = ((0.0, 0.0, 0.0), place)
        things.append(Shape('satellite_beacon', Kind.LINE_STRIP, SKY, _GREEN_LIGHT, points_m=light, size_m=0.28))
    return things


def _on_the_sky(az_rad: float, el_rad: float) -> Point:
    return point(FAR_M * enu_from_azel(az_rad, el_rad))
