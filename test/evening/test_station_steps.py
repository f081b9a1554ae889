"""The evening's steps on a running station, from the self test to the key."""

from math import radians

import pytest
from evening_station import (
    BEFORE_THE_PASS,
    CULMINATION_NS,
    MINUTE,
    NOW_NS,
    SECOND,
    Station,
    pointing,
)

from qkd_gs.calibration.light.readings import SKY, LightReading, save_light
from qkd_gs.calibration.light.result import SKY_COUNTS
from qkd_gs.calibration.observing.observation import ObservationKind
from qkd_gs.errors import StationError
from qkd_gs.evening.heard import LOST, Action, Answer, Ask, Choose
from qkd_gs.evening.sequence import Status
from qkd_gs.evening.steps import State, Step
from qkd_gs.monitoring.readiness import Level
from qkd_gs.monitoring.snapshot import KeyProgress, KeyStep
from qkd_gs.session.manifest import FINISHED, KEY


def test_an_evening_from_the_self_test_to_the_key(make):
    station = make()
    assert station.to_the_end().sentence == 'all steps are over'
    states = {one.step: one.state for one in station.evening.journal.entries}
    assert State.UNAVAILABLE not in states.values()
    assert {step for step, state in states.items() if state is State.NOT_NEEDED} == {Step.FIND}
    assert {states[step] for step in (Step.CALIBRATE, Step.ARM, Step.TRACK, Step.PROCESS, Step.PARK)} == {State.DONE}
    # it waits for the pass parked
    assert station.actions == [Action.CALIBRATE, *6 * [Action.OBSERVE], Action.PARK, Action.TRACK]
    assert station.observed == [
        ObservationKind.FOCUS, ObservationKind.STAR_TEST, ObservationKind.POLARIZATION, ObservationKind.DELAYS,
        ObservationKind.DARK, ObservationKind.NOISE_MAP,
    ]  # fmt: skip
    asked = [ask for ask in station.asked if isinstance(ask, Ask)][-1]
    assert abs(asked.at_ns - CULMINATION_NS) < SECOND
    assert any('armed, slews to the first point in ' in said for said in station.told)


def test_the_self_test_waits_until_every_node_works(make):
    station = make()
    station.level, station.sentence = Level.ERROR, 'not ready: mount is silent'
    for _ in range(3):
        assert station.go().step == 'self-test'
    assert station.told[-1] == 'self-test: waits for the station: not ready: mount is silent'
    station.level, station.trouble = Level.OK, 'mount.silent'
    assert station.go().ended is None
    station.trouble = ''
    assert station.go().ended.state is State.DONE


def test_time_and_place_wait_for_a_message_that_is_new(make):
    station = make(skip=[Step.SELF_TEST])
    station.gps_silent = True
    for _ in range(30):
        assert station.go().ended is None
    station.gps_silent = False
    assert station.go().ended.state is State.DONE


@pytest.mark.parametrize(('minutes', 'used'), [(5, True), (-60, False)])
def test_the_choice_takes_a_noise_map_of_tonight(make, minutes, used):
    station = make(skip=[Step.EFFICIENCY])
    t_ns = NOW_NS + minutes * MINUTE
    grid = [(radians(az), radians(el)) for az in (0, 90, 180, 270) for el in (20, 60)]
    save_light(station.folder / SKY_COUNTS, [LightReading(SKY, t_ns, *place, 2.0, (200,) * 4) for place in grid])
    values = station.ended(Step.ARM).values
    assert values['noise_measured'] is used
    (choice,) = [ask for ask in station.asked if isinstance(ask, Choose)]
    assert (choice.measured.noise is not None) is used


def test_a_forecast_that_fails_is_told(make):
    station = make()
    station.passes = StationError('the elements are 80 days old')
    outcome = station.ended(Step.ARM)
    assert (outcome.state, outcome.sentence) == (State.FAILED, 'the elements are 80 days old')
    station.to_the_end()
    assert station.state(Step.PARK) is State.DONE
    assert Action.TRACK not in station.actions


def test_the_choice_waits_for_its_thread(make, passes):
    station = make()
    station.take = lambda ask: station.asked.append(ask) if isinstance(ask, Choose) else Station.take(station, ask)
    station.begun(Step.ARM)
    for _ in range(50):
        assert station.go().ended is None
    station.chosen = passes
    assert station.go().ended.state is State.DONE


@pytest.mark.parametrize(('code', 'actions'), [('DONE', 1), ('FAILED', 2)])
def test_a_calibration_that_holds_is_not_made_again(make, code, actions):
    station = make()
    pointing().save(station.folder)
    station.answers[Action.OBSERVE].insert(0, Answer(code, '3 stars are 20 urad (RMS) off the last calibration'))
    outcome = station.ended(Step.CALIBRATE)
    assert outcome.state is State.DONE
    assert outcome.sentence.startswith('3 stars are 20 urad (RMS) off the last calibration')
    assert station.observed == [ObservationKind.CHECK]
    assert station.actions == [Action.OBSERVE, Action.CALIBRATE][:actions]


def test_a_calibration_that_fails_is_tried_again_and_then_the_evening_ends_parked(make):
    station = make()
    station.answers[Action.CALIBRATE] = [Answer('FAILED', 'only 2 of 20 stars measured, 3 are needed')]
    said = station.to_the_end().sentence
    assert said == 'calibrate failed: calibrate: only 2 of 20 stars measured, 3 are needed'
    assert station.actions.count(Action.CALIBRATE) == 6
    assert station.actions[-1] is Action.PARK
    assert station.state(Step.PARK) is State.DONE


