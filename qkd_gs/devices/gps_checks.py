"""Checks of the station's clock and site against the GPS receiver, in words for the operator."""

from __future__ import annotations

from qkd_gs.devices.gps import GpsReading
from qkd_gs.settings.site import Site

_PLACE_M = 100.0  # 0.2 mrad for a satellite overhead
_HEIGHT_M = 200.0  # a map's height above the sea is up to 100 m off that above the ellipsoid


def wrong_clock(reading: GpsReading) -> str:
    """Sentence that tells of a clock that contradicts the GPS receiver; '' for one that may be right."""
    off_s = reading.clock_off_s
    return f'the clock is {abs(off_s):.1f} s off the GPS time or more: set it by NTP' if off_s else ''


def wrong_place(reading: GpsReading, site: Site) -> str:
    """Sentence that tells of a site where the GPS receiver is not; '' for the right one, and without a fix."""
    if reading.pps_utc_ns == 0 or reading.satellites == 0:
        return ''
    away_m, higher_m = away_from(site, reading)
    if not (away_m > _PLACE_M or abs(higher_m) > _HEIGHT_M):  # of a receiver that tells no place neither is true
        return ''
    said = f'the GPS receiver is {away_m:.0f} m from the site {site.name} and {higher_m:+.0f} m above it'
    return f'{said}: correct the site, or choose another one'


def away_from(site: Site, reading: GpsReading) -> tuple[float, float]:
    """Distance of the receiver from the site, and its height above it, m."""
    return site.distance_m(reading.latitude_deg, reading.longitude_deg), reading.altitude_m - site.altitude_m
