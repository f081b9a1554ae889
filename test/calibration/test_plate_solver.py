"""A pattern of stars is found in the sky: Gaia's stars by a solver that knows those of Hipparcos."""

from math import cos, radians, sin

import numpy as np
import pytest

from qkd_gs.calibration.plate_solving.catalogues import (
    GAIA_EPOCH,
    at_epoch,
    gaia,
    hipparcos,
    read_table,
    unit_vectors,
    write_table,
)
from qkd_gs.calibration.plate_solving.solver import NoSolution, PlateSolution, Sighting, TetraSolver
from qkd_gs.errors import StationError

pytest.importorskip('tetra3rs', reason='plate solving needs the extra "stars"')
YEAR = 2018.75
WIDTH_RAD, HEIGHT_RAD = 4 * 1280 * 14e-6, 4 * 1024 * 14e-6


def direction(ra_deg, dec_deg):
    ra, dec = radians(ra_deg), radians(dec_deg)
    return np.array([cos(dec) * cos(ra), cos(dec) * sin(ra), sin(dec)])


def sighting_at(ra_deg, dec_deg, faintest=8.0, noise_rad=10e-6, turn_rad=0.05, seed=0):
    """Gaia's stars as a mosaic sees them."""
    table = gaia()
    centre = direction(ra_deg, dec_deg)
    near = (table['mag'] < faintest) & (unit_vectors(table) @ centre > cos(0.08))
    stars = at_epoch(table[near], GAIA_EPOCH, YEAR)
    vectors = unit_vectors(stars)
    east = np.cross([0.0, 0.0, 1.0], centre)
    east /= np.linalg.norm(east)
    north = np.cross(centre, east)
    depth = vectors @ centre
    x, y = -(vectors @ east) / depth, (vectors @ north) / depth  # east is left
    x, y = x * cos(turn_rad) - y * sin(turn_rad), x * sin(turn_rad) + y * cos(turn_rad)
    inside = (np.abs(x) < WIDTH_RAD / 2) & (np.abs(y) < HEIGHT_RAD / 2)
    rng = np.random.default_rng(seed)
    x, y = (column[inside] + rng.normal(0, noise_rad, inside.sum()) for column in (x, y))
    return Sighting(x, y, 10 ** (-0.4 * stars['mag'][inside]), WIDTH_RAD, HEIGHT_RAD)


@pytest.fixture(scope='module')
def solver():
    return TetraSolver(hipparcos)


@pytest.mark.parametrize(
    ('ra_deg', 'dec_deg'), [(83.6, 22.0), (310.36, 45.28), (269.0, 66.5), (37.9, 88.5), (100.0, -20.0)]
)
def test_a_field_is_found_from_ten_degrees_away(solver, ra_deg, dec_deg):
    away = (ra_deg, dec_deg - 9.5)
    found = solver.solve(sighting_at(ra_deg, dec_deg), away, 10.0, YEAR)
    assert isinstance(found, PlateSolution)
    off_rad = np.arccos(min(direction(found.ra_deg, found.dec_deg) @ direction(ra_deg, dec_deg), 1.0))
    assert off_rad < 30e-6
    assert found.matches >= 5
    assert found.rms_rad < 60e-6


def test_what_is_no_pattern_of_the_sky_is_not_found(solver):
    rng = np.random.default_rng(4)
    x, y = rng.uniform(-0.5, 0.5, (2, 20)) * [[WIDTH_RAD], [HEIGHT_RAD]]
    noise = Sighting(x, y, rng.uniform(1, 2, 20), WIDTH_RAD, HEIGHT_RAD)
    assert isinstance(solver.solve(noise, (83.6, 22.0), 10.0, YEAR), NoSolution)
    few = Sighting(x[:3], y[:3], np.ones(3), WIDTH_RAD, HEIGHT_RAD)
    assert solver.solve(few, (83.6, 22.0), 10.0, YEAR) == NoSolution('they are too few')


def test_catalogues_agree_on_a_star_with_a_large_proper_motion():
    """Barnard's star moves 10.4 arcsec a year: HIP 87937, and G = 8.2 in Gaia."""
    one = hipparcos()[hipparcos()['id'] == 87937]
    first = unit_vectors(at_epoch(one, 1991.25, 2016.0))[0]
    near = gaia()[unit_vectors(gaia()) @ first > cos(radians(5 / 3600))]
    assert len(near) == 1
    assert near['mag'][0] == pytest.approx(8.2, abs=0.2)


def test_a_table_is_the_same_after_writing(tmp_path):
    some = np.sort(hipparcos()[:50], order='mag')
    write_table(tmp_path / 'stars.bin', some)
    assert (read_table(tmp_path / 'stars.bin') == some).all()


@pytest.mark.parametrize('damage', [lambda data: data[:-1], lambda data: b'XXXX' + data[4:], lambda data: data[:9]])
def test_a_damaged_catalogue_is_refused(tmp_path, damage):
    path = tmp_path / 'stars.bin'
    write_table(path, hipparcos()[:5])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StationError, match='is not a star catalogue'):
        read_table(path)
