"""Finds the place in the sky of a pattern of stars."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from math import atan, cos, degrees, radians
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.calibration.plate_solving.catalogues import (
    EXTRA,
    HIPPARCOS_EPOCH,
    StarTable,
    at_epoch,
    unit_vectors,
    write_table,
)
from qkd_gs.drivers.extras import need

_FAINTEST_MAG = 9.0  # of the catalogue: fainter stars are seldom seen
_EDGE_ERROR = 0.003  # of the ratios in a pattern: the sky turns a little between the images of a mosaic
_FIELD_ERROR = 0.02  # of the scale
_MOST_PATTERNS = 200_000  # a limit in work, not in time, so that the outcome is the same on every machine


@dataclass(frozen=True)
class Sighting:
    """Stars of one or several images in one tangent plane.

    Attributes
    ----------
    x_rad, y_rad : ndarray, (n,)
        Gnomonic coordinates from the centre, right and up as seen looking at the sky.
    brightness : ndarray, (n,)
        In any linear unit.
    width_rad, height_rad : float
        Of the field.
    """

    x_rad: FloatArray
    y_rad: FloatArray
    brightness: FloatArray
    width_rad: float
    height_rad: float


@dataclass(frozen=True)
class PlateSolution:
    """Place of a field.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Of a star that would be seen in the centre, ICRS: aberration and refraction move it together with the others.
    matches : int
        Stars of the catalogue in it.
    rms_rad : float
        Of them.
    """

    ra_deg: float
    dec_deg: float
    matches: int
    rms_rad: float


@dataclass(frozen=True)
class NoSolution:
    """Reason why there is none."""

    reason: str


class PlateSolver(Protocol):
    """Any plate solver."""

    def solve(
        self,
        sighting: Sighting,
        near_deg: tuple[float, float],
        within_deg: float,
        year: float,
    ) -> PlateSolution | NoSolution:
        """Find the place of a field.

        Parameters
        ----------
        near_deg : (float, float)
            RA and Dec near which the centre is.
        within_deg : float
            Largest distance.
        year : float
            Julian epoch of the images.
        """


class TetraSolver:
    """Plate solver by the library ``tetra3rs``, with a database of the stars nearby that is made in half a second.

    Parameters
    ----------
    catalogue : callable
        Gives the stars (`catalogues.hipparcos` or `catalogues.gaia`), read when they are needed.
    epoch : float
        Of the catalogue, Julian year.
    """

    def __init__(self, catalogue: Callable[[], StarTable], epoch: float = HIPPARCOS_EPOCH) -> None:
        self._catalogue, self._epoch = catalogue, epoch
        self._whole: tuple[tuple[int, float], Any] | None = None

    def solve(
        self,
        sighting: Sighting,
        near_deg: tuple[float, float],
        within_deg: float,
        year: float,
    ) -> PlateSolution | NoSolution:
        """See `PlateSolver`."""
        field_deg = degrees(2 * atan(sighting.width_rad / 2))
        database = self._database(near_deg, within_deg + field_deg, year, field_deg)
        scale = sighting.width_rad / _PIXELS
        order = np.argsort(-sighting.brightness)
        pixels = np.stack((sighting.x_rad / scale, -sighting.y_rad / scale, sighting.brightness), axis=1)[order]
        found = database.solve_from_centroids(
            pixels,
            fov_estimate_deg=field_deg,
            fov_max_error_deg=_FIELD_ERROR * field_deg,
            image_width=_PIXELS,
            image_height=round(sighting.height_rad / scale),
            solve_timeout_ms=None,
            max_patterns_checked=_MOST_PATTERNS,
        )
        if not found:
            return NoSolution(_IN_WORDS.get(found.status, found.status))
        return PlateSolution(found.ra_deg, found.dec_deg, found.num_matches, radians(found.rmse_arcsec / 3600))

    def _database(self, near_deg: tuple[float, float], radius_deg: float, year: float, field_deg: float) -> Any:
        """Patterns of the stars nearby; those of the whole sky, which take seconds to make, are kept."""
        key = round(year), field_deg
        if radius_deg >= _WHOLE_DEG and self._whole is not None and self._whole[0] == key:
            return self._whole[1]
        tetra = need('tetra3rs', EXTRA)
        nearby = self._around(near_deg, radius_deg, year)
        with tempfile.TemporaryDirectory(prefix='qkd_gs-stars-') as folder:
            path = Path(folder) / 'stars.bin'
            write_table(path, nearby)
            database = tetra.SolverDatabase.generate_from_gaia(
                str(path),
                max_fov_deg=field_deg,
                min_fov_deg=field_deg,
                star_max_magnitude=_FAINTEST_MAG,
                pattern_max_error=_EDGE_ERROR,
                epoch_proper_motion_year=_GAIA_EPOCH,  # the proper motions are applied already
            )
        if radius_deg >= _WHOLE_DEG:
            self._whole = key, database
        return database

    def _around(self, near_deg: tuple[float, float], radius_deg: float, year: float) -> StarTable:
        """Stars within a cone, at the epoch of the images."""
        table = self._catalogue()
        ra, dec = radians(near_deg[0]), radians(near_deg[1])
        centre = np.array([cos(dec) * cos(ra), cos(dec) * np.sin(ra), np.sin(dec)])
        inside = (unit_vectors(table) @ centre > cos(radians(radius_deg))) & (table['mag'] < _FAINTEST_MAG)
        return at_epoch(table[inside], self._epoch, year)


_WHOLE_DEG = 180.0
_GAIA_EPOCH = 2016.0  # of the files that the library reads
_PIXELS = 4096  # of the width of a field, for the library
_IN_WORDS = {
    'no_match': 'no pattern of them is in the catalogue',
    'too_few': 'they are too few',
    'timeout': 'no pattern of them was found within the limit of work',
}
