"""Observations between two passes: the test plays mount, camera, detectors and solver, and their faults."""

from math import asin, atan2, degrees, radians, remainder, tau

import numpy as np
import pytest

from qkd_gs.calibration.calibrator import CalibrationInputs, CalibrationState, Calibrator, StarReport, star_tracks
from qkd_gs.calibration.light.history import FILE_NAME as HISTORY
from qkd_gs.calibration.light.history import load_history
from qkd_gs.calibration.light.readings import DARK, LightReading, save_light
from qkd_gs.calibration.light.result import DARK_COUNTS, SKY_COUNTS, kept_noise_map
from qkd_gs.calibration.light.survey import LightBin
from qkd_gs.calibration.observing.begin import begin_observation
from qkd_gs.calibration.observing.observation import ObservationKind, ObservationState, Place, Sensed
from qkd_gs.calibration.outcome import contradiction
from qkd_gs.calibration.plate_solving.solver import NoSolution, PlateSolution
from qkd_gs.calibration.star_visit import StarMeasurement
from qkd_gs.calibration.stars import load_stars
from qkd_gs.devices.camera import Frame, Roi
from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.errors import StationError
from qkd_gs.orbit.horizon import horizon_rad
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.orbit.vectors import azel_from_enu, enu_from_azel, horizon_rotation
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import FILE_NAME, StoredPointing, compass_pointing, load_pointing
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.tracking.types import CameraRole, MountTask

SITE = load_site('Shanghai')
STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
NIGHT_NS = parse_utc('2018-10-03T15:00:00Z')
SECOND_NS = 10**9
STEP_NS = SECOND_NS // 4
IMAGE = np.full((64, 64), 200, np.uint16)
AT_REST = MountReading(NIGHT_NS, 0.0, 0.3, 0.0, 0.0, MountMode.HOLD)


class Rig:
    """A mount that obeys at once, and whatever else the station senses.

    Attributes
    ----------
    images, counts : bool
        Whether the guiding camera and the detectors send anything.
    """

    def __init__(self, folder, pointing, kind):
        self.now_ns, self.mount = NIGHT_NS, AT_REST
        self.images = self.counts = True
        self.dome = ''  # code of the supervisor
        self.moved = []
        self.solver = Solver(self)
        self.place = Place(SITE, STATION, pointing, folder)
        self.observation = begin_observation(kind, self.place, self.solver, NIGHT_NS)

    def step(self):
        self.now_ns += STEP_NS
        roi = Roi(0, 0, 64, 64)
        frames = (Frame(self.now_ns - 4 * 10**8, 0.05, 1.0, IMAGE, roi),) if self.images else ()
        bins = (LightBin(self.now_ns - STEP_NS, self.now_ns, (50, 60, 70, 80)),) if self.counts else ()
        out = self.observation.step(self.now_ns, Sensed(self.mount, (), (), frames, bins, None, self.dome))
        if out.axes is not None:
            self.moved.append(out.axes)
            self.mount = MountReading(self.now_ns, out.axes.az_rad, out.axes.el_rad, 0.0, 0.0, MountMode.TRACK)
        return out

    def run(self, steps=20_000):
        """To its end."""
        for _ in range(steps):
            out = self.step()
            if out.state is not ObservationState.RUNNING:
                return out
            if out.work is not None:
                self.observation.finish(self.now_ns, out.work())
        raise AssertionError(out.message)


class Solver:
    """Knows where the telescope truly looks: `off_rad` further east than the compass says."""

    def __init__(self, rig):
        self.rig, self.off_rad, self.always, self.blind = rig, 0.0, None, False
        self.asked = 0

    def solve(self, sighting, near_deg, within_deg, year):
        self.asked += 1
        if self.blind:
            return NoSolution('they are too few')
        turn = horizon_rotation(SITE, self.rig.now_ns)
        az, el = azel_from_enu(turn @ enu_from_azel(radians(90 - near_deg[0]), radians(near_deg[1])))
        x, y, z = enu_from_azel(np.array(az + self.off_rad), np.array(el)) @ turn
        truth = degrees(atan2(y, x)) % 360, degrees(asin(z))
        self.always = self.always or truth
        return PlateSolution(*(self.always if self.stuck else truth), 30, 1e-4)

    stuck = False


def compass(hwp_deg=1.0):
    stored = compass_pointing(STATION.guiding_camera, '2018-10-03T14:00:00Z')
    return stored.model_copy(update={'hwp_offset_deg': hwp_deg, 'hwp_sigma_deg': 0.01})


@pytest.mark.parametrize('off_deg', [0.0, -9.0, 40.0])
def test_zero_points_are_found_whatever_the_compass_said(tmp_path, off_deg):
    rig = Rig(tmp_path, compass(), ObservationKind.FIND)
    rig.solver.off_rad = radians(off_deg)
    assert rig.observation.task is MountTask.FINDING
    assert rig.run().state is ObservationState.DONE
    assert not (tmp_path / FILE_NAME).exists()
    said = rig.observation.keep(rig.now_ns)
    stored = load_pointing(tmp_path)
    assert abs(remainder(stored.model['IA'] + radians(off_deg), tau)) < radians(0.3)
    assert (stored.coarse, stored.compass, stored.hwp_offset_deg) == (True, False, 1.0)
    assert stored.aligned_rad[1] > horizon_rad(SITE, np.array([stored.aligned_rad[0]])) if SITE.horizon else True
    assert ('misread' in said) is (abs(off_deg) > 15)


