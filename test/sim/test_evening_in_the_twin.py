"""An evening in the twin: weather, restarts, and an orientation found from a misread compass."""

from dataclasses import dataclass, field

import pytest

from qkd_gs.api.evening import evening_summary, simulate_evening
from qkd_gs.calibration.unfinished import FILE_NAME as UNFINISHED
from qkd_gs.evening.steps import State, Step
from qkd_gs.share import share_path
from qkd_gs.sim.simulate import Watcher

START, UNTIL = '2018-10-03T14:40:00Z', '2018-10-03T15:20:00Z'  # before the pass: none is armed
SKY = ('find', 'calibrate', 'efficiency', 'noise', 'polarization')


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


@pytest.mark.long
def test_an_evening_killed_in_the_middle_of_each_step_under_the_sky_is_calibrated_and_tested(tmp_path):
    for said, times in (('image 4 of 7', 1), ('going to', 6), ('3 of 6', 1), ('20 of 48', 1)):
        with pytest.raises(Killed):
            run(tmp_path, watcher=KilledAt(said, times), compass_error_deg=70)
        if said == 'going to':
            assert (tmp_path / UNFINISHED).exists()
    journal = run(tmp_path, compass_error_deg=70)
    assert journal.restarts == 4
    for step in (Step.FIND, Step.CALIBRATE, Step.EFFICIENCY, Step.NOISE, Step.POLARIZATION, Step.ARM, Step.PARK):
        assert state(journal, step) is State.DONE, step
    assert 'the compass was misread by' in journal.entry(Step.FIND).sentence
    assert journal.entry(Step.EFFICIENCY).values['efficiency'] == pytest.approx(0.4, rel=0.1)
    again = run(tmp_path / 'next', skip=SKY)
    assert state(again, Step.PARK) is State.DONE


@pytest.mark.long
def test_a_cloud_bank_delays_the_orientation_and_a_second_evening_only_checks(tmp_path):
    journal = run(tmp_path, scenario='cloud_bank', skip=('noise', 'efficiency'), until='2018-10-03T15:45:00Z')
    assert state(journal, Step.FIND) is State.DONE
    assert state(journal, Step.CALIBRATE) is State.DONE
    assert journal.entry(Step.FIND).tries > 0
    second = run(tmp_path, skip=('noise', 'efficiency', 'polarization'))
    assert state(second, Step.FIND) is State.NOT_NEEDED
    assert 'it still holds' in second.entry(Step.CALIBRATE).sentence
