"""The evening in steps that are advanced piece by piece: what is sent in, what comes out, and how a step is ended."""

import pytest

from qkd_gs.errors import StationError
from qkd_gs.evening.evening import Conditions, Evening, Outcome
from qkd_gs.evening.journal import new_journal, unfinished_journal
from qkd_gs.evening.sequence import Aborted, Doing, EveningSequence, Interrupted, Status
from qkd_gs.evening.steps import RULES, State, Step
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.settings.site import load_site

SITE = load_site('shanghai')
START_NS = parse_utc('2018-10-03T14:30:00Z')
DAWN_NS = parse_utc('2018-10-03T21:30:00Z')
SECOND = 10**9
RAIN = Conditions('it rains')


class Steps:
    """Steps that wait until they are told that they are over; the calibration asks for something first."""

    def __init__(self):
        self.begun, self.stopped = [], []

    def perform(self, entry, journal):
        self.begun.append(entry.step)
        try:
            heard = yield Doing('begins', 'calibrate' if entry.step is Step.CALIBRATE else None)
            while heard != 'over':
                heard = yield Doing(f'hears {heard}')
        except Interrupted:
            while (yield Doing('stops', 'cancel')) != 'stands':
                pass
            self.stopped.append(entry.step)
            raise
        if entry.step is Step.ARM:
            return Outcome(State.DONE, 'armed', {'passes': []})
        return Outcome(State.DONE, 'good')


class Driver:
    """Advances a sequence, a second each time."""

    def __init__(self, folder, perform, skip=()):
        journal = unfinished_journal(folder, SITE, START_NS + SECOND, True)
        evening = Evening(journal or new_journal(SITE, START_NS, DAWN_NS, True), lambda now: now.save(folder))
        evening.skip(skip)
        self.sequence, self.now_ns = EveningSequence(evening, perform), START_NS

    def go(self, heard='', conditions=Conditions()):  # noqa: B008  immutable
        self.now_ns += SECOND
        return self.sequence.advance(self.now_ns, heard, conditions)

    def until(self, step, heard='over'):
        while (progress := self.go(heard)).step != step or progress.ended is not None:
            assert progress.status is Status.GOES_ON
        return progress

    @property
    def journal(self):
        return self.sequence.evening.journal


def test_a_step_hears_what_is_sent_and_asks_once(tmp_path):
    steps = Steps()
    driver = Driver(tmp_path, steps.perform)
    begun = driver.until('calibrate')
    assert (begun.sentence, begun.ask) == ('calibrate: begins', 'calibrate')
    heard = driver.go('a star')
    assert (heard.sentence, heard.ask) == ('calibrate: hears a star', None)
    assert driver.go('over').ended == Outcome(State.DONE, 'good')
    while (progress := driver.go('over')).status is Status.GOES_ON:
        pass
    assert (progress.status, driver.sequence.share) == (Status.OVER, 1.0)
    assert steps.begun == [step for step in Step if step not in (Step.TRACK, Step.PROCESS, Step.REPORT)]


def test_rain_ends_a_step_under_the_sky_and_it_is_done_again(tmp_path):
    steps = Steps()
    driver = Driver(tmp_path, steps.perform)
    driver.until('find')
    assert driver.go(conditions=RAIN).ask == 'cancel'
    assert driver.go('moves', RAIN).ended is None  # it is interrupted once
    assert driver.go('stands', RAIN).ended == Outcome(State.PENDING, 'interrupted: it rains')
    assert driver.go(conditions=RAIN).step == 'park'
    assert driver.go('over', RAIN).ended.state is State.DONE
    assert driver.go(conditions=RAIN).waits
    assert driver.go().step == 'find'
    assert steps.stopped == [Step.FIND]
    assert driver.journal.entry(Step.FIND).tries == 0


def test_a_step_of_the_devices_does_not_mind_the_rain(tmp_path):
    driver = Driver(tmp_path, Steps().perform)
    driver.until('self-test')
    assert driver.go('x', RAIN).sentence == 'self-test: hears x'


@pytest.mark.parametrize('step', [Step.SELF_TEST, Step.CALIBRATE, Step.ARM, Step.PARK])
def test_an_abort_in_any_step_waits_until_it_has_stopped_and_the_evening_goes_on_from_there(tmp_path, step):
    steps = Steps()
    driver = Driver(tmp_path, steps.perform)
    driver.until(str(step))
    driver.sequence.abort('by the operator')
    assert driver.go('moves').ask == 'cancel'
    assert driver.go('moves').status is Status.GOES_ON
    assert driver.go('stands').ended.state is State.PENDING
    assert (driver.go().status, driver.go().status) == (Status.ABORTED, Status.ABORTED)
    assert steps.stopped == [step]
    again = Driver(tmp_path, steps.perform)
    begun = again.until(str(step))
    assert begun.step == str(step)
    assert again.journal.entry(step).tries == 0


def test_an_abort_between_two_steps_begins_no_other(tmp_path):
    steps = Steps()
    driver = Driver(tmp_path, steps.perform)
    driver.sequence.abort('by the operator')
    assert driver.go().status is Status.ABORTED
    assert steps.begun == []


@pytest.mark.parametrize(
    ('error', 'state', 'status'),
    [
        (StationError('no star', where='calibrate'), State.PENDING, Status.GOES_ON),  # tried again
        (Aborted('ended at the console'), State.PENDING, Status.ABORTED),
    ],
)
def test_what_a_step_raises_is_its_outcome(tmp_path, error, state, status):
    def perform(entry, journal):
        yield Doing()
        raise error

    skip = [Step.SELF_TEST, Step.TIME_AND_PLACE, Step.FIND]
    driver = Driver(tmp_path, perform, skip)
    driver.until('calibrate')
    assert error.what in driver.go().sentence
    entry = driver.journal.entry(Step.CALIBRATE)
    assert (entry.state, entry.tries) == (state, int(status is Status.GOES_ON))
    assert driver.go().status is status


def test_an_error_of_the_program_is_told_as_the_outcome_and_the_telescope_is_parked(tmp_path, caplog):
    steps = Steps()

    def perform(entry, journal):
        if entry.step is Step.SELF_TEST:
            yield Doing('begins')
            raise KeyError('rate_hz')
        return (yield from steps.perform(entry, journal))

    driver = Driver(tmp_path, perform)
    driver.until('self-test')
    tries = 0
    while (progress := driver.go('over')).status is Status.GOES_ON:
        if progress.ended is not None and progress.step == 'self-test':
            assert progress.ended == Outcome(State.FAILED, "KeyError: 'rate_hz'")
            tries += 1
        if progress.waits:
            driver.now_ns += 60 * SECOND
    assert tries == RULES[Step.SELF_TEST].tries
    assert steps.begun == [Step.PARK]
    assert driver.journal.why_ended == "self-test failed: KeyError: 'rate_hz'"
    assert 'Traceback' in caplog.text
