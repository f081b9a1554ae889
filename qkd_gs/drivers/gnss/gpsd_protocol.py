"""Messages of gpsd: one JSON object a line, told apart by ``class``."""

from __future__ import annotations

import json
from math import inf, isfinite, nan
from typing import Any

from qkd_gs.drivers.gnss.fix import Fix
from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import parse_utc

PORT = 2947
WATCH = b'?WATCH={"enable":true,"json":true,"pps":true};\n'
_TWO_D, _THREE_D = 2, 3  # TPV mode


def parse(line: bytes) -> dict[str, Any] | None:
    """Message in a line; None if it is none."""
    try:
        message = json.loads(line)
    except (ValueError, UnicodeDecodeError):
        return None
    return message if isinstance(message, dict) and isinstance(message.get('class'), str) else None


def fix_of(tpv: dict[str, Any], sky: dict[str, Any] | None, pps_accuracy_s: float) -> Fix:
    """Fix from a TPV (time, position, velocity) and the newest SKY.

    A receiver that tells no satellites has used at least three for a 2D fix and four for a 3D one.
    """
    mode = tpv.get('mode', 0)
    least = {_TWO_D: 3, _THREE_D: 4}.get(mode, 0)
    used = satellites_used(sky) if sky is not None else None
    return Fix(
        utc_ns=_utc_ns(tpv.get('time')),
        latitude_deg=number(tpv, 'lat', nan),
        longitude_deg=number(tpv, 'lon', nan),
        altitude_m=number(tpv, 'altHAE', nan),
        satellites=max(used, 1) if least and used is not None else least,
        time_accuracy_s=pps_accuracy_s if least else inf,
        leap_seconds=tpv['leapseconds'] if isinstance(tpv.get('leapseconds'), int) else None,
    )


def satellites_used(sky: dict[str, Any]) -> int | None:
    """Satellites used in the solution; None if the SKY does not tell."""
    if isinstance(sky.get('uSat'), int):
        return int(sky['uSat'])
    listed = sky.get('satellites')
    return sum(bool(one.get('used')) for one in listed if isinstance(one, dict)) if isinstance(listed, list) else None


def number(message: dict[str, Any], key: str, otherwise: float) -> float:
    """A finite number of a message, or `otherwise`."""
    value = message.get(key)
    return float(value) if isinstance(value, int | float) and isfinite(value) else otherwise


def _utc_ns(text: Any) -> int:
    try:
        return parse_utc(text) if isinstance(text, str) else 0
    except StationError:
        return 0
