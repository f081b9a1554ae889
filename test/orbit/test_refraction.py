"""Refraction against published refractivities, the IAU's formula, and a ray traced by scipy."""

from math import cos, degrees, pi, radians, sin

import erfa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from skyfield.earthlib import refraction as bennett_deg

from qkd_gs.orbit.refraction import QUANTUM_NM, _Air, dispersion_rad, site_refraction
from qkd_gs.orbit.refractivity import refractivity
from qkd_gs.settings.site import Site, load_site, standard_pressure_pa

SITE = Site(name='test', latitude_deg=31, longitude_deg=121, altitude_m=25, pressure_mbar=1010, temperature_c=10)


@pytest.mark.parametrize(
    ('celsius', 'kpa', 'e8'),
    [(20, 80, 21458.0), (20, 100, 26824.4), (20, 120, 32191.6), (10, 100, 27774.7), (30, 100, 25937.2)],
)
def test_dry_air_of_ciddors_table(celsius, kpa, e8):
    # P. E. Ciddor, Appl. Opt. 35, 1566 (1996), table 1: 633 nm, 450 ppm CO2
    assert sum(refractivity(633, kpa * 1e3, celsius + 273.15, 0)) * 1e8 == pytest.approx(e8, abs=0.1)


def test_water_vapour_makes_light_faster():
    dry = sum(refractivity(633, 1e5, 293.15, 0))
    damp = sum(refractivity(633, 1e5, 293.15, 1))
    # K. P. Birch and M. J. Downs, Metrologia 30, 155 (1993): (3.7345 - 0.0401 / um^2) e-10 a Pa; 2339 Pa at 20 C
    assert dry - damp == pytest.approx((3.7345 - 0.0401 / 0.633**2) * 1e-10 * 2339, rel=0.03)


@pytest.mark.parametrize('el_deg', [15, 20, 30, 45, 60, 72, 85])
def test_constants_of_the_iau(el_deg):
    a, b = erfa.refco(1010, 10, SITE.humidity, 0.532)
    tangent = 1 / np.tan(radians(el_deg))
    bending = radians(el_deg) - site_refraction(SITE).unrefract(radians(el_deg))
    assert bending == pytest.approx(a * tangent + b * tangent**3, abs=5e-7)


@pytest.mark.parametrize('el_deg', [15, 20, 30, 45, 60, 72, 85])
def test_series_of_saastamoinen(el_deg):
    # J. Saastamoinen, Bull. Geod. 106, 383 (1972), eq. 30a: 16.271" tan z [1 + 3.94e-5 (P - 0.156 e)/T tan^2 z]
    # (P - 0.156 e)/T - 0.0749" (tan + tan^3) P/1000, for 574 nm; P and e in hPa; good to 0.1" above 20 deg
    air = site_refraction(SITE, 574)
    tangent = 1 / np.tan(radians(el_deg))
    ratio = (1010 - 0.156 * 6.1) / 283.15
    expected = 16.271 * tangent * (1 + 3.94e-5 * ratio * tangent**2) * ratio
    expected -= 0.0749 * (tangent + tangent**3) * 1.010
    bending = radians(el_deg) - air.unrefract(radians(el_deg))
    assert degrees(bending) * 3600 == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize('el_deg', [1, 2, 5, 10, 45])
def test_formula_of_bennett(el_deg):
    # the Almanac's formula, fitted to an older atmosphere
    bending = radians(el_deg) - site_refraction(SITE, 590).unrefract(radians(el_deg))
    assert degrees(bending) == pytest.approx(bennett_deg(el_deg, 10.0, 1010.0), abs=0.4 / 60)