def test_a_sky_without_stars_changes_nothing(tmp_path):
    compass().save(tmp_path)
    before = (tmp_path / FILE_NAME).read_bytes()
    rig = Rig(tmp_path, load_pointing(tmp_path), ObservationKind.FIND)
    rig.solver.blind = True
    out = rig.run()
    assert out.state is ObservationState.FAILED
    assert 'clouds, a lens cap, or a wrong focus or time' in out.message
    assert out.axes is None
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_a_wrong_direction_is_not_believed(tmp_path):
    """The solver calls every part of the sky the same one."""
    rig = Rig(tmp_path, compass(), ObservationKind.FIND)
    rig.solver.stuck = True
    out = rig.run()
    assert out.state is ObservationState.FAILED
    assert 'the line of sight by' in out.message
    assert not (tmp_path / FILE_NAME).exists()


def test_it_waits_for_the_first_image_without_moving(tmp_path):
    rig = Rig(tmp_path, compass(), ObservationKind.FIND)
    rig.images = False
    for _ in range(2400):
        out = rig.step()
        assert (out.state, out.axes) == (ObservationState.RUNNING, None)
    assert out.message == 'waits for an image of the guiding camera'
    rig.images = True
    assert rig.step().axes is not None


def test_a_camera_that_falls_silent_ends_the_search(tmp_path):
    rig = Rig(tmp_path, compass(), ObservationKind.FIND)
    while len(rig.moved) < 20:
        rig.step()
    rig.images = False
    out = rig.run(200)
    assert (out.state, out.message) == (ObservationState.FAILED, 'the guiding camera sends no images')


@pytest.mark.parametrize('when', ['waiting', 'moving', 'solving'])
def test_an_abort_stops_at_once_and_changes_nothing(tmp_path, when):
    rig = Rig(tmp_path, compass(), ObservationKind.FIND)
    rig.images = when != 'waiting'
    out = rig.step()
    while when == 'solving' and out.work is None:
        out = rig.step()
        assert out.state is ObservationState.RUNNING, out.message
    rig.observation.abort()
    if when == 'solving':
        rig.observation.finish(rig.now_ns, out.work())  # the thread was not ended
    out = rig.step()
    assert (out.state, out.axes, out.message) == (ObservationState.FAILED, None, 'aborted by the operator')
    assert not list(tmp_path.iterdir())


def calibrated():
    return StoredPointing.of(MountModel(IA=0.1), (639.5, 511.5), '20 stars', '2018-10-02T20:00:00Z')


@pytest.mark.parametrize('kind', [ObservationKind.STAR_TEST, ObservationKind.NOISE_MAP])
def test_light_is_not_measured_where_nobody_knows_the_telescope_looks(tmp_path, kind):
    with pytest.raises(StationError, match='not calibrated'):
        Rig(tmp_path, compass(), kind)


def test_a_noise_map_is_what_was_counted_and_its_counts_are_kept(tmp_path):
    rig = Rig(tmp_path, calibrated(), ObservationKind.NOISE_MAP)
    assert rig.observation.task is MountTask.MEASURING
    assert rig.run().state is ObservationState.DONE
    said = rig.observation.keep(rig.now_ns)
    assert 'dark counts not measured' in said
    (night,) = load_history(tmp_path).nights
    rate = 4 * (50 + 60 + 70 + 80)
    assert (night.kind, night.summary, night.dark_cps) == ('noise', said, None)
    assert night.value == pytest.approx(rate, rel=1e-3)
    found = kept_noise_map(tmp_path, STATION, NIGHT_NS)
    assert found.at(np.array([1.0]), np.array([0.5])) == pytest.approx(np.array([[200, 240, 280, 320]]), rel=1e-3)
    assert kept_noise_map(tmp_path, STATION, rig.now_ns) is None  # of an earlier night
    assert len({(round(one.az_rad, 2), round(one.el_rad, 2)) for one in rig.moved}) >= 40


def test_the_sky_is_not_counted_before_the_shutter_is_open(tmp_path):
    rig = Rig(tmp_path, calibrated(), ObservationKind.NOISE_MAP)
    for dome in (None, 'dome.closed', 'dome.shut', 'dome.unknown'):
        rig.dome = dome
        for _ in range(100):
            out = rig.step()
            assert (out.axes, out.message) == (None, 'waits until the shutter is open')
    rig.dome = ''
    assert rig.step().axes is not None


