"""Fix of a navigation message, and its checks against station time and site."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan

from pydantic import Field

from qkd_gs.devices.gps import GpsReading
from qkd_gs.errors import DeviceFault
from qkd_gs.orbit.timescale import format_utc, tai_minus_utc_ns
from qkd_gs.settings.loader import Section
from qkd_gs.settings.site import Site

_SECOND_NS = 1_000_000_000
_TAI_MINUS_GPS_S = 19
_EARLY_NS = 1_000_000  # a receiver solves for some ns before or after the second
_LATE_FIXES = 2  # a message may be late once; the time of the receiver has gone back if the next one is late, too


class GnssLimits(Section):
    """Limits beyond which a receiver is not believed; base of the options of the drivers."""

    max_offset_s: float = Field(
        2.0, ge=0.5, le=3600, description='[s] largest difference between the time of the receiver and station time'
    )
    max_jump_s: float = Field(
        0.5, ge=0.1, le=3600, description='[s] largest change of that difference from one message to the next'
    )
    max_distance_m: float = Field(
        500.0, ge=10, le=3e7, description='[m] largest distance from the site of the station, in the horizontal'
    )
    timeout_s: float = Field(2.0, ge=0.5, le=10, description='[s] longest time without a navigation message')


@dataclass(frozen=True)
class Fix:
    """One navigation message.

    Attributes
    ----------
    utc_ns : int
        UTC of the position; 0: unknown.
    satellites : int
        Used in the solution; 0: no fix.
    time_accuracy_s : float
        One-sigma error of the PPS edge.
    leap_seconds : int or None
        GPS time minus UTC, as the receiver knows it.
    """

    utc_ns: int
    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    satellites: int
    time_accuracy_s: float
    leap_seconds: int | None = None


def reading_of(fix: Fix, stamp_ns: int) -> GpsReading:
    """Reading of the Protocol; a message without a fix keeps its time and tells no position."""
    found = fix.satellites > 0
    return GpsReading(
        stamp_ns=stamp_ns,
        pps_utc_ns=(fix.utc_ns + _EARLY_NS) // _SECOND_NS * _SECOND_NS,
        latitude_deg=fix.latitude_deg if found else nan,
        longitude_deg=fix.longitude_deg if found else nan,
        altitude_m=fix.altitude_m if found else nan,
        satellites=fix.satellites,
        time_accuracy_s=fix.time_accuracy_s,
    )


class FixChecks:
    """Checks of one fix after the other.

    Attributes
    ----------
    offset_s : float
        Time of the receiver minus station time at the last message; its delay makes it negative.
    distance_m : float
        Horizontal distance from the site at the last message.
    """

    def __init__(self, limits: GnssLimits, site: Site) -> None:
        self._limits, self._site = limits, site
        self._offset_ns: int | None = None
        self._newest_ns = 0  # UTC of the last message
        self._late = 0
        self.offset_s = self.distance_m = nan

    def check(self, now_ns: int, fix: Fix) -> None:
        """Check a message that was received at `now_ns`; one without a fix is passed.

        Raises
        ------
        DeviceFault
            ``gps.time_jump``, ``gps.time_offset``, ``gps.leap_seconds`` or ``gps.position``.
        """
        if not fix.satellites or not fix.utc_ns:
            return
        self._check_jump(now_ns, fix)
        if self._late:
            return
        self._check_leap_seconds(fix)
        if abs(self.offset_s) > self._limits.max_offset_s:
            said = f'{self.offset_s:+.2f} s off station time: {format_utc(fix.utc_ns)}'
            raise DeviceFault('gps.time_offset', f'the time of the receiver is {said}')
        self._check_position(fix)

    def _check_jump(self, now_ns: int, fix: Fix) -> None:
        offset_ns, before_ns, most_ns = fix.utc_ns - now_ns, self._offset_ns, self._limits.max_jump_s * 1e9
        self.offset_s = offset_ns * 1e-9
        moved_ns = offset_ns - before_ns if before_ns is not None else 0
        self._late = self._late + 1 if moved_ns < -most_ns else 0
        if self._late and fix.utc_ns < self._newest_ns + _EARLY_NS:
            self._late = _LATE_FIXES  # the time of a late message is later than that of the message before
        self._newest_ns = fix.utc_ns
        if moved_ns > most_ns or self._late >= _LATE_FIXES:
            said = f'{moved_ns * 1e-9:+.2f} s, to {format_utc(fix.utc_ns)}'
            raise DeviceFault('gps.time_jump', f'the time of the receiver moved by {said}')
        if not self._late:
            self._offset_ns = offset_ns

    def _check_leap_seconds(self, fix: Fix) -> None:
        expected = int(tai_minus_utc_ns(fix.utc_ns)) // _SECOND_NS - _TAI_MINUS_GPS_S
        if fix.leap_seconds is not None and fix.leap_seconds != expected:
            said = f'{fix.leap_seconds} leap seconds, the table of the station {expected}'
            raise DeviceFault('gps.leap_seconds', f'the receiver takes {said}')

    def _check_position(self, fix: Fix) -> None:
        if not isfinite(fix.latitude_deg) or not isfinite(fix.longitude_deg):
            return
        self.distance_m = self._site.distance_m(fix.latitude_deg, fix.longitude_deg)
        if self.distance_m > self._limits.max_distance_m:
            raise DeviceFault(
                'gps.position',
                f'the receiver is {self.distance_m:.0f} m from the site {self._site.name}: '
                f'{fix.latitude_deg:.5f}, {fix.longitude_deg:.5f} deg',
            )
