"""Autofocus as an observation: the test plays mount, focuser and tracking camera."""

import numpy as np
import pytest

from qkd_gs.calibration.focus import FILE_NAME, RUN_FILE, load_focus, note_start
from qkd_gs.calibration.observing.begin import begin_observation
from qkd_gs.calibration.observing.observation import ObservationKind, ObservationState, Place, Sensed
from qkd_gs.calibration.star_focus import FocuserSeen
from qkd_gs.devices.camera import Frame, Roi
from qkd_gs.devices.focuser import FocuserReading
from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.tracking.types import CameraRole, MountTask

SITE = load_site('Shanghai')
STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
NIGHT_NS = parse_utc('2018-10-03T15:00:00Z')
STEP_NS = 10**8
HOME, TRAVEL = 20_000, (0, 50_000)
POINTING = StoredPointing.of(MountModel(IA=0.1), (639.5, 511.5), '20 stars', '2018-10-02T20:00:00Z')


class Rig:
    """A mount and a focuser that obey at once."""

    def __init__(self, folder, best=20_700, home=HOME):
        self.folder, self.best, self.position = folder, best, home
        self.now_ns = NIGHT_NS
        self.mount = MountReading(NIGHT_NS, 0.0, 0.3, 0.0, 0.0, MountMode.HOLD)
        self.moved, self.electrons, self.silent = [], 40_000.0, False
        place = Place(SITE, STATION, POINTING, folder)
        self.observation = begin_observation(ObservationKind.FOCUS, place, None, NIGHT_NS)

    def frame(self):
        rng = np.random.default_rng(self.now_ns % 2**32)
        sigma_px = float(np.hypot(2.0, (self.position - self.best) / 1000))
        y, x = np.mgrid[:120, :160]
        image = 200 + rng.normal(0, 6, y.shape)
        image += (
            self.electrons
            / (2 * np.pi * sigma_px**2)
            * np.exp(-((x - 70.3) ** 2 + (y - 55.8) ** 2) / (2 * sigma_px**2))
        )
        return Frame(self.now_ns, 0.05, 1.0, np.clip(image, 0, 65535).astype(np.uint16), Roi(0, 0, 160, 120))

    def step(self):
        self.now_ns += STEP_NS
        seen = FocuserSeen(FocuserReading(self.now_ns, self.position, False, 7.0), TRAVEL)
        sensed = Sensed(self.mount, (), (), (self.frame(),), (), None if self.silent else seen)
        out = self.observation.step(self.now_ns, sensed)
        if out.axes is not None:
            self.mount = MountReading(self.now_ns, out.axes.az_rad, out.axes.el_rad, 0.0, 0.0, MountMode.TRACK)
        if out.focus_to is not None:
            self.position = out.focus_to
            self.moved.append(out.focus_to)
        return out

    def until(self, done, steps=2000):
        for _ in range(steps):
            out = self.step()
            if done(out):
                return out
        raise AssertionError(out)

    def run(self):
        return self.until(lambda out: out.state is not ObservationState.RUNNING)


def test_the_focus_is_found_and_kept_with_its_temperature(tmp_path):
    rig = Rig(tmp_path)
    assert (rig.observation.task, rig.observation.images) == (MountTask.FOCUSING, CameraRole.TRACKING)
    assert rig.run().state is ObservationState.DONE
    assert not (tmp_path / FILE_NAME).exists()
    said = rig.observation.keep(rig.now_ns)
    kept = load_focus(tmp_path)
    assert (kept.position, kept.temperature_c) == (rig.position, 7.0)
    assert kept.position == pytest.approx(rig.best, abs=150)
    assert said.startswith(f'focus at {kept.position} +- ')
    assert said.endswith(' at 7 deg C')
    assert not (tmp_path / RUN_FILE).exists()


@pytest.mark.parametrize('why', ['abort', 'cloud', 'silent'])
def test_what_ends_it_sends_the_focuser_back_and_keeps_nothing(tmp_path, why):
    rig = Rig(tmp_path)
    rig.until(lambda out: out.message.endswith('position 3 of 7'))
    assert rig.position != HOME
    if why == 'abort':
        rig.observation.abort()
    rig.electrons, rig.silent = 0.0 if why == 'cloud' else rig.electrons, why == 'silent'
    out = rig.run()
    assert (out.state, out.axes, rig.position) == (ObservationState.FAILED, None, HOME)
    told = {'abort': 'aborted by the operator', 'cloud': 'the star was seen at', 'silent': 'the focuser is silent'}
    assert told[why] in out.message
    assert not list(tmp_path.iterdir())
    with pytest.raises(StationError, match='no focus was found'):
        rig.observation.keep(rig.now_ns)


@pytest.mark.parametrize(('age_h', 'found'), [(0.5, True), (3, False)])
def test_one_that_was_cut_off_is_begun_again_about_where_the_focuser_was(tmp_path, age_h, found):
    """The process died while the focuser stood at the end of the range, from where the focus is out of reach."""
    note_start(tmp_path, NIGHT_NS - round(age_h * 3600e9), HOME)
    rig = Rig(tmp_path, best=HOME + 300, home=HOME - 2000)
    out = rig.run()
    assert (out.state is ObservationState.DONE) is found
    assert rig.position == pytest.approx(HOME + 300 if found else HOME - 2000, abs=150)


def test_nothing_moves_before_focuser_and_camera_are_heard(tmp_path):
    rig = Rig(tmp_path)
    rig.silent = True
    for _ in range(200):
        out = rig.step()
        assert (out.axes, out.focus_to, out.message) == (None, None, 'waits for the focuser')
    rig.observation.abort()
    assert rig.step().state is ObservationState.FAILED
