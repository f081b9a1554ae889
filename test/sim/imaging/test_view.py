"""Stars and sky stand in the picture where the line of sight and the camera's geometry put them."""

from __future__ import annotations

from math import cos, radians

import numpy as np
import pytest

from qkd_gs.devices.camera import Roi
from qkd_gs.sim.imaging.exposure import View
from qkd_gs.sim.imaging.starfield import StarsInView
from qkd_gs.sim.physics.photometry import star_electrons
from qkd_gs.sim.physics.state_history import Column, History
from qkd_gs.sim.physics.true_camera import TrueCameraGeometry

MS = 1_000_000
WHOLE = Roi(0, 0, 1280, 1024)
EL = radians(50)


class OneStar:
    """A star of magnitude 2 that stands at one place of the horizon's frame."""

    def __init__(self, az_rad, el_rad):
        self.place = az_rad, el_rad
        self.asked = []

    def near(self, t_ns, az_rad, el_rad, radius_rad, faintest_mag):
        self.asked.append((radius_rad, faintest_mag))
        rest = np.zeros(1)
        return StarsInView(np.array([self.place[0]]), np.array([self.place[1]]), rest, rest, np.array([2.0]))


def history(az_rate=0.0, el_rate=0.0, tilt=(0.0, 0.0), roll=0.0, clear=1.0, irradiance=0.0):
    """One second of a line of sight that passes azimuth 1 rad and elevation 50 deg at its middle."""
    past = History(0, MS, 1200)
    t_s = 1e-3 * np.arange(1, 1001) - 0.5
    rows = np.zeros((len(Column), 1000))
    rows[Column.AZ], rows[Column.EL] = 1.0 + az_rate * t_s, EL + el_rate * t_s
    rows[Column.ROLL] = roll
    rows[Column.TILT_X], rows[Column.TILT_Y] = tilt
    rows[Column.GUIDING : Column.TRACKING + 1] = 1.0
    rows[Column.CLEAR], rows[Column.IRRADIANCE] = clear, irradiance
    for part in np.split(rows, 10, axis=1):
        past.append(part)
    return past


def view(twin, station, past, star):
    geometry = TrueCameraGeometry(639.5, 511.5, 14e-6, 0.0)
    plant = twin.plant
    return View(station.guiding_camera, plant.guiding_camera, plant.sky, geometry, past, (star,), Column.GUIDING)


def star_of(exposed):
    """Without the target, which gives no light here, the star is the only source."""
    assert exposed.points.x_px.shape[0] == 1
    return exposed.points


@pytest.mark.parametrize('roll', [0.0, 0.02])
def test_a_star_right_of_and_above_the_line_of_sight(twin, station, roll):
    star = OneStar(1.0 + 2e-3 / cos(EL), EL + 1e-3)
    points = star_of(view(twin, station, history(roll=roll), star).expose(480 * MS, 40 * MS, WHOLE))
    x, y = (points.x_px.mean() - 639.5) * 14e-6, (511.5 - points.y_px.mean()) * 14e-6
    # a frame turned counter-clockwise by the roll sees it turned the other way
    assert x == pytest.approx(2e-3 * cos(roll) + 1e-3 * roll, abs=4e-6)  # the tangent plane's second order
    assert y == pytest.approx(1e-3 * cos(roll) - 2e-3 * roll, abs=4e-6)


def test_tilt_moves_a_star_with_its_own_sign(twin, station):
    still, moved = (
        star_of(view(twin, station, history(tilt=tilt), OneStar(1.0, EL)).expose(480 * MS, 40 * MS, WHOLE))
        for tilt in ((0.0, 0.0), (28e-6, 14e-6))
    )
    assert (moved.x_px - still.x_px).mean() == pytest.approx(2.0)
    assert (moved.y_px - still.y_px).mean() == pytest.approx(-1.0)


def test_a_star_behind_a_tracked_satellite_draws_a_trail_against_the_motion(twin, station):
    past = history(az_rate=0.010 / cos(EL), el_rate=0.005)
    points = star_of(view(twin, station, past, OneStar(1.0, EL)).expose(450 * MS, 100 * MS, WHOLE))
    count = points.x_px.shape[1]
    assert count > 40
    length = (points.x_px[0, -1] - points.x_px[0, 0]) * count / (count - 1) * 14e-6
    height = (points.y_px[0, -1] - points.y_px[0, 0]) * count / (count - 1) * 14e-6
    assert length == pytest.approx(-0.010 * 0.1, rel=0.01)
    assert height == pytest.approx(0.005 * 0.1, rel=0.01)  # y grows downwards
    assert points.x_px.mean() == pytest.approx(639.5, abs=0.5)
    flux = points.electrons.sum()
    assert flux == pytest.approx(float(star_electrons(twin.plant.guiding_camera, twin.plant.sky, np.array(2.0))) * 0.1)


def test_clouds_dim_stars_and_faint_ones_are_not_asked_for(twin, station):
    star = OneStar(1.0, EL)
    clear, cloudy = (
        star_of(view(twin, station, history(clear=part), star).expose(480 * MS, 40 * MS, WHOLE)) for part in (1.0, 0.1)
    )
    assert cloudy.electrons.sum() == pytest.approx(0.1 * clear.electrons.sum())
    view(twin, station, history(), star).expose(480 * MS, 4 * MS, WHOLE)
    (radius_rad, deep), (_, shallow) = star.asked[0], star.asked[-1]
    assert deep - shallow == pytest.approx(2.5)
    assert radius_rad > np.hypot(640, 512) * 14e-6


def test_the_sky_brightens_towards_the_horizon(twin, station):
    background = view(twin, station, history(), OneStar(1.0, EL)).expose(480 * MS, 40 * MS, WHOLE).background
    assert background.slope_y_e > 0  # down the picture is towards the horizon
    assert abs(background.slope_x_e) < 1e-9
    assert background.level_e > 0


def test_history_keeps_what_an_exposure_may_look_back_to():
    past = History(0, MS, 500)
    for k in range(40):
        t_ms = np.arange(k * 100 + 1, k * 100 + 101, dtype=float)
        past.append(np.broadcast_to(t_ms, (len(Column), 100)))
    times_ms = np.array([3500.0, 3500.25, 3999.0, 4000.0, 4000.5])
    seen = past.at((times_ms * MS).astype(np.int64))
    assert seen[0] == pytest.approx([3500.0, 3500.25, 3999.0, 4000.0, 4000.0])