def test_the_dark_is_what_is_counted_behind_a_closed_shutter_and_goes_into_the_map(tmp_path):
    rig = Rig(tmp_path, calibrated(), ObservationKind.DARK)
    assert not rig.observation.task.under_the_sky  # or the shutter would stay open
    rig.dome = 'dome.shut'
    for _ in range(40):
        assert rig.step().message == 'waits until the shutter is closed'
    rig.dome = 'dome.closed'
    for _ in range(40):
        assert rig.step().message.endswith(' of 20 s counted')
    rig.dome = ''  # somebody opens it: what was counted before is not taken
    rig.step()
    rig.dome = 'dome.closed'
    closed_ns = rig.now_ns
    assert rig.run().state is ObservationState.DONE
    assert rig.now_ns - closed_ns >= 20 * SECOND_NS
    assert rig.observation.keep(rig.now_ns) == 'in 20 s with the shutter closed: dark 1040 counts/s'
    assert not rig.moved
    sky = Rig(tmp_path, calibrated(), ObservationKind.NOISE_MAP)
    sky.now_ns = rig.now_ns
    assert sky.run().state is ObservationState.DONE
    assert '; dark 1040' in sky.observation.keep(sky.now_ns)
    assert load_history(tmp_path).nights[-1].dark_cps == pytest.approx(1040)
    assert kept_noise_map(tmp_path, STATION, rig.now_ns).dark_cps == pytest.approx([200, 240, 280, 320])


def test_dark_counts_alone_are_no_map(tmp_path):
    save_light(tmp_path / SKY_COUNTS, [LightReading(DARK, NIGHT_NS, 0.0, 0.0, 20.0, (400, 400, 400, 400))])
    assert kept_noise_map(tmp_path, STATION, NIGHT_NS) is None


def test_the_dark_of_another_night_is_not_taken(tmp_path):
    save_light(tmp_path / DARK_COUNTS, [LightReading(DARK, NIGHT_NS - 86_400 * SECOND_NS, 0.0, 0.0, 20.0, (1,) * 4)])
    rig = Rig(tmp_path, calibrated(), ObservationKind.NOISE_MAP)
    assert rig.run().state is ObservationState.DONE
    assert 'dark counts not measured' in rig.observation.keep(rig.now_ns)


@pytest.mark.parametrize(
    ('dome', 'counts', 'said'),
    [
        ('dome.shut', True, 'the shutter has not closed in 180 s'),
        (None, True, 'the shutter has not closed in 180 s'),
        ('dome.closed', False, 'the detectors send no counts'),
    ],
)
def test_a_dark_that_cannot_be_counted_says_why(tmp_path, dome, counts, said):
    rig = Rig(tmp_path, calibrated(), ObservationKind.DARK)
    rig.dome, rig.counts = dome, counts
    out = rig.run()
    assert (out.state, out.message) == (ObservationState.FAILED, said)
    assert not (tmp_path / DARK_COUNTS).exists()


def test_detectors_that_fall_silent_end_the_map_and_keep_nothing(tmp_path):
    rig = Rig(tmp_path, calibrated(), ObservationKind.NOISE_MAP)
    for _ in range(100):
        rig.step()
    rig.counts = False
    out = rig.run(200)
    assert (out.state, out.message) == (ObservationState.FAILED, 'the detectors send no counts')
    assert not (tmp_path / HISTORY).exists()
    assert not (tmp_path / SKY_COUNTS).exists()


def test_a_star_test_that_sees_no_star_says_so(tmp_path):
    """Cameras that see nothing, as behind clouds: every star is missing, and no efficiency is claimed."""
    rig = Rig(tmp_path, calibrated(), ObservationKind.STAR_TEST)
    assert set(rig.observation.requests) == set(CameraRole)
    assert rig.run().state is ObservationState.DONE
    with pytest.raises(StationError):
        rig.observation.keep(rig.now_ns)
    assert not (tmp_path / HISTORY).exists()


@pytest.mark.parametrize(('off_deg', 'wrong'), [(0.03, False), (0.9, True)])
def test_a_calibration_that_points_elsewhere_than_the_telescope_found_itself_is_named(off_deg, wrong):
    found = compass().model_copy(update={'compass': False, 'aligned_deg': (200.0, 40.0)})
    model = MountModel(IE=radians(off_deg), AN=radians(0.01))
    assert bool(contradiction(found, model)) is wrong
    assert not contradiction(found.model_copy(update={'aligned_deg': None}), model)
    if wrong:
        assert 'the listed stars are 0.9 deg off' in contradiction(found, model)


def test_stars_that_contradict_each_other_are_said_to(tmp_path):
    """All of them are measured, at directions in which no mount would see them."""
    stars = load_stars()[:6]
    rng = np.random.default_rng(1)
    reports = []
    for star in stars:
        az, el, *off = rng.uniform((0, 0.5, -0.6, -0.6), (6, 1.2, 0.6, 0.6))
        seen = StarMeasurement(NIGHT_NS, az, el, az + off[0], el + off[1], 1e-6, 25, 640.0, 512.0)
        reports.append(StarReport(star, True, '', seen))
    calibrator = Calibrator(stars, star_tracks(SITE), MountModel(), STATION, None, reports)
    out = calibrator.step(NIGHT_NS, CalibrationInputs(AT_REST))
    assert out.state is CalibrationState.FAILED
    assert out.message.startswith('no model fits the 6 stars measured')