@pytest.mark.parametrize(
    'answer', [Answer(LOST, 'the calibrator has died before it was done'), Answer('NOT_READY', 'no state of the mount')]
)
def test_a_calibrator_that_dies_in_mid_step_is_asked_again(make, answer):
    station = make()
    station.answers[Action.CALIBRATE].insert(0, answer)
    outcome = station.ended(Step.CALIBRATE)
    assert outcome.state is State.FAILED
    assert answer.sentence in outcome.sentence
    assert station.state(Step.CALIBRATE) is State.PENDING  # tried again
    assert station.ended(Step.CALIBRATE).state is State.DONE


def test_a_pass_of_which_the_tracker_was_restarted_is_told_by_its_session(make):
    station = make()
    station.answers[Action.TRACK] = [Answer('DONE', '', {'folder': 'pass-1'})]  # all that is known after a restart
    outcome = station.ended(Step.TRACK)
    assert outcome.values == {'session': 'pass-1', 'locked_s': 500.0}
    assert station.ended(Step.PROCESS).values['secret_bits'] == 110_000


def test_a_pass_without_light_makes_no_key(make):
    station = make()
    station.manifest.locked = []
    station.answers[Action.TRACK] = [Answer('NO_LOCK', 'the satellite was never locked', {'folder': 'pass-1'})]
    station.to_the_end()
    assert station.state(Step.TRACK) is State.FAILED
    assert station.state(Step.PROCESS) is State.LEFT_OUT
    assert station.state(Step.PARK) is State.DONE


def test_a_pass_that_cannot_begin_yet_is_asked_for_again_until_it_is_over(make):
    station = make()
    station.answers[Action.TRACK] = [Answer('NOT_READY', 'no state of the mount'), *station.answers[Action.TRACK]]
    assert station.ended(Step.TRACK).state is State.DONE
    assert station.actions.count(Action.TRACK) == 2


def test_a_pass_that_can_never_begin_is_given_up_when_it_is_over(make):
    station = make(skip=BEFORE_THE_PASS)
    station.answers[Action.TRACK] = [Answer('BUSY', 'a calibration is under way')]
    outcome = station.ended(Step.TRACK)
    assert (outcome.state, outcome.sentence) == (State.FAILED, 'track_pass: a calibration is under way')
    assert CULMINATION_NS + 4 * MINUTE < station.now_ns < CULMINATION_NS + 10 * MINUTE


def test_a_pass_that_is_refused_is_lost_and_the_evening_goes_on(make):
    station = make()
    station.answers[Action.TRACK] = [Answer('REFUSED', 'the slew comes within 20 deg of the Sun')]
    station.to_the_end()
    assert station.state(Step.TRACK) is State.FAILED
    assert station.actions.count(Action.TRACK) == 1
    assert station.state(Step.PARK) is State.DONE


@pytest.mark.parametrize('action', [Action.CALIBRATE, Action.TRACK])
def test_what_somebody_else_aborts_stops_the_evening_until_it_is_gone_on_with(make, action):
    station = make()
    station.answers[action] = [Answer('ABORTED', 'aborted by the operator')]
    progress = station.to_the_end()
    assert progress.status is Status.ABORTED
    assert progress.sentence == f'{action}: aborted by the operator'
    step = Step.TRACK if action is Action.TRACK else Step.CALIBRATE
    assert station.state(step) is State.PENDING
    assert not station.evening.journal.ended_utc
    again = make()
    assert again.evening.journal.restarts == 1
    again.to_the_end()
    assert again.state(step) is State.DONE


def test_a_key_that_is_not_allowed(make):
    station = make()
    station.key = KeyProgress(KeyStep.FAILED, 'pass-1', True, message='the error rate is too high')
    station.to_the_end()
    entry = next(one for one in station.evening.journal.entries if one.step is Step.PROCESS)
    assert (entry.state, entry.sentence) == (State.FAILED, 'the error rate is too high')


@pytest.mark.parametrize('result', [None, {'key': {'secret_bits': 99, 'qber': None}}])
def test_a_key_that_was_made_while_nobody_listened_is_in_the_session(make, result):
    station = make()
    station.key = KeyProgress()  # of a post-processor that was restarted
    station.begun(Step.PROCESS)
    for _ in range(20):
        assert station.go().ended is None
    station.manifest.run, station.manifest.result = {KEY: FINISHED}, result
    outcome = station.ended(Step.PROCESS)
    assert outcome.state is (State.FAILED if result is None else State.DONE)
    assert ('allows no key' if result is None else '99 secret bits') in outcome.sentence


def test_a_report_that_is_missing_is_told(make):
    station = make()
    (station.folder / 'sessions' / 'pass-1' / 'report.html').unlink()
    station.to_the_end()
    assert station.state(Step.REPORT) is State.FAILED


def test_a_mount_that_does_not_arrive_is_not_called_parked(make):
    station = make(skip=(*BEFORE_THE_PASS, Step.TRACK))
    station.answers[Action.PARK] = [Answer('FAILED', 'the mount stands 40.0 deg from its park position')]
    station.to_the_end()
    assert station.actions == [Action.PARK] * 3
    assert station.state(Step.PARK) is State.FAILED
