from math import pi, radians

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyfield.api import wgs84

from qkd_gs.orbit.vectors import (
    azel_from_enu,
    enu_from_azel,
    enu_rotation,
    polarization_angle,
    site_itrs_m,
    sky_axes,
    sky_offset,
)
from qkd_gs.settings.site import Site

azimuths = st.floats(0, 2 * pi, exclude_max=True)
elevations = st.floats(-pi / 2 + 1e-6, pi / 2 - 1e-6)


@given(azimuths, elevations)
def test_directions_and_back(az, el):
    back_az, back_el = azel_from_enu(enu_from_azel(az, el) * 7e5)
    assert np.cos(back_az - az) == pytest.approx(1, abs=1e-12)
    assert back_el == pytest.approx(el, abs=1e-12)


def test_compass():
    enu = enu_from_azel(np.radians([0, 90, 180, 270]), np.zeros(4))
    assert enu == pytest.approx(np.array([[0, 1, 0], [1, 0, 0], [0, -1, 0], [-1, 0, 0]]), abs=1e-15)


@given(azimuths, elevations)
def test_field_axes_are_a_right_handed_screen(az, el):
    """Right times up points back at the observer: seen from inside the sphere, right is towards growing azimuth."""
    across, up = sky_axes(az, el)
    assert np.cross(across, up) == pytest.approx(-enu_from_azel(az, el), abs=1e-12)


@given(azimuths, elevations, st.floats(-0.02, 0.02), st.floats(-0.02, 0.02))
def test_an_offset_leads_to_its_direction(az, el, x, y):
    """Also at the zenith, where azimuth differences are no measure of anything."""
    across, up = sky_axes(az, el)
    angle = np.hypot(x, y)
    side = (x * across + y * up) / angle if angle > 0 else across
    target = np.cos(angle) * enu_from_azel(az, el) + np.sin(angle) * side
    assert sky_offset(*(float(v) for v in azel_from_enu(target)), az, el) == pytest.approx((x, y), abs=1e-12)


def test_polarization_angle_of_a_northbound_pass_in_the_east():
    """The orbit normal of a northbound satellite (r x v: up x north) points west."""
    west = (-1, 0, 0)
    assert polarization_angle(radians(90), radians(45), west) == pytest.approx(radians(90))  # up and back over the head
    assert polarization_angle(radians(0), radians(30), west) == pytest.approx(
        pi
    )  # north: west is against growing azimuth
    assert polarization_angle(radians(180), radians(30), west) == pytest.approx(0)  # south: west is towards it


@given(azimuths, elevations, st.floats(-3, 3))
def test_polarization_angle_turns_from_horizontal_to_up(az, el, angle):
    across, up = sky_axes(az, el)
    axis = np.cos(angle) * across + np.sin(angle) * up + 0.7 * enu_from_azel(az, el)
    assert polarization_angle(az, el, axis) == pytest.approx(angle, abs=1e-9)


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-400, 9000))
def test_site_axes_are_those_of_the_ellipsoid(lat, lon, altitude):
    site = Site(name='x', latitude_deg=lat, longitude_deg=lon, altitude_m=altitude)
    lower = Site(name='x', latitude_deg=lat, longitude_deg=lon, altitude_m=altitude - 100)
    place = wgs84.latlon(lat, lon, elevation_m=altitude)
    assert enu_rotation(site) @ (site_itrs_m(site) - site_itrs_m(lower)) == pytest.approx([0, 0, 100], abs=1e-6)
    assert np.linalg.norm(site_itrs_m(site)) == pytest.approx(np.linalg.norm(place.itrs_xyz.m))
