"""Snapshots ``aircraft.json`` of dump1090 (mutability, FlightAware) and readsb."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from qkd_gs.devices.aircraft import AircraftReport
from qkd_gs.drivers.adsb.sbs import altitude_m
from qkd_gs.drivers.adsb.units import FASTEST_M_S, FOOT_M, FOOT_MIN_M_S, HIGHEST_M, KNOT_M_S, STEEPEST_M_S

_OLDEST_S = 3600.0


@dataclass(frozen=True)
class Snapshot:
    """All aircraft at a time.

    Attributes
    ----------
    made_ns : int
        UTC, by the clock of the receiver's computer.
    refused : int
        Aircraft whose data are nonsense.
    """

    made_ns: int
    reports: tuple[AircraftReport, ...]
    refused: int


def parse_snapshot(text: bytes, now_ns: int) -> Snapshot:
    """Snapshot that arrived at `now_ns`.

    Raises
    ------
    ValueError
        No snapshot.
    """
    try:
        data: Any = json.loads(text)
        made_ns = round(_number(data, 'now', 1e11) * 1e9)  # type: ignore[operator]
        listed = data['aircraft']
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f'no aircraft.json: {type(error).__name__}') from error
    if not isinstance(listed, list):
        raise ValueError('no aircraft.json: aircraft is no list')
    reports, refused = [], 0
    for entry in listed:
        try:
            reports.append(_report(entry, min(made_ns, now_ns)))
        except (ValueError, TypeError, AttributeError):
            refused += 1
    return Snapshot(made_ns, tuple(reports), refused)


def _report(entry: Mapping[str, Any], made_ns: int) -> AircraftReport:
    address = entry.get('hex')
    if not isinstance(address, str) or not 6 <= len(address) <= 8:
        raise ValueError('no address')
    latitude, longitude = _number(entry, 'lat', 90.0), _number(entry, 'lon', 180.0)
    placed = latitude is not None and longitude is not None
    age_s = _number(entry, 'seen_pos', _OLDEST_S) if placed else _number(entry, 'seen', _OLDEST_S)
    if age_s is None:
        raise ValueError('no age')
    on_ground = 'ground' in (entry.get('alt_baro'), entry.get('altitude'))
    geometric = _number(entry, 'alt_geom', HIGHEST_M / FOOT_M)
    pressure = None if on_ground else _either(entry, HIGHEST_M / FOOT_M, 'alt_baro', 'altitude')
    speed = _either(entry, FASTEST_M_S / KNOT_M_S, 'gs', 'speed')
    climb = _either(entry, STEEPEST_M_S / FOOT_MIN_M_S, 'geom_rate', 'baro_rate', 'vert_rate')
    flight = entry.get('flight')
    return AircraftReport(
        stamp_ns=made_ns - round(max(age_s, 0.0) * 1e9),
        icao=address.upper(),
        callsign=flight.strip() or None if isinstance(flight, str) else None,
        latitude_deg=latitude if placed else None,
        longitude_deg=longitude if placed else None,
        altitude_m=altitude_m(geometric if geometric is not None else pressure),
        geometric=geometric is not None,
        on_ground=on_ground,
        speed_m_s=None if speed is None else abs(speed) * KNOT_M_S,
        track_deg=_number(entry, 'track', 360.0),
        climb_m_s=None if climb is None else climb * FOOT_MIN_M_S,
    )


def _either(entry: Mapping[str, Any], largest: float, *names: str) -> float | None:
    return next((value for name in names if (value := _number(entry, name, largest)) is not None), None)


def _number(entry: Mapping[str, Any], name: str, largest: float) -> float | None:
    value = entry.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f'{name} is no number')
    if not isfinite(value) or abs(value) > largest:
        raise ValueError(f'{name} is out of range')
    return float(value)
