"""Measured stars: apparent direction, and encoder readings with the star on the reference pixel."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from math import radians
from pathlib import Path

import numpy as np

from qkd_gs.arrays import BoolArray, FloatArray
from qkd_gs.errors import StationError
from qkd_gs.settings.numbers import read_number

COLUMNS = {
    'az_deg': (-720.0, 720.0),
    'el_deg': (-5.0, 90.0),
    'enc_az_deg': (-1080.0, 1080.0),
    'enc_el_deg': (-180.0, 360.0),
}


@dataclass(frozen=True)
class Observations:
    """Stars measured in one calibration; arrays of one length, radians."""

    az_rad: FloatArray  # apparent direction at mid-exposure
    el_rad: FloatArray
    enc_az_rad: FloatArray  # encoder reading at mid-exposure, any whole turn
    enc_el_rad: FloatArray
    labels: tuple[str, ...]  # label in a report: a star's name, or file:line

    def __len__(self) -> int:
        return len(self.labels)

    def only(self, chosen: BoolArray) -> Observations:
        """The selected observations."""
        labels = tuple(label for label, keep in zip(self.labels, chosen, strict=True) if keep)
        return Observations(
            self.az_rad[chosen], self.el_rad[chosen], self.enc_az_rad[chosen], self.enc_el_rad[chosen], labels
        )

    @classmethod
    def from_rows(cls, rows: Sequence[tuple[float, float, float, float]], labels: Sequence[str]) -> Observations:
        """From (az, el, enc_az, enc_el) tuples in radians."""
        az, el, enc_az, enc_el = np.array(rows, dtype=np.float64).reshape(-1, 4).T
        return cls(az, el, enc_az, enc_el, tuple(labels))


def load_observations(path: str | Path) -> Observations:
    """Read a CSV file with the columns az_deg, el_deg, enc_az_deg, enc_el_deg; others are ignored, `name` labels a row.

    Columns are separated by commas, or by semicolons or tabs: then numbers may have decimal commas.

    Raises
    ------
    StationError
        File unreadable, a column missing, or a value that is not a number or out of range: file, line and column.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise StationError(f'cannot be read: {error}', where=path) from error
    lines = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith('#')]
    if not lines:
        raise StationError('has no header line', where=path, hint=f'columns: {", ".join(COLUMNS)}')
    separator = next((mark for mark in ';\t' if mark in lines[0][1]), ',')
    header = [name.strip() for name in next(csv.reader([lines[0][1]], delimiter=separator))]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise StationError(
            f'column {missing[0]} is missing', where=f'{path}:{lines[0][0]}', hint=f'columns: {", ".join(COLUMNS)}'
        )
    rows, labels = [], []
    for number, line in lines[1:]:
        cells = next(csv.reader([line], delimiter=separator))
        if len(cells) != len(header):
            raise StationError(f'{len(cells)} values where the header has {len(header)}', where=f'{path}:{number}')
        row = dict(zip(header, cells, strict=True))
        if separator != ',':
            row |= {name: row[name].replace(',', '.') for name in COLUMNS}
        where = f'{path}:{number}'
        degrees = (read_number(name, row[name], where, limits, ' deg') for name, limits in COLUMNS.items())
        az, el, enc_az, enc_el = (radians(value) for value in degrees)
        rows.append((az, el, enc_az, enc_el))
        labels.append(row.get('name', '').strip() or f'line {number}')
    if not rows:
        raise StationError('has no observations', where=path, hint='one line a star below the header')
    return Observations.from_rows(rows, labels)
