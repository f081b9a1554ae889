"""The real sky for the simulated cameras: the stars of a catalogue to magnitude 10, beyond what they see."""

from __future__ import annotations

from math import cos, dist

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.calibration.plate_solving.catalogues import StarTable, at_epoch, unit_vectors
from qkd_gs.calibration.stars import Star
from qkd_gs.orbit.vectors import horizon_rotation
from qkd_gs.settings.site import Site
from qkd_gs.sim.imaging.catalogue_stars import NamedStars
from qkd_gs.sim.imaging.starfield import NO_STARS, StarsInView, towards

_J2000 = 2000.0
_AHEAD_RAD = 0.05  # margin of the search
_NEGLECTED_RAD = 0.01  # precession since 2000, refraction, aberration: in the choice of the stars, not in their places


class CatalogueField:
    """Stars of a catalogue, beside those of the station's own.

    Parameters
    ----------
    table : StarTable
        Without the stars of the station's catalogue.
    epoch : float
        Of the table, Julian year.
    start_ns : int
        UTC; steps of positions are counted from it.
    """

    def __init__(self, site: Site, start_ns: int, table: StarTable, epoch: float) -> None:
        self._table = at_epoch(table, epoch, _J2000)
        self._vectors = unit_vectors(self._table)
        self._site, self._start_ns = site, start_ns
        self._centre, self._reach_rad = np.zeros(3), -1.0
        self._nearby: NamedStars | None = None

    def near(self, t_ns: int, az_rad: float, el_rad: float, radius_rad: float, faintest_mag: float) -> StarsInView:
        """Stars within a cone about an apparent direction, down to a magnitude."""
        direction = towards(az_rad, el_rad) @ horizon_rotation(self._site, t_ns)
        if dist(direction, self._centre) + radius_rad + _NEGLECTED_RAD > self._reach_rad:
            self._search_around(direction, radius_rad)
        return NO_STARS if self._nearby is None else self._nearby.near(t_ns, az_rad, el_rad, radius_rad, faintest_mag)

    def _search_around(self, direction: FloatArray, radius_rad: float) -> None:
        self._centre, self._reach_rad = direction, radius_rad + _NEGLECTED_RAD + _AHEAD_RAD
        rows = self._table[self._vectors @ direction > cos(self._reach_rad)]
        stars = [
            Star(0, '', float(row['ra_deg']), float(row['dec_deg']), float(row['pm_ra_mas_yr']),
                 float(row['pm_dec_mas_yr']), 0.0, float(row['mag']))
            for row in rows
        ]  # fmt: skip
        self._nearby = NamedStars(self._site, self._start_ns, stars) if stars else None
