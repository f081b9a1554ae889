"""Extinction, Moon, city light and sunlight as functions of what is stated of a site."""

from math import pi, radians

import numpy as np
import pytest

from qkd_gs.downlink.background import background_rate, diffuse_sphere, in_sunlight, moonlight_mag
from qkd_gs.downlink.budget import noise_rate
from qkd_gs.downlink.extinction import zenith_loss_db
from qkd_gs.orbit.sky import moon_azel
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.settings.downlink import load_downlink
from qkd_gs.settings.site import Site, load_site
from qkd_gs.settings.twin import load_twin

DOWNLINK = load_downlink()


def site(**more) -> Site:
    return Site(**{'name': 'here', 'latitude_deg': 31.0, 'longitude_deg': 121.0, 'altitude_m': 0.0, **more})


def test_the_air_without_aerosol_is_rayleighs():
    clean = zenith_loss_db(site(visibility_km=300))
    assert clean == pytest.approx(4.343 * 0.0167, abs=0.06)  # Hansen and Travis: 0.0167 at 0.85 um and sea level


def test_extinction_follows_altitude_visibility_and_humidity():
    clear = zenith_loss_db(site())
    assert clear == pytest.approx(0.46, abs=0.02)
    assert zenith_loss_db(site(altitude_m=3233)) < 0.2 * clear
    assert zenith_loss_db(site(visibility_km=10)) > 2 * clear
    assert zenith_loss_db(site(aerosol='maritime')) < clear
    assert zenith_loss_db(site(humidity=0.95)) > 2 * clear
    assert zenith_loss_db(site(humidity=0.6)) == clear
    assert zenith_loss_db(site(visibility_km=0.4)) > 30  # fog


def test_city_noise_is_as_the_paper_tells():
    low, high = noise_rate(DOWNLINK.noise, load_site('beijing').glow_cps, np.radians([12.0, 45.0]))
    assert low == pytest.approx(2000, rel=0.02)
    assert high == pytest.approx(150, rel=0.02)


def test_a_full_moon_is_as_bright_as_krisciunas_and_schaefer_have_it():
    """60 deg from a full Moon the sky has some 18.5 V magnitudes per square arcsecond."""
    one = np.ones(1)
    full = moonlight_mag(0 * one, radians(60) * one, radians(60) * one, radians(60) * one)
    half = moonlight_mag(radians(90) * one, radians(60) * one, radians(60) * one, radians(60) * one)
    assert full[0] == pytest.approx(18.5, abs=0.4)
    assert half[0] - full[0] == pytest.approx(2.7, abs=0.5)
    assert moonlight_mag(0 * one, one, radians(-1) * one, one)[0] == np.inf


def test_moonlight_adds_counts_on_the_night_of_a_full_moon_only():
    where = site()
    for date, brighter in (('2018-10-24T16:00:00Z', True), ('2018-10-09T16:00:00Z', False)):
        t_ns = np.array([parse_utc(date)])
        moon_az, moon_el = moon_azel(where, t_ns)
        assert bool(moon_el[0] > 0.5) is brighter
        az, el = moon_az + radians(40), np.array([radians(60)])
        rate = background_rate(DOWNLINK.noise, DOWNLINK.link, where, t_ns, az, el, np.array([6e5]))
        dark = noise_rate(DOWNLINK.noise, 0.0, el)
        assert rate[0] == pytest.approx(dark[0], rel=0.01) if not brighter else rate[0] > dark[0] + 15


def test_a_satellite_is_sunlit_outside_the_shadow_of_the_earth():
    sun_m = np.array([[1.5e11, 0.0, 0.0]])
    for position_m, lit in (((6.9e6, 0, 0), 1), ((-6.9e6, 0, 0), 0), ((-1e6, 6.9e6, 0), 1), ((-3e6, 6.2e6, 0), 0)):
        assert in_sunlight(np.array([position_m]), sun_m)[0] == lit
    assert diffuse_sphere(np.array([pi / 2]))[0] == pytest.approx(1.0)
    assert diffuse_sphere(np.array([pi]))[0] == pytest.approx(0.0, abs=1e-12)


def test_the_station_expects_the_link_that_the_twin_has():
    light = load_twin().photonics
    assert (light.link, light.noise, light.polarization) == (DOWNLINK.link, DOWNLINK.noise, DOWNLINK.polarization)
