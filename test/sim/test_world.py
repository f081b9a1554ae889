"""The physical twin as a whole: devices act on it, cameras look at it, and the truth closes."""

from __future__ import annotations

from math import radians

import numpy as np
import pytest
from scipy.optimize import least_squares

from qkd_gs.devices.camera import CameraSettings, Roi
from qkd_gs.devices.mount import MountCommand
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.twin_plant import Fade, OpenInterlock
from qkd_gs.sim.imaging.starfield import RandomField, StarsInView
from qkd_gs.sim.physics.true_errors import TruePointing, draw_orbit_error
from qkd_gs.sim.world import World

MS = 1_000_000
START_S = 250  # after the start of the trajectory: the satellite is at 25 deg


def changed(twin, **sections):
    """A twin with some values of sections of its plant changed."""
    plant = twin.plant
    updates = {name: getattr(plant, name).model_copy(update=values) for name, values in sections.items()}
    return twin.model_copy(update={'plant': plant.model_copy(update=updates)})


class Session:
    """Tracks the true satellite with the true pointing, off by a set angle; what a perfect station would do."""

    def __init__(self, twin, station, truth, site, seed=1, **world):
        start_ns = truth.start_ns + START_S * 10**9
        self.truth = truth
        self.world = World(twin, station, truth, site, seed, start_ns=start_ns, **world)
        self.world.mount.enable(start_ns)
        self.beacon_on = True
        self.off_rad = 0.0  # in elevation
        self.beside_rad = 0.0  # in azimuth
        self.run(8.0)  # slew

    def axes(self, t_ns):
        place = self.truth.at(t_ns)
        return self.world.axes_at(place.az_rad + self.beside_rad, place.el_rad + self.off_rad)

    def run(self, seconds, look=lambda now_ns: None):
        world = self.world
        parts = []
        for _ in range(round(seconds * 100)):
            now_ns, at_ns = world.now_ns, world.now_ns + 10 * MS
            here, later = self.axes(at_ns), self.axes(at_ns + 10 * MS)
            rates = [(b - a) * 100 for a, b in zip(here, later, strict=True)]
            world.mount.command(now_ns, MountCommand(at_ns, *here, *rates))
            if self.beacon_on:
                world.beacon.on(now_ns)
            world.advance(at_ns)
            parts.append(world.interval())
            look(at_ns)
        return {name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])}


@pytest.fixture
def session(twin, station, truth, site):
    return Session(twin, station, truth, site)


def test_the_line_of_sight_closes_on_the_satellite(session):
    """Commanded by the true model, the mount's servo is all that is left between line of sight and beacon."""
    got = session.run(3.0)
    assert len(got['t_ns']) == 3000
    assert np.diff(got['t_ns']) == pytest.approx(MS)
    offset_urad = np.hypot(got['offset_x_rad'], got['offset_y_rad']) * 1e6
    assert np.sqrt((offset_urad**2).mean()) < 2.0  # set-points without acceleration: not better than 1 urad
    place = session.truth.table(got['t_ns'])
    assert got['el_rad'] == pytest.approx(place.el_rad, abs=1e-5)
    assert got['range_m'] == pytest.approx(place.range_m)
    session.off_rad = 500e-6
    assert session.run(1.0)['offset_y_rad'][-1] == pytest.approx(500e-6, abs=3e-6)


def leaning_left(world):
    """Independent of the model's own roll: the way the line of sight goes when the elevation axis turns."""
    axes = world.axes_at(*world.line_of_sight())
    low = world._pointing.model.apparent(*axes)
    high = world._pointing.model.apparent(axes[0], axes[1] + 1e-4)
    return np.arctan2(-(high[0] - low[0]) * np.cos(low[1]), high[1] - low[1])


def test_the_tubes_roll_turns_the_measured_polarization(session):
    got = session.run(0.1)
    leans_left, t_ns = leaning_left(session.world), int(got['t_ns'][-1])
    frame = session.truth.at(t_ns).polarization_angle_rad
    assert got['polarization_true_rad'][-1] == pytest.approx(frame - leans_left, abs=2e-4)
    assert abs(leans_left) > 1e-4


def right_and_up(az, el):
    return np.array([np.cos(az), -np.sin(az), 0.0]), np.array(
        [-np.sin(el) * np.sin(az), -np.sin(el) * np.cos(az), np.cos(el)]
    )


def test_a_tube_that_looks_beside_the_satellite_sees_its_polarization_turned(session):
    """By vectors: the satellite's H axis on the right and up of where the tube looks, 0.01 rad of azimuth beside it."""
    session.beside_rad = 0.01
    got = session.run(1.0)
    place = session.truth.at(int(got['t_ns'][-1]))
    right, up = right_and_up(place.az_rad, place.el_rad)
    h_axis = np.cos(place.polarization_angle_rad) * right + np.sin(place.polarization_angle_rad) * up
    right, up = right_and_up(*session.world.line_of_sight())
    seen = np.arctan2(h_axis @ up, h_axis @ right) - leaning_left(session.world)
    assert np.sin(got['polarization_true_rad'][-1] - seen) == pytest.approx(0, abs=2e-4)


