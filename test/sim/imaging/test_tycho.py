"""The stars of Tycho-2 in the simulated sky."""

from __future__ import annotations

from math import radians

import numpy as np
import pytest

from qkd_gs.calibration.plate_solving.catalogues import unit_vectors
from qkd_gs.calibration.stars import load_stars, star_azel
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.orbit.vectors import enu_from_azel
from qkd_gs.settings.site import load_site
from qkd_gs.sim.imaging.catalogue_field import CatalogueField
from qkd_gs.sim.imaging.tycho import TYCHO_EPOCH, anonymous, tycho

NIGHT_NS = parse_utc('2018-10-03T14:00:00Z')


def test_numbers_of_stars_are_the_real_ones():
    """Star counts of the whole sky by V magnitude (Allen's Astrophysical Quantities, 19.2): 4.8e3, 4.1e4 and 3.2e5."""
    magnitude = tycho()['mag']
    for faintest, published in ((6, 4_800), (8, 41_000), (10, 320_000)):
        assert (magnitude < faintest).sum() == pytest.approx(published, rel=0.15)


def test_positions_agree_with_hipparcos():
    """Every star of config/stars.csv is there, nearly all of them within half an arc-second."""
    named = np.radians([(star.ra_deg, star.dec_deg) for star in load_stars()])
    vectors = enu_from_azel(np.pi / 2 - named[:, 0], named[:, 1])
    table = unit_vectors(tycho())
    off = [np.linalg.norm(table - vector, axis=1).min() * 206_265 for vector in vectors]
    assert np.quantile(off, 0.95) < 0.5
    assert np.max(off) < 5


def test_proper_motion_of_a_fast_star():
    """61 Cygni A moves by 4.16"/yr towards east and 3.26"/yr towards north."""
    table = tycho()
    near = table[(np.abs(table['ra_deg'] - 316.7247) < 0.004) & (np.abs(table['dec_deg'] - 38.7494) < 0.004)]
    fastest = near[np.argmax(near['pm_ra_mas_yr'])]
    assert fastest['pm_ra_mas_yr'] == pytest.approx(4160, abs=60)
    assert fastest['pm_dec_mas_yr'] == pytest.approx(3260, abs=60)


def test_stars_of_the_calibration_are_not_shown_twice():
    """`NamedStars` shows the stars of config/stars.csv; the field of Tycho-2 leaves them out, and only them."""
    assert len(tycho()) - len(anonymous()) == pytest.approx(len(load_stars()), abs=5)
    site, stars = load_site('Shanghai'), load_stars()
    az, el = star_azel(stars, site, NIGHT_NS)
    high = np.flatnonzero(el > radians(30))[0]
    field = CatalogueField(site, NIGHT_NS, anonymous(), TYCHO_EPOCH)
    assert len(field.near(NIGHT_NS, float(az[high]), float(el[high]), radians(0.005), 4.5).az_rad) == 0
    assert len(field.near(NIGHT_NS, float(az[high]), float(el[high]), radians(1.5), 10.0).az_rad) > 5
