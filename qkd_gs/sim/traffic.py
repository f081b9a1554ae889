"""Simulated receiver of aircraft positions, with aircraft that cross the line of sight to the satellite."""

from __future__ import annotations

from math import cos, degrees, radians, sin, sqrt

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.devices.aircraft import AircraftReading, AircraftReport
from qkd_gs.devices.open_state import OpenState
from qkd_gs.orbit.vectors import enu_axes, enu_from_azel, enu_rotation, place_itrs_m, site_itrs_m
from qkd_gs.settings.site import Site
from qkd_gs.settings.twin_surroundings import CrossingAircraft
from qkd_gs.sim.simulation_setup import SimulationSetup

_EARTH_M = 6_371_000.0
_SECOND_NS = 10**9
_FAR = CrossingAircraft(icao='000001', crosses_s=0, altitude_m=10_000, speed_m_s=1)
_FAR_DEG = 2.0  # of latitude: far beyond every line of sight above the lowest elevation of our beacon


class SimAircraft:
    """Implements `AircraftReceiver`: a message per aircraft and second; one aircraft is always far away.

    Parameters
    ----------
    setup : SimulationSetup
        Its true trajectory and culmination place the aircraft of the settings.
    """

    def __init__(self, setup: SimulationSetup) -> None:
        self._state = OpenState('aircraft')
        self._paths = [_Path(one, setup) for one in setup.settings.surroundings.aircraft]
        self._far = setup.site.latitude_deg + (-_FAR_DEG if setup.site.latitude_deg > 0 else _FAR_DEG)
        self._longitude_deg = setup.site.longitude_deg
        self._sent_s = 0

    def open(self) -> None:
        """Begin to receive."""
        self._state.is_open = True

    def read(self, now_ns: int) -> AircraftReading:
        """Messages since the last call."""
        self._state.require()
        if now_ns // _SECOND_NS == self._sent_s:
            return AircraftReading(now_ns, ())
        self._sent_s = now_ns // _SECOND_NS
        far = AircraftReport(
            now_ns, _FAR.icao, 'FAR1', self._far, self._longitude_deg, _FAR.altitude_m, True, False, 1.0, 0.0, 0.0
        )
        return AircraftReading(now_ns, (far, *(path.report(now_ns) for path in self._paths)))

    def close(self) -> None:
        """End."""
        self._state.is_open = False


class _Path:
    """Straight and level flight through the line of sight."""

    def __init__(self, settings: CrossingAircraft, setup: SimulationSetup) -> None:
        self._settings = settings
        self._crosses_ns = setup.window.found.culmination_ns + round(settings.crosses_s * 1e9)
        seen = setup.truth.at(self._crosses_ns)
        self._place_deg = _place_on_line(setup.site, seen.az_rad, seen.el_rad, settings.altitude_m)

    def report(self, now_ns: int) -> AircraftReport:
        """Its place."""
        way_m = self._settings.speed_m_s * (now_ns - self._crosses_ns) * 1e-9
        course, (lat, lon) = radians(self._settings.track_deg), self._place_deg
        north, east = way_m * cos(course), way_m * sin(course)
        return AircraftReport(
            stamp_ns=now_ns,
            icao=self._settings.icao,
            callsign=f'SIM{self._settings.icao[-3:]}',
            latitude_deg=lat + degrees(north / _EARTH_M),
            longitude_deg=lon + degrees(east / _EARTH_M / cos(radians(lat))),
            altitude_m=self._settings.altitude_m,
            geometric=True,
            speed_m_s=self._settings.speed_m_s,
            track_deg=self._settings.track_deg,
            climb_m_s=0.0,
        )


def _place_on_line(site: Site, az_rad: float, el_rad: float, altitude_m: float) -> tuple[float, float]:
    """Latitude and longitude (deg) of the point of a line of sight at an altitude."""
    rise_m = altitude_m - site.altitude_m
    down_m = _EARTH_M * sin(el_rad)
    range_m = sqrt(down_m**2 + 2 * _EARTH_M * rise_m + rise_m**2) - down_m
    wanted: FloatArray = site_itrs_m(site) + enu_rotation(site).T @ (range_m * enu_from_azel(az_rad, el_rad))
    lat, lon = site.latitude_deg, site.longitude_deg
    for _ in range(4):  # each step leaves a thousandth
        east, north, _ = enu_axes(lat, lon) @ (wanted - place_itrs_m(lat, lon, altitude_m))
        lat += degrees(float(north) / _EARTH_M)
        lon += degrees(float(east) / _EARTH_M / np.cos(radians(lat)))
    return lat, lon
