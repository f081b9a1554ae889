"""Aircraft around the station: what their messages tell, and where each of them may be at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import cos, hypot, radians, sin

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.devices.aircraft import AircraftReport
from qkd_gs.orbit.vectors import enu_axes, enu_rotation, place_itrs_m, site_itrs_m
from qkd_gs.settings.laser_safety import AircraftSettings
from qkd_gs.settings.site import Site

POSITION_M = 300.0  # largest error of a reported position
SPEED_M_S = 15.0  # largest error of a reported velocity
FASTEST_M_S = 350.0  # an aircraft that does not tell its velocity
CLIMB_M_S = 60.0  # one that does not tell its rate of climb
CEILING_M = 20_000.0  # one that does not tell its altitude
GEOMETRIC_M = 200.0  # largest error of an altitude above the ellipsoid
PRESSURE_M, PRESSURE_SHARE = 400.0, 0.07  # of one above the standard pressure: weather, temperature, geoid
_GROUND_M = 300.0  # height of what stands on the ground above or below the station
_OLD_NS = 10 * 10**9  # a velocity or an altitude that is older than the position by more is not used
_LEAP_M_S = 700.0  # no aircraft moves faster: a position farther away belongs to another one, or is false
_LEAP_M = 2_000.0
_MOST = 2_000  # tracks; more are not air traffic


@dataclass
class Track:
    """Newest data of one aircraft; times are UTC ns, between which the data were measured."""

    icao: str
    earliest_ns: int
    latest_ns: int
    ground: FloatArray  # its place at altitude 0, metres from the station, station's east, north, up
    axes: FloatArray  # east, north and up where it is, in the same frame, one a row
    altitude_m: tuple[float, float]  # lowest, highest possible
    callsign: str = ''
    velocity: FloatArray | None = None  # east, north, up where the aircraft is, m/s
    climb_known: bool = False
    velocity_ns: int = 0

    @property
    def name(self) -> str:
        """Callsign, or the address of the transponder."""
        return self.callsign or self.icao


@dataclass(frozen=True)
class PossiblePlaces:
    """Places where aircraft may be, at n aircraft and m times.

    Attributes
    ----------
    low, high : ndarray, (n, m, 3)
        Ends of an upright line in the station's east-north-up frame, metres.
    radius_m : ndarray, (n, m)
        The aircraft is within this of the line.
    """

    names: tuple[str, ...]
    low: FloatArray
    high: FloatArray
    radius_m: FloatArray


@dataclass
class _Pending:
    """Report of an aircraft without a position."""

    callsign: str = ''
    altitude_m: tuple[float, float] | None = None
    altitude_ns: int = 0
    velocity: FloatArray | None = None
    climb_known: bool = False
    velocity_ns: int = 0
    heard_ns: int = field(default=0)


class Traffic:
    """Takes reports of aircraft, and tells where each may be.

    An aircraft whose new position cannot be reached from the one before stays at both until it is forgotten.
    """

    def __init__(self, settings: AircraftSettings, site: Site) -> None:
        self._settings, self._site = settings, site
        self._origin, self._rotation = site_itrs_m(site), enu_rotation(site)
        self._latency_ns = round(settings.latency_s * 1e9)
        self._tracks: dict[tuple[str, int], Track] = {}
        self._pending: dict[str, _Pending] = {}
        self._leaps = 0
        self.position_ns: int | None = None  # when a position has come last

    @property
    def overflowing(self) -> bool:
        """Whether there are more aircraft than can be."""
        return len(self._tracks) >= _MOST

    @property
    def tracks(self) -> list[Track]:
        """Aircraft with a position."""
        return list(self._tracks.values())

    def unplaced(self) -> int:
        """Aircraft that are heard and do not tell their position."""
        placed = {icao for icao, _ in self._tracks}
        return sum(icao not in placed for icao in self._pending)

    def take(self, now_ns: int, earliest_ns: int, reports: tuple[AircraftReport, ...]) -> None:
        """Take the reports of one reading.

        Parameters
        ----------
        now_ns : int
            Station time of the reading.
        earliest_ns : int
            No report was sent before, unless its own stamp says so.
        """
        for report in reports:
            sent_ns = min(earliest_ns, report.stamp_ns)
            self._take(
                sent_ns - self._latency_ns, now_ns if report.stamp_ns >= earliest_ns else report.stamp_ns, report
            )
        oldest_ns = now_ns - round(self._settings.forget_s * 1e9)
        self._tracks = {key: one for key, one in self._tracks.items() if one.latest_ns >= oldest_ns}
        self._pending = {icao: one for icao, one in self._pending.items() if one.heard_ns >= oldest_ns}

    def _take(self, earliest_ns: int, latest_ns: int, report: AircraftReport) -> None:
        known = self._pending.setdefault(report.icao, _Pending())
        known.heard_ns = latest_ns
        known.callsign = report.callsign or known.callsign
        if report.altitude_m is not None or report.on_ground:
            known.altitude_m, known.altitude_ns = self._altitudes(report), latest_ns
        if report.speed_m_s is not None and report.track_deg is not None:
            course = radians(report.track_deg)
            climb = report.climb_m_s or 0.0
            known.velocity = np.array([report.speed_m_s * sin(course), report.speed_m_s * cos(course), climb])
            known.climb_known, known.velocity_ns = report.climb_m_s is not None, latest_ns
        if report.latitude_deg is not None and report.longitude_deg is not None:
            self._place(earliest_ns, latest_ns, report, known)
        for (icao, _), track in self._tracks.items():
            if icao == report.icao:
                track.callsign, track.velocity_ns = known.callsign, known.velocity_ns
                track.velocity, track.climb_known = known.velocity, known.climb_known
                if report.altitude_m is not None:  # a newer altitude, before the next position
                    low, high = self._altitudes(report)
                    track.altitude_m = min(track.altitude_m[0], low), max(track.altitude_m[1], high)

    def _altitudes(self, report: AircraftReport) -> tuple[float, float]:
        if report.altitude_m is not None:
            error_m = GEOMETRIC_M if report.geometric else PRESSURE_M + PRESSURE_SHARE * abs(report.altitude_m)
            return report.altitude_m - error_m, report.altitude_m + error_m
        return self._site.altitude_m - _GROUND_M, self._site.altitude_m + _GROUND_M

    def _altitudes_at(self, time_ns: int, known: _Pending) -> tuple[float, float]:
        """Of a position without one of its own: the newest that was told, and what the aircraft has climbed since."""
        age_ns = abs(time_ns - known.altitude_ns)
        if known.altitude_m is None or age_ns > _OLD_NS:
            return self._site.altitude_m - _GROUND_M, CEILING_M
        climbed_m = CLIMB_M_S * age_ns * 1e-9
        return known.altitude_m[0] - climbed_m, known.altitude_m[1] + climbed_m

    def _place(self, earliest_ns: int, latest_ns: int, report: AircraftReport, known: _Pending) -> None:
        assert report.latitude_deg is not None
        assert report.longitude_deg is not None
        self.position_ns = max(self.position_ns or 0, latest_ns)
        altitude_m = self._altitudes_at(latest_ns, known)
        place = report.latitude_deg, report.longitude_deg
        ground = self._rotation @ (place_itrs_m(*place, 0.0) - self._origin)
        new = Track(report.icao, earliest_ns, latest_ns, ground, enu_axes(*place) @ self._rotation.T, altitude_m)
        new.callsign, new.velocity, new.climb_known = known.callsign, known.velocity, known.climb_known
        new.velocity_ns = known.velocity_ns
        same = [key for key in self._tracks if key[0] == report.icao]
        reached = [key for key in same if self._reaches(self._tracks[key], new)]
        for key in reached:
            if self._tracks[key].latest_ns > latest_ns:  # an older message that came late
                return
            del self._tracks[key]
        self._leaps += bool(same) and not reached
        if not self.overflowing:
            self._tracks[report.icao, self._leaps] = new

    def _reaches(self, old: Track, new: Track) -> bool:
        apart_s = abs(new.latest_ns - old.earliest_ns) * 1e-9
        return bool(np.linalg.norm(new.ground - old.ground) <= _LEAP_M + _LEAP_M_S * apart_s)

    def places(self, times_ns: FloatArray, slack_s: float) -> PossiblePlaces:
        """Places where each aircraft may be.

        Parameters
        ----------
        times_ns : ndarray, (m,)
            UTC.
        slack_s : float
            Each time stands for all within this of it.
        """
        parts = [self._places_of(track, times_ns, slack_s) for track in self._tracks.values()]
        empty = np.empty((0, len(times_ns)))
        return PossiblePlaces(
            names=tuple(track.name for track in self._tracks.values()),
            low=np.array([part[0] for part in parts]) if parts else empty[..., None].repeat(3, axis=2),
            high=np.array([part[1] for part in parts]) if parts else empty[..., None].repeat(3, axis=2),
            radius_m=np.array([part[2] for part in parts]) if parts else empty,
        )

    def _places_of(
        self, track: Track, times_ns: FloatArray, slack_s: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        low, high = (track.ground + z * track.axes[2] for z in track.altitude_m)
        middle_ns = (track.earliest_ns + track.latest_ns) / 2
        half_s = (track.latest_ns - track.earliest_ns) * 0.5e-9 + slack_s  # of the time of the position, and of t
        since_s = (times_ns - middle_ns) * 1e-9
        longest_s = np.abs(since_s) + half_s
        velocity = track.velocity
        if velocity is None or track.earliest_ns - track.velocity_ns > _OLD_NS:
            radius = POSITION_M + hypot(FASTEST_M_S, CLIMB_M_S) * longest_s
            still = np.zeros((len(times_ns), 3))
            return low + still, high + still, radius
        moved = since_s[:, None] * (velocity @ track.axes)
        acc = self._settings.manoeuvre_m_s2
        apart_s = abs(track.velocity_ns - middle_ns) * 1e-9 + half_s + self._settings.latency_s
        speed_error = SPEED_M_S + (0.0 if track.climb_known else CLIMB_M_S) + acc * apart_s
        radius = (
            POSITION_M + float(np.linalg.norm(velocity)) * half_s + speed_error * longest_s + acc / 2 * longest_s**2
        )
        return low + moved, high + moved, radius
