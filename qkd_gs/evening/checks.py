"""Checks before the sky is needed: whether clock and site agree with the GPS receiver."""

from __future__ import annotations

from qkd_gs.devices.gps import GpsReading
from qkd_gs.devices.gps_checks import away_from, wrong_clock, wrong_place
from qkd_gs.evening.evening import Outcome
from qkd_gs.evening.steps import State
from qkd_gs.settings.site import Site

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
    away_m, higher_m = away_from(site, reading)
    values = {
        'clock_off_s': round(reading.clock_off_s, 3),
        'away_m': round(away_m, 1),
        'higher_m': round(higher_m, 1),
        'satellites': reading.satellites,
    }
    if wrong := wrong_clock(reading) or wrong_place(reading, site):
        return Outcome(State.FAILED, wrong, values)
    said = f'clock right within a second, site right within {max(away_m, 1):.0f} m'
    if reading.satellites > 0:
        said += f', {reading.satellites} satellites'
    return Outcome(State.DONE, said, values)
