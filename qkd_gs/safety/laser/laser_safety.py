"""Whether our beacon may shine now: aircraft, keep-out sectors, permitted times; reasons with code and words."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, degrees, inf, radians

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.devices.aircraft import AircraftReading
from qkd_gs.orbit.vectors import enu_from_azel
from qkd_gs.pointing.light_limits import LightLimit, LightLimits
from qkd_gs.safety.laser.possible_positions import clearance
from qkd_gs.safety.laser.traffic import PossiblePlaces, Traffic
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings

_STEP_S = 1.0  # of the times at which positions are predicted
_REFRACTION_RAD = radians(0.3)  # the beam is bent by less between us and an aircraft, above 3 deg
_HOLD_NS = 2_000_000_000  # light comes back after so long without a reason: it does not flicker
_AHEAD_S = 1.0  # keep-out sectors: the beam is switched off before it enters one


@dataclass(frozen=True)
class BeamMotion:
    """Apparent direction of the beam and its motion."""

    az_rad: float
    el_rad: float
    az_rate_rad_s: float = 0.0
    el_rate_rad_s: float = 0.0

    def after(self, seconds: float) -> tuple[float, float]:
        """Direction after a time at these rates."""
        return self.az_rad + seconds * self.az_rate_rad_s, self.el_rad + seconds * self.el_rate_rad_s


class LaserSafety:
    """Reasons for which our beacon must be dark.

    Parameters
    ----------
    station : StationSettings
    site : Site
    """

    def __init__(self, station: StationSettings, site: Site) -> None:
        self._settings = station.laser_safety.aircraft
        beam_rad = station.beacon.divergence_mrad * 1e-3  # twice the 1/e^2 radius
        self._cone_rad = radians(self._settings.cone_deg) + beam_rad + _REFRACTION_RAD
        self._limits = LightLimits(station.laser_safety, site.time_zone, beam_rad)
        self._traffic = Traffic(self._settings, site)
        steps = ceil(self._settings.look_ahead_s / _STEP_S)
        self._offsets_s: FloatArray = np.arange(steps + 1, dtype=np.float64) * _STEP_S
        self._alive_ns: int | None = None
        self._read_ns: int | None = None  # the reading before
        self._dark_ns: int | None = None  # when there was a reason last
        self._lost = 'no receiver of aircraft positions'

    def heard(self, now_ns: int, reading: AircraftReading) -> None:
        """Take a reading of the receiver."""
        before_ns = self._read_ns if self._read_ns is not None else now_ns
        self._read_ns = now_ns
        self._traffic.take(now_ns, before_ns, reading.reports)
        if reading.stamp_ns:  # 0: connected, nothing heard yet
            self._alive_ns, self._lost = reading.stamp_ns, ''

    def lost(self, why: str) -> None:
        """The receiver has a fault, in words."""
        self._alive_ns, self._lost, self._read_ns = None, why, None

    @property
    def aircraft(self) -> str:
        """Number of aircraft that are known, in words."""
        unplaced = self._traffic.unplaced()
        return f'{len(self._traffic.tracks)} aircraft' + (f', {unplaced} more without position' if unplaced else '')

    def step(self, now_ns: int, beam: BeamMotion | None, uncertainty_rad: float = 0.0) -> list[LightLimit]:
        """Reasons at `now_ns`; empty: the beacon may shine, as there has been none for two seconds.

        Parameters
        ----------
        beam : BeamMotion or None
            None: not known, which other checks of the supervisor forbid.
        uncertainty_rad : float
            Largest error of that direction; widens every cone and sector.
        """
        found = self._reasons(now_ns, beam, uncertainty_rad)
        if found:
            self._dark_ns = now_ns
        elif self._dark_ns is not None and 0 <= now_ns - self._dark_ns < _HOLD_NS:
            return [LightLimit('laser.hold', 'there was a reason not to shine two seconds ago')]
        return found

    def _reasons(self, now_ns: int, beam: BeamMotion | None, uncertainty_rad: float) -> list[LightLimit]:
        found = self._feed_limits(now_ns) if self._settings.watch else []
        if beam is None:
            return found
        limits = [
            limit for at in (0.0, _AHEAD_S) for limit in self._limits.at(now_ns, *beam.after(at), uncertainty_rad)
        ]
        found += list({(limit.code, limit.words): limit for limit in limits}.values())
        return found + (
            self._aircraft_limits(now_ns, beam, self._cone_rad + uncertainty_rad) if self._settings.watch else []
        )

    def _feed_limits(self, now_ns: int) -> list[LightLimit]:
        if self._alive_ns is None:
            return [LightLimit('laser.aircraft_unknown', f'aircraft are not known: {self._lost}')]
        silent_s = abs(now_ns - self._alive_ns) * 1e-9
        if silent_s > self._settings.silent_s:
            words = f'aircraft are not known: the receiver was last heard {silent_s:.0f} s ago'
            return [LightLimit('laser.aircraft_unknown', words)]
        if self._traffic.overflowing:
            return [LightLimit('laser.aircraft_unknown', 'aircraft are not known: there are more than can be')]
        heard_ns = self._traffic.position_ns
        quiet_s = (now_ns - heard_ns) * 1e-9 if heard_ns is not None else inf
        if quiet_s > self._settings.quiet_s:
            since = f'for {quiet_s:.0f} s' if heard_ns is not None else 'yet'
            words = f'aircraft are not known: the receiver has told no position {since}'
            return [LightLimit('laser.aircraft_quiet', words)]
        return []

    def _aircraft_limits(self, now_ns: int, beam: BeamMotion, cone_rad: float) -> list[LightLimit]:
        if not self._traffic.tracks:
            return []
        places = self._traffic.places(now_ns + self._offsets_s * 1e9, _STEP_S / 2)
        here = np.tile(enu_from_azel(beam.az_rad, beam.el_rad), (len(self._offsets_s), 1))
        margin = clearance(here, places.low, places.high, places.radius_m)
        if beam.az_rate_rad_s or beam.el_rate_rad_s:
            moving = np.ascontiguousarray(
                enu_from_azel(
                    beam.az_rad + self._offsets_s * beam.az_rate_rad_s,
                    beam.el_rad + self._offsets_s * beam.el_rate_rad_s,
                )
            )
            sweep_rad = (abs(beam.az_rate_rad_s) + abs(beam.el_rate_rad_s)) * _STEP_S / 2
            margin = np.minimum(margin, clearance(moving, places.low, places.high, places.radius_m) - sweep_rad)
        near = margin < cone_rad
        hit = map(int, np.flatnonzero(near.any(axis=1)))
        return [self._words(places, margin[k], k, int(np.argmax(near[k]))) for k in hit]

    def _words(self, places: PossiblePlaces, margin: FloatArray, k: int, first: int) -> LightLimit:
        when = f'in {self._offsets_s[first]:.0f} s' if first else 'now'
        far_km = float(np.linalg.norm(places.low[k, first] + places.high[k, first])) / 2e3
        closest = degrees(float(margin.min()))
        words = (
            f'aircraft {places.names[k]}, {far_km:.0f} km away, may come within {closest:.0f} deg of the beam {when}'
        )
        return LightLimit('laser.aircraft', words)