def fitted(frame):
    """Centre of the brightest spot, full-sensor pixels, by least squares."""
    top_y, top_x = np.unravel_index(frame.image.argmax(), frame.image.shape)
    image = frame.image[top_y - 8 : top_y + 9, top_x - 8 : top_x + 9].astype(float)
    y, x = np.mgrid[-8:9, -8:9]

    def residual(p):
        return (p[0] * np.exp(-((x - p[1]) ** 2 + (y - p[2]) ** 2) / (2 * p[3] ** 2)) + p[4] - image).ravel()

    fit = least_squares(residual, [image.max(), 0.0, 0.0, 2.0, image.min()])
    return fit.x[1] + top_x + frame.roi.x0_px, fit.x[2] + top_y + frame.roi.y0_px


def test_the_spot_stands_where_tilt_and_offset_put_it(session, station):
    """The picture against the interval: exposure mean of tilt - offset, through the camera as the station knows it."""
    world, model = session.world, station.tracking_camera
    session.run(5.0)  # the satellite answers
    session.off_rad = 80e-6
    session.run(0.5)
    world.tracking_camera.configure(world.now_ns, CameraSettings(0.009, 1.0, 100, Roi(224, 144, 192, 192)))
    frames = []
    got = session.run(0.4, lambda now_ns: frames.extend(world.tracking_camera.poll(now_ns)))
    assert len(frames) > 30
    errors = []
    for frame in frames:
        inside = np.abs(got['t_ns'] - frame.stamp_ns) <= frame.exposure_s / 2 * 1e9
        x = (got['tilt_x_rad'] - got['offset_x_rad'])[inside].mean()
        y = (got['tilt_y_rad'] - got['offset_y_rad'])[inside].mean()
        x_px, y_px = fitted(frame)
        seen = (x_px - model.reference_x_px) * 4e-6, (model.reference_y_px - y_px) * 4e-6
        errors.append((seen[0] - x, seen[1] - y))
    # constant, 7 urad at most: axis error up to 4 urad; roll, the mount's tilt and scale on 80 urad
    errors = np.array(errors) * 1e6
    assert np.abs(errors.mean(axis=0)).max() < 7.0
    assert errors.std(axis=0).max() < 0.6
    for stamp_ns, x, y in world.tilt_residuals()[:30]:
        inside = np.abs(got['t_ns'] - stamp_ns) <= 4_500_000
        mean = got['tilt_x_rad'][inside].mean(), got['tilt_y_rad'][inside].mean()
        assert (x, y) == pytest.approx(mean, abs=0.7e-6)


def test_the_satellite_answers_only_a_beacon_that_covers_it(twin, station, truth, site):
    session = Session(twin, station, truth, site)
    assert session.world.satellite.lit
    dark = Session(twin, station, truth, site)
    dark.beacon_on = False
    plant = twin.plant.satellite
    assert dark.run(plant.hold_s - 1)['lit'][-1] == 1
    assert dark.run(2.0)['lit'][-1] == 0  # its patience is over
    dark.off_rad = 8e-3  # five half-angles beside it
    dark.beacon_on = True
    dark.run(3.0)
    assert not dark.world.satellite.lit
    dark.off_rad = 0.0
    got = dark.run(2.0)
    lit_after_s = np.argmax(got['lit']) * 1e-3
    assert plant.cover_s < lit_after_s < plant.cover_s + 0.5  # the mount needs a little to come back


def test_our_beacon_goes_out_by_watchdog_and_interlock(twin, station, truth, site):
    session = Session(changed(twin, beacon={'interlock': (OpenInterlock(start_s=-1e4, duration_s=5),)}),
                      station, truth, site)  # fmt: skip
    beacon = session.world.beacon
    assert beacon.emission_w() == pytest.approx(station.beacon.power_w)
    session.beacon_on = False
    session.run(twin.plant.beacon.watchdog_s - 0.05)
    assert beacon.read(session.world.now_ns).emitting
    session.run(0.1)
    assert not beacon.read(session.world.now_ns).emitting
    assert beacon.emission_w() == 0
    beacon.schedule(session.world.now_ns + 10_000 * 10**9)  # the opening of 5 s begins now
    with pytest.raises(DeviceFault, match=r'beacon\.interlock'):
        beacon.on(session.world.now_ns)
    assert not beacon.read(session.world.now_ns).interlock_closed
    for _ in range(2):
        beacon.off(session.world.now_ns)


