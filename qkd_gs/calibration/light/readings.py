"""Counts of the four detectors towards one direction, and their file."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from math import degrees, radians
from pathlib import Path

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import format_utc, parse_utc
from qkd_gs.session.atomic_file import replace_file
from qkd_gs.settings.numbers import read_number

_COLUMNS = {
    'az_deg': (-360.0, 360.0),
    'el_deg': (-5.0, 90.0),
    'seconds': (0.1, 3600.0),
    'H': (0.0, 1e12),
    'V': (0.0, 1e12),
    'D': (0.0, 1e12),
    'A': (0.0, 1e12),
}
_TEXT = ('utc', 'target')
DARK = 'dark'  # target: shutter or cover closed
SKY = 'sky'
BESIDE = 'beside '  # before the number of a star: the empty sky next to it
HIP = 'HIP '


@dataclass(frozen=True)
class LightReading:
    """Counts of H, V, D, A over some seconds."""

    target: str  # DARK, SKY, 'HIP 123' for a star in the field, 'beside HIP 123' for the sky next to it
    t_ns: int  # UTC, middle
    az_rad: float  # apparent
    el_rad: float
    seconds: float
    counts: tuple[int, int, int, int]

    @property
    def rates(self) -> FloatArray:
        """Counts a second, (4,)."""
        return np.array(self.counts) / self.seconds

    def true_rates(self, dead_time_ns: float) -> FloatArray:
        """Counts a second without the dead time of each detector, (4,)."""
        measured = self.rates
        return np.asarray(measured / (1 - np.minimum(measured * dead_time_ns * 1e-9, 0.5)))


def read_light(path: Path) -> list[LightReading]:
    """Readings of a CSV file with the columns utc, target, az_deg, el_deg, seconds, H, V, D, A.

    Raises
    ------
    StationError
        Unreadable, a column missing or a value wrong; names file and row.
    """
    try:
        lines = path.read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StationError(f'cannot be read: {error}', where=path) from error
    table = csv.DictReader(line for line in lines if line.strip() and not line.startswith('#'))
    columns = (*_TEXT, *_COLUMNS)
    for name in columns:
        if name not in (table.fieldnames or ()):
            raise StationError(f'column {name} is missing', where=path, hint=f'columns: {", ".join(columns)}')
    readings = []
    for k, row in enumerate(table, 1):
        where = f'{path}, row {k}'
        values = {name: read_number(name, row[name] or '', where, limits, '') for name, limits in _COLUMNS.items()}
        target = (row['target'] or '').strip()
        if target not in (DARK, SKY) and not target.removeprefix(BESIDE).startswith(HIP):
            raise StationError(
                f'target {target!r} is not known', where=where, hint=f"'{DARK}', '{SKY}', '{HIP}N' or '{BESIDE}{HIP}N'"
            )
        counts = tuple(round(values[name]) for name in 'HVDA')
        place = radians(values['az_deg']), radians(values['el_deg'])
        t_ns = parse_utc(row['utc'] or '', where)
        readings.append(LightReading(target, t_ns, *place, values['seconds'], counts))  # type: ignore[arg-type]
    return readings


def save_light(path: Path, readings: list[LightReading]) -> None:
    """Write readings as `read_light` reads them.

    Raises
    ------
    StationError
        It cannot be written.
    """
    lines = [','.join((*_TEXT, *_COLUMNS))]
    for one in readings:
        place = f'{degrees(one.az_rad):.4f},{degrees(one.el_rad):.4f}'
        counts = ','.join(map(str, one.counts))
        lines.append(f'{format_utc(one.t_ns)},{one.target},{place},{one.seconds:.3f},{counts}')
    replace_file(path, '\n'.join(lines) + '\n', parents=True)
