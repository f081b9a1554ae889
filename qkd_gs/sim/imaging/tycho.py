"""The stars of Tycho-2 and Hipparcos to magnitude 10, from config/sky."""

from __future__ import annotations

from functools import cache
from math import cos, radians

import numpy as np

from qkd_gs.calibration.plate_solving.catalogues import StarTable, empty_table, unit_vectors
from qkd_gs.calibration.stars import load_stars
from qkd_gs.orbit.vectors import enu_from_azel
from qkd_gs.share import share_path

TYCHO_EPOCH = 2000.0  # Julian year
_ZONES = 180  # of 1 deg of declination
_STEPS_RA, _STEPS_DEC, _STEPS_MAG = 72_000, 65_536, 20  # a degree, a degree, a magnitude
_NAMED_MAG = 5.5  # stars of config/stars.csv are brighter
_NAMED_RAD = radians(30 / 3600)


@cache
def tycho() -> StarTable:
    """327,227 stars brighter than VT 10; ICRS at epoch J2000.0, magnitude VT. Nothing needs to be installed."""
    with np.load(share_path('config', 'sky', 'tycho2.npz')) as file:
        zone = np.repeat(np.arange(_ZONES), file['zone_counts'])
        table = empty_table(len(zone))
        table['ra_deg'] = np.cumsum(file['ra_steps'], dtype=np.int64) / _STEPS_RA
        table['dec_deg'] = zone - 90 + file['dec_steps'] / _STEPS_DEC
        table['mag'] = file['magnitude_20'] / _STEPS_MAG
        table['pm_ra_mas_yr'], table['pm_dec_mas_yr'] = file['pm_cas_yr'].T * 10.0
    return table


@cache
def anonymous() -> StarTable:
    """Those of them that are not in config/stars.csv, which `NamedStars` shows."""
    table = tycho()
    bright = np.flatnonzero(table['mag'] < _NAMED_MAG)
    named = np.radians([(star.ra_deg, star.dec_deg) for star in load_stars()])
    vectors = enu_from_azel(np.pi / 2 - named[:, 0], named[:, 1])  # x towards right ascension 0, as east is
    closest = (unit_vectors(table[bright]) @ vectors.T).max(axis=1)
    keep = np.ones(len(table), dtype=bool)
    keep[bright[closest > cos(_NAMED_RAD)]] = False
    return table[keep]