def test_a_cloud_takes_the_beacon_from_the_camera(twin, station, truth, site):
    fade = Fade(start_s=0, duration_s=1e4, depth_db=60)
    images = []
    for fades in ((), (fade,)):
        session = Session(changed(twin, atmosphere={'fades': fades}, tracking_camera={'hot_pixels': 0}), station,
                          truth, site)  # fmt: skip
        world = session.world
        world.satellite.lit = True
        settings = CameraSettings(0.02, 1.0, 20, Roi(272, 192, 96, 96))
        world.tracking_camera.configure(world.now_ns, settings)
        frames = []
        session.run(0.3, lambda now_ns, world=world, frames=frames: frames.extend(world.tracking_camera.poll(now_ns)))
        images.append(frames[-1].image.astype(float))
    clear, cloudy = (image.max() - np.median(image) for image in images)
    assert clear > 300
    assert cloudy < 60


def test_a_seed_gives_the_same_world_whatever_the_steps(twin, station, truth, site):
    def run(seed, steps):
        world = World(twin, station, truth, site, seed)
        world.tracking_camera.configure(world.now_ns, CameraSettings(0.01, 1.0, 20, Roi(0, 0, 64, 64)))
        parts = []
        for step_ms in steps:
            world.advance(world.now_ns + step_ms * MS)
            parts.append(world.interval().tilt_x_rad)
        images = [frame.image for frame in world.tracking_camera.poll(world.now_ns)]
        return np.concatenate(parts), world.line_of_sight(), images

    one, same, other = run(1, [10] * 60), run(1, [600]), run(2, [600])
    assert np.array_equal(one[0], same[0])
    assert one[1] == same[1]
    assert len(one[2]) == len(same[2]) > 5
    assert all(np.array_equal(a, b) for a, b in zip(one[2], same[2], strict=True))
    assert not np.array_equal(one[0], other[0])
    assert one[1] != other[1]


def test_times_that_do_not_advance_and_parts_of_a_sample_do_nothing(twin, station, truth, site):
    world = World(twin, station, truth, site, 1)
    start_ns = world.now_ns
    world.advance(start_ns)
    world.advance(start_ns - 5)
    world.advance(start_ns + 999_999)
    assert world.now_ns == start_ns
    assert len(world.interval().t_ns) == 0
    world.advance(start_ns + MS)
    assert list(world.interval().t_ns) == [start_ns + MS]


def test_true_errors_have_their_stated_sizes(twin):
    """The residual is what no term of the model describes: 15 urad RMS over the sky, and its reverse is exact."""
    sizes = twin.plant.pointing
    radial, tilts = [], []
    for seed in range(8):
        pointing = TruePointing(sizes, np.random.default_rng(seed))
        rng = np.random.default_rng(100)
        az, el = rng.uniform(0, 2 * np.pi, 200), np.arcsin(rng.uniform(np.sin(0.1), 0.99, 200))
        radial.append(np.mean([np.hypot(*pointing._residual.at(a, e)) ** 2 for a, e in zip(az, el, strict=True)]))
        tilts.append(np.hypot(pointing.model['AN'], pointing.model['AW']))
        seen = pointing.line_of_sight(*pointing.axes_at(1.0, 1.2))
        assert seen[:2] == pytest.approx((1.0, 1.2), abs=1e-9)
    assert np.sqrt(np.mean(radial)) * 1e6 == pytest.approx(sizes.residual_urad, rel=0.1)
    assert tilts == pytest.approx([radians(sizes.tilt_deg)] * 8)
    biases = np.array([draw_orbit_error(twin.plant.orbit, seed) for seed in range(400)])
    assert np.abs(biases).max(axis=0) == pytest.approx([0.3, 1000], rel=0.02)
    assert np.abs(biases.mean(axis=0)).max() < 100


def test_the_random_field_turns_with_the_earth_and_has_the_stars_it_should(twin, site):
    """Number by magnitude over the sphere, and motion against the rates of a fixed direction on the sky."""
    field = RandomField(twin.plant.sky, site, np.random.default_rng(1))
    t_ns = 1_537_028_498_000_000_000
    all_up = field.near(t_ns, 0.0, radians(90), radians(80), 6.0)
    part = (1 - np.cos(radians(80))) / 2
    bright = 10 ** (twin.plant.sky.stars_slope * (twin.plant.sky.stars_brightest_mag - 6))
    assert len(all_up.az_rad) == pytest.approx(5000 * (1 - bright) * part, rel=0.08)
    now = field.near(t_ns, 1.0, 0.8, 0.05, 8.5)
    later = field.near(t_ns + 10**9, 1.0, 0.8, 0.05, 8.5)
    assert isinstance(now, StarsInView)
    assert len(now.az_rad) > 10
    gained = {}
    for star, (mag, az, el) in enumerate(zip(later.magnitude, later.az_rad, later.el_rad, strict=True)):
        gained[mag] = (az, el, star)
    for i, mag in enumerate(now.magnitude):
        if mag in gained:
            az, el, _ = gained[mag]
            assert az - now.az_rad[i] == pytest.approx(now.az_rate_rad_s[i], abs=5e-8)
            assert el - now.el_rad[i] == pytest.approx(now.el_rate_rad_s[i], abs=5e-8)
