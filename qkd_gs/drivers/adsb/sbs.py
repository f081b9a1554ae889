"""BaseStation messages ("SBS-1", port 30003): one line of 22 fields between commas.

Fields counted from 0: 0 ``MSG``, 1 type, 4 address, 10 callsign, 11 altitude (feet above the standard pressure),
12 speed (knots), 13 track (deg), 14 latitude, 15 longitude, 16 rate of climb (feet a minute), 21 on the ground
(``-1`` or ``1``).  Dates and times in it are of the receiver's clock and zone; they are not used.
"""

from __future__ import annotations

import re
from math import isfinite

from qkd_gs.devices.aircraft import AircraftReport
from qkd_gs.drivers.adsb.units import (
    FASTEST_M_S,
    FOOT_M,
    FOOT_MIN_M_S,
    HIGHEST_M,
    KNOT_M_S,
    LOWEST_M,
    STEEPEST_M_S,
)

_FIELDS = 22
_ADDRESS = re.compile(r'[0-9A-Fa-f]{6}')
_OTHER_KINDS = ('SEL', 'ID', 'AIR', 'STA', 'CLK')  # of BaseStation itself: alive, of no meaning here


def parse_line(line: bytes, now_ns: int) -> AircraftReport | None:
    """Report of a line that arrived at `now_ns`; None: an empty line (keep-alive) or another kind of message.

    Raises
    ------
    ValueError
        No message.
    """
    text = line.decode('ascii').strip()
    if not text:
        return None
    fields = [field.strip() for field in text.split(',')]
    if fields[0] in _OTHER_KINDS:
        return None
    if fields[0] != 'MSG' or len(fields) < _FIELDS or not _ADDRESS.fullmatch(fields[4]):
        raise ValueError(f'no BaseStation message: {text[:40]}')
    latitude, longitude = _number(fields[14], 90.0), _number(fields[15], 180.0)
    placed = latitude is not None and longitude is not None
    speed = _number(fields[12], FASTEST_M_S / KNOT_M_S)
    climb = _number(fields[16], STEEPEST_M_S / FOOT_MIN_M_S)
    return AircraftReport(
        stamp_ns=now_ns,
        icao=fields[4].upper(),
        callsign=fields[10] or None,
        latitude_deg=latitude if placed else None,
        longitude_deg=longitude if placed else None,
        altitude_m=altitude_m(_number(fields[11], HIGHEST_M / FOOT_M)),
        on_ground=fields[21] in ('-1', '1'),
        speed_m_s=None if speed is None else abs(speed) * KNOT_M_S,
        track_deg=_number(fields[13], 360.0),
        climb_m_s=None if climb is None else climb * FOOT_MIN_M_S,
    )


def altitude_m(feet: float | None) -> float | None:
    """Altitude in metres.

    Raises
    ------
    ValueError
        Below every ground.
    """
    if feet is not None and feet * FOOT_M < LOWEST_M:
        raise ValueError(f'altitude {feet:g} ft')
    return None if feet is None else feet * FOOT_M


def _number(text: str, largest: float) -> float | None:
    """A field that may be empty.

    Raises
    ------
    ValueError
        Not a number, or its size is more than `largest`.
    """
    if not text:
        return None
    value = float(text)
    if not isfinite(value) or abs(value) > largest:
        raise ValueError(f'{text} is out of range')
    return value
