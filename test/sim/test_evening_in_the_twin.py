"""An evening in the twin without the sky: its devices, its journal, and a restart."""

from dataclasses import dataclass, field

import pytest

from qkd_gs.api.evening import evening_summary, simulate_evening
from qkd_gs.devices.camera import CameraSettings
from qkd_gs.errors import StationError
from qkd_gs.evening.steps import State, Step
from qkd_gs.share import share_path
from qkd_gs.sim.evening import steps_before
from qkd_gs.sim.simulate import Watcher

START, UNTIL = '2018-10-03T14:40:00Z', '2018-10-03T15:20:00Z'  # before the pass: none is armed
SKY = ('find', 'calibrate', 'focus', 'efficiency', 'noise', 'polarization')


class Killed(BaseException):
    """The process ends here; no error that anything handles."""


@dataclass
class KilledAt(Watcher):
    """Ends the process when a sentence has come so often."""

    said: str = ''
    times: int = 1
    told: list[str] = field(default_factory=list)

    def step(self, text: str) -> None:
        self.told.append(text)
        self._look(text)

    def calibrating(self, now_ns: int, text: str) -> None:
        self._look(text)

    def _look(self, text: str) -> None:
        if self.said and self.said in text:
            self.times -= 1
            if not self.times:
                raise Killed


def run(folder, **given):
    options = {'until': UNTIL, 'keys': folder / 'keys', 'seed': 1} | given
    return simulate_evening(share_path('config', 'elements', 'micius.tle'), 'Shanghai', START, folder, **options)


def state(journal, step):
    return journal.entry(step).state


def test_an_evening_without_the_sky_tests_the_devices_and_parks(tmp_path):
    journal = run(tmp_path, skip=SKY)
    assert state(journal, Step.SELF_TEST) is State.DONE
    assert state(journal, Step.TIME_AND_PLACE) is State.DONE
    assert {state(journal, Step(name)) for name in SKY} == {State.SKIPPED}
    assert state(journal, Step.PARK) is State.DONE
    summary = evening_summary(journal)
    assert not summary['armed']
    assert summary['passes'] == []
    assert summary['why_ended'] == 'all steps are over'


def test_an_evening_killed_in_its_first_step_goes_on_where_it_was(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, skip=SKY, watcher=KilledAt('time-and-place'))
    watcher = KilledAt()
    journal = run(tmp_path, watcher=watcher)
    assert journal.restarts == 1
    assert {state(journal, Step(name)) for name in SKY} == {State.SKIPPED}
    assert journal.begun_utc == START


def test_a_step_that_is_broken_off_leaves_no_camera_running(tmp_path, monkeypatch):
    """Else the images of the time until its next try would fill the memory."""
    worlds = []

    def broken_off(given, world, now_ns, progress):
        worlds.append((world.at(now_ns), now_ns))
        for camera in (worlds[-1][0].guiding_camera, worlds[-1][0].tracking_camera):
            camera.configure(now_ns, CameraSettings(0.01, 1.0, 10.0))
        raise StationError('the mount stands still')

    monkeypatch.setattr(steps_before, 'find', broken_off)
    journal = run(tmp_path, skip=SKY[1:], until='2018-10-03T14:42:00Z')
    assert (state(journal, Step.FIND), journal.why_ended) == (State.LEFT_OUT, 'it is dawn')
    world, now_ns = worlds[-1]
    assert world.now_ns > now_ns + 60 * 10**9  # parked at the end
    assert len(world.guiding_camera.poll(world.now_ns)) <= 1
    assert len(world.tracking_camera.poll(world.now_ns)) <= 1