@pytest.mark.parametrize(('el_deg', 'range_km'), [(5, 2000), (20, 1194), (45, 690), (80, 505)])
def test_a_ray_shot_back_at_the_satellite_meets_it(el_deg, range_km):
    """The ray is followed outwards by scipy from its apparent elevation; where it goes is the geometric place."""
    air = site_refraction(SITE)
    model = _Air.at_ground(532, 101_000, 283.15, SITE.humidity, SITE.altitude_m, radians(SITE.latitude_deg))
    geometric = radians(el_deg)
    station = np.array([0.0, model.radius_m])
    satellite = station + range_km * 1e3 * np.array([cos(geometric), sin(geometric)])
    apparent = float(air.apparent(geometric, range_km * 1e3))
    position, heading = _shoot(model, apparent)
    miss = satellite - position
    side = heading[0] * miss[1] - heading[1] * miss[0]
    assert side / (range_km * 1e3) == pytest.approx(0, abs=1e-6 if el_deg == 5 else 5e-8)


def _shoot(model, apparent_rad):
    """Eikonal equation in the plane, by path length up to 85 km: position and direction of the ray above the air."""

    def index(x, y):
        h = np.hypot(x, y) - model.radius_m
        layer = model.troposphere if h < model.tropopause_m else model.stratosphere
        n, slope = layer(np.array(h))
        return 1 + float(n), float(slope)

    def flow(_, state):
        x, y, px, py = state
        n, slope = index(x, y)
        r = np.hypot(x, y)
        return [px / n, py / n, slope * x / r, slope * y / r]

    def above(_, state):
        return np.hypot(state[0], state[1]) - model.radius_m - 85_000

    above.terminal = True
    n0, _ = index(0, model.radius_m)
    start = [0, model.radius_m, n0 * cos(apparent_rad), n0 * sin(apparent_rad)]
    ray = solve_ivp(flow, (0, 3e6), start, events=above, rtol=1e-11, atol=1e-9, max_step=2000)
    x, y, px, py = ray.y[:, -1]
    return np.array([x, y]), np.array([px, py]) / np.hypot(px, py)


def test_dispersion_of_beacon_and_photons():
    # 9.4 urad at 20 deg elevation between 532 and 850 nm
    assert dispersion_rad(radians(20), load_site('shanghai')) * 1e6 == pytest.approx(9.4, abs=0.2)
    assert dispersion_rad(radians(20), load_site('shanghai'), 1.2e6) * 1e6 == pytest.approx(9.1, abs=0.2)
    assert dispersion_rad(pi / 2, load_site('shanghai')) == pytest.approx(0, abs=1e-9)


@given(st.floats(0, pi / 2), st.floats(4e5, 1e9) | st.just(np.inf))
def test_unrefract_is_the_inverse(apparent_rad, range_m):
    air = site_refraction(SITE)
    assert air.apparent(air.unrefract(apparent_rad, range_m), range_m) == pytest.approx(apparent_rad, abs=1e-12)


def test_smooth_and_monotonic_through_the_horizon():
    el = np.radians(np.arange(-3, 90, 0.003))
    apparent = site_refraction(SITE).apparent(el, 1e6)
    assert (np.diff(apparent) > 0).all()
    bend = np.diff(apparent - el, 2)
    assert np.abs(np.diff(bend)).max() < 2e-8  # no kink: the third difference stays small


def test_zenith_is_not_bent():
    assert site_refraction(SITE).apparent(pi / 2) == pytest.approx(pi / 2, abs=1e-12)


def test_thin_air_bends_less():
    low, high = load_site('shanghai'), load_site('lijiang')
    ratio = (site_refraction(high).apparent(0.7) - 0.7) / (site_refraction(low).apparent(0.7) - 0.7)
    assert ratio == pytest.approx(standard_pressure_pa(3233) / standard_pressure_pa(25), rel=0.01)
    assert standard_pressure_pa(0) == 101325
    assert standard_pressure_pa(5000) == pytest.approx(54020, rel=1e-3)  # ICAO standard atmosphere


def test_red_bends_less_than_green():
    assert site_refraction(SITE, QUANTUM_NM).apparent(0.3) < site_refraction(SITE).apparent(0.3)
