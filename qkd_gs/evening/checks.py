"""Checks before the sky is needed: whether clock and site agree with the GPS receiver."""

from __future__ import annotations

from qkd_gs.devices.gps import GpsReading
from qkd_gs.evening.evening import Outcome
from qkd_gs.evening.steps import State
from qkd_gs.settings.site import Site

PLACE_M = 100.0  # 0.2 mrad for a satellite overhead
HEIGHT_M = 200.0  # a map's height above the sea is up to 100 m off that above the ellipsoid
_STALE_S = 3.0


def time_and_place(reading: GpsReading, now_ns: int, site: Site) -> Outcome:
    """Compare the newest message of the GPS receiver with the station's clock and site.

    The message says which second began last, so the clock is told to be right within a second; the PPS edges tie the
    tags to UTC far better later on.
    """
    if reading.pps_utc_ns == 0 or reading.satellites == 0:
        return Outcome(State.FAILED, 'the GPS receiver has no fix yet: is its antenna under the sky?')
    age_s = (now_ns - reading.stamp_ns) * 1e-9
    if not 0 <= age_s < _STALE_S:
        return Outcome(State.FAILED, f'the last message of the GPS receiver is {age_s:.0f} s old')
    off_s = reading.clock_off_s
    away_m, higher_m = _from_site(reading, site)
    values = {
        'clock_off_s': round(off_s, 3),
        'away_m': round(away_m, 1),
        'higher_m': round(higher_m, 1),
        'satellites': reading.satellites,
    }
    if off_s:
        return Outcome(State.FAILED, f'the clock is {abs(off_s):.1f} s off the GPS time or more: set it by NTP', values)
    if wrong := wrong_place(reading, site):
        return Outcome(State.FAILED, wrong, values)
    said = f'clock right within a second, site right within {max(away_m, 1):.0f} m'
    if reading.satellites > 0:
        said += f', {reading.satellites} satellites'
    return Outcome(State.DONE, said, values)


def wrong_place(reading: GpsReading, site: Site) -> str:
    """Sentence that tells of a site where the GPS receiver is not; '' for the right one, and without a fix."""
    if reading.pps_utc_ns == 0 or reading.satellites == 0:
        return ''
    away_m, higher_m = _from_site(reading, site)
    if not (away_m > PLACE_M or abs(higher_m) > HEIGHT_M):  # of a receiver that tells no place neither is true
        return ''
    said = f'the GPS receiver is {away_m:.0f} m from the site {site.name} and {higher_m:+.0f} m above it'
    return f'{said}: correct the site, or choose another one'


def _from_site(reading: GpsReading, site: Site) -> tuple[float, float]:
    """Distance of the receiver from the site, and its height above it, m."""
    return site.distance_m(reading.latitude_deg, reading.longitude_deg), reading.altitude_m - site.altitude_m
