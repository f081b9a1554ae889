"""A rendered frame holds the light, the place and the noise that it should, and arrives when it should."""

from __future__ import annotations

from math import pi, radians

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.devices.camera import CameraSettings, Roi
from qkd_gs.errors import DeviceFault
from qkd_gs.sim.imaging.camera import SimCamera, build_sensor
from qkd_gs.sim.imaging.exposure import Exposed
from qkd_gs.sim.imaging.render import Background, Points, noise_bank, render
from qkd_gs.sim.physics.photometry import beam_irradiance, electrons_a_watt, faintest, sky_electrons, star_electrons
from qkd_gs.sim.physics.true_camera import TrueCameraGeometry, turned

ROI = Roi(100, 80, 64, 64)
REGION = (100, 80, 64, 64)


def plain(twin, **changes):
    """A tracking camera without fixed pattern."""
    none = {'hot_pixels': 0, 'flat_error': 0.0, 'vignetting': 0.0, 'dark_e_s': 0.0}
    return twin.plant.tracking_camera.model_copy(update={**none, **changes})


def spot(x_px, y_px, electrons, instants=1):
    share = np.full((1, instants), electrons / instants)
    return Points(np.broadcast_to(x_px, (1, instants)).astype(float), np.full((1, instants), y_px), share)


def electrons_of(image, sensor, gain=1.0):
    return (image.astype(float) - sensor.pedestal_counts) * sensor.electrons_per_count / gain


class Still:
    """A scene that does not change."""

    def __init__(self, points, level_e=20.0):
        self.exposed = Exposed(points, Background(level_e, 0.0, 0.0), (1e-6, -2e-6))

    def expose(self, start_ns, exposure_ns, roi):
        return self.exposed


@pytest.mark.parametrize('gain', [1.0, 4.0])
def test_a_frame_holds_the_light_that_fell_on_it(twin, station, gain):
    sensor = build_sensor(station.tracking_camera, plain(twin), np.random.default_rng(1))
    quiet = np.zeros(64 * 64, np.float32)
    image = render(sensor, REGION, spot(131.3, 110.8, 5000.0), Background(10.0, 0.0, 0.0), 0.01, gain, quiet)
    # the reach of 5 sigma leaves 1e-6 out; conversion rounds every pixel
    assert electrons_of(image, sensor, gain).sum() == pytest.approx(5000 + 10 * 64 * 64, rel=2e-3)


def test_a_trail_is_as_bright_as_the_spot_and_as_long_as_the_motion(twin, station):
    sensor = build_sensor(station.tracking_camera, plain(twin), np.random.default_rng(1))
    quiet = np.zeros(64 * 64, np.float32)
    x = 122 + 20 * (np.arange(32) + 0.5) / 32
    image = render(sensor, REGION, spot(x, 112.0, 50_000.0, 32), Background(0.0, 0.0, 0.0), 0.01, 1.0, quiet)
    light = electrons_of(image, sensor)
    assert light.sum() == pytest.approx(50_000, rel=5e-3)
    across, place = light.sum(axis=0), np.arange(64)
    middle = (across * place).sum() / across.sum()
    assert middle == pytest.approx(132 - 100, abs=0.01)
    spread = (across * (place - middle) ** 2).sum() / across.sum()
    assert spread == pytest.approx(20**2 / 12 + station.tracking_camera.spot_sigma_px**2, rel=0.02)


@pytest.mark.parametrize('electrons', [400.0, 4000.0])
def test_spots_scatter_by_the_cramer_rao_bound_about_the_truth(twin, station, electrons):
    """One step of maximum likelihood from the truth (efficient there) over many noisy frames."""
    model = station.tracking_camera
    sensor = build_sensor(model, plain(twin), np.random.default_rng(1))
    noise, rng = noise_bank(np.random.default_rng(2), 1 << 20), np.random.default_rng(3)
    x0, y0, background, sigma = 131.3, 111.8, 20.0, model.spot_sigma_px
    y, x = np.mgrid[80:144, 100:164]
    shape = np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * sigma**2)) / (2 * pi * sigma**2)
    mean = background + electrons * shape
    variance = mean + model.read_noise_e**2 + sensor.electrons_per_count**2 / 12
    slopes = np.stack([electrons * shape * (x - x0) / sigma**2, electrons * shape * (y - y0) / sigma**2, shape])
    slopes = slopes.reshape(3, -1)
    information = (slopes / variance.ravel()) @ slopes.T
    bound = np.linalg.inv(information)
    found = []
    for _ in range(400):
        first = rng.integers(0, len(noise) - 64 * 64)
        part = noise[first : first + 64 * 64]
        image = render(sensor, REGION, spot(x0, y0, electrons), Background(background, 0.0, 0.0), 0.01, 1.0, part)
        residual = (electrons_of(image, sensor) - mean).ravel()
        found.append(bound @ (slopes @ (residual / variance.ravel())))
    found = np.array(found)
    assert np.abs(found[:, :2].mean(axis=0)).max() < 4 * np.sqrt(bound[0, 0] / 400) + 2e-3  # Gaussian for pixel average
    assert found[:, :2].std(axis=0) == pytest.approx(np.sqrt(np.diag(bound)[:2]), rel=0.12)
    assert found[:, 2].std() == pytest.approx(np.sqrt(bound[2, 2]), rel=0.12)


def test_pixels_saturate_at_the_full_well_and_the_adc_at_its_bits(twin, station):
    plant = plain(twin, adc_bits=12)
    sensor = build_sensor(station.tracking_camera, plant, np.random.default_rng(1))
    noise = np.random.default_rng(2).standard_normal(64 * 64, dtype=np.float32)
    bright = spot(131.0, 111.0, 1e8)
    image = render(sensor, REGION, bright, Background(10.0, 0.0, 0.0), 0.01, 1.0, noise)
    full = plant.full_well_e / sensor.electrons_per_count + plant.pedestal_counts
    assert image.max() == pytest.approx(full, abs=16)
    assert not (image & 15).any()
    assert render(sensor, REGION, bright, Background(10.0, 0.0, 0.0), 0.01, 16.0, noise).max() == 65520


def test_hot_pixels_and_vignetting_stay_with_the_camera(twin, station):
    plant = twin.plant.guiding_camera
    one, same, other = (build_sensor(station.guiding_camera, plant, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.hot_x, same.hot_x)
    assert np.array_equal(one.response, same.response)
    assert not np.array_equal(one.hot_x, other.hot_x)
    corner, middle = one.response[:32, :32].mean(), one.response[496:528, 624:656].mean()
    assert corner / middle == pytest.approx(1 - plant.vignetting, abs=0.04)


def test_frames_come_at_the_rate_with_latency_and_stamps_of_mid_exposure(twin, station):
    plant = twin.plant.tracking_camera.model_copy(update={'drop_probability': 0.0})
    noise = noise_bank(np.random.default_rng(2), 1 << 19)
    camera = SimCamera(
        station.tracking_camera, plant, Still(spot(131.0, 111.0, 900.0)), noise, np.random.default_rng(1)
    )
    camera.configure(1_000_000_000, CameraSettings(0.004, 1.0, 100, ROI))
    frames, ready = [], {}
    for now_ns in range(1_000_000_000, 1_500_000_001, 1_000_000):
        camera.advance(now_ns)
        for frame in camera.poll(now_ns):
            frames.append(frame)
            ready[frame.stamp_ns] = now_ns
    assert len(frames) in (49, 50)
    stamps = np.array([frame.stamp_ns for frame in frames])
    late = np.array(list(ready.values())) - stamps
    assert np.diff(stamps) == pytest.approx(
        np.full(len(stamps) - 1, 10_000_000), abs=6 * 1.5 * plant.stamp_jitter_s * 1e9
    )
    assert stamps[0] == pytest.approx(1_002_000_000, abs=20_000)
    latency_ns = plant.latency_s * 1e9 * ROI.height_px / station.tracking_camera.height_px
    assert late.min() >= 2_000_000 + latency_ns - 20_000
    assert late.max() <= 2_000_000 + latency_ns + 1_020_000
    assert frames[0].image.shape == (64, 64)
    assert camera.tilt_residuals[0][1:] == (1e-6, -2e-6)
    camera.stop(1_500_000_000)
    camera.stop(1_500_000_000)
    camera.advance(2_000_000_000)
    assert len(camera.poll(2_000_000_000)) <= 1


def test_frames_are_lost_as_often_as_stated(twin, station):
    plant = twin.plant.tracking_camera.model_copy(update={'drop_probability': 0.2})
    noise = noise_bank(np.random.default_rng(2), 1 << 19)
    camera = SimCamera(
        station.tracking_camera, plant, Still(spot(131.0, 111.0, 900.0)), noise, np.random.default_rng(1)
    )
    camera.configure(0, CameraSettings(0.001, 1.0, 100, ROI))
    camera.advance(10_000_000_000)
    assert len(camera.poll(11_000_000_000)) == pytest.approx(800, abs=50)


@pytest.mark.parametrize(
    ('change', 'named'),
    [
        ({'exposure_s': 1.0}, 'exposure_s'),
        ({'gain': 0.5}, 'gain'),
        ({'rate_hz': 150, 'roi': None}, 'rate_hz'),
        ({'roi': Roi(600, 0, 64, 64)}, 'x0_px'),
        ({'exposure_s': float('nan')}, 'exposure_s'),
    ],
)
def test_settings_that_the_camera_does_not_have_are_refused(twin, station, change, named):
    noise = noise_bank(np.random.default_rng(2), 1 << 19)
    scene = Still(spot(131.0, 111.0, 900.0))
    camera = SimCamera(station.tracking_camera, twin.plant.tracking_camera, scene, noise, np.random.default_rng(1))
    wanted = {'exposure_s': 0.004, 'gain': 1.0, 'rate_hz': 50, 'roi': ROI, **change}
    with pytest.raises(DeviceFault, match=rf'camera\.settings.*{named}'):
        camera.configure(0, CameraSettings(**wanted))


small = st.floats(-0.01, 0.01)


@given(x=small, y=small, roll=st.floats(-pi, pi))
def test_pixel_and_direction_are_each_others_inverse(x, y, roll):
    geometry = TrueCameraGeometry(639.5, 511.5, 14e-6, roll)
    assert geometry.direction(*geometry.pixel(x, y)) == pytest.approx((x, y), abs=1e-12)
    assert turned(*turned(x, y, roll), -roll) == pytest.approx((x, y), abs=1e-15)


def test_the_image_is_oriented_as_the_station_file_says():
    """Right is growing azimuth and up growing elevation at roll 0; roll turns cross-elevation counter-clockwise."""
    level = TrueCameraGeometry(100.0, 100.0, 1e-5, 0.0)
    assert level.pixel(1e-3, 0.0) == pytest.approx((200, 100))
    assert level.pixel(0.0, 1e-3) == pytest.approx((100, 0))
    assert TrueCameraGeometry(100.0, 100.0, 1e-5, radians(90)).pixel(1e-3, 0.0) == pytest.approx((100, 0))


def test_light_of_lasers_and_stars_by_hand(twin):
    camera, sky = twin.plant.guiding_camera, twin.plant.sky
    # 0.16 W over 1.25 mrad at 1000 km: a waist of 625 m
    peak = 2 * 0.16 / (pi * 625**2)
    assert beam_irradiance(0.16, 1.25e-3, 1e6, 0.0) == pytest.approx(peak)
    assert beam_irradiance(0.16, 1.25e-3, 1e6, 0.625e-3) == pytest.approx(peak * np.exp(-2))
    photons = 6.62607015e-34 * 299792458 / 532e-9
    assert electrons_a_watt(camera, 532e-9) == pytest.approx(pi * 0.025**2 * camera.throughput / photons)
    ratio = star_electrons(camera, sky, np.array(5.0)) / star_electrons(camera, sky, np.array(0.0))
    assert ratio == pytest.approx(0.01)
    assert star_electrons(camera, sky, np.array(faintest(camera, sky, 40.0))) == pytest.approx(40.0)
    low, high = (sky_electrons(camera, sky, 14.0, radians(el)) for el in (10, 80))
    assert low > 2 * high
