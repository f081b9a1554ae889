"""Weather, dawn, an abort or a restart in the middle of each step of an evening."""

from dataclasses import replace

import pytest
from evening_station import (
    BEFORE_THE_PASS,
    CULMINATION_NS,
    DAWN_NS,
    MINUTE,
    NOW_NS,
    SECOND,
    SITE,
    Station,
    pointing,
)

from qkd_gs.evening.heard import Action, Answer, Ask, End, WeatherWatch
from qkd_gs.evening.journal import new_journal, unfinished_journal
from qkd_gs.evening.sequence import Status
from qkd_gs.evening.steps import State, Step
from qkd_gs.monitoring.snapshot import KeyProgress
from qkd_gs.tracking.types import MountTask, Phase

ENDLESS = {  # steps that never end by themselves
    Step.FOCUS: Action.OBSERVE,
    Step.CALIBRATE: Action.CALIBRATE,
    Step.EFFICIENCY: Action.OBSERVE,
    Step.NOISE: Action.OBSERVE,
    Step.TRACK: Action.TRACK,
}


def safe(station):
    """Nothing moves any more, and what was asked for has been ended or is over."""
    return station.task is MountTask.NONE and station.phase is Phase.IDLE


def test_rain_ends_a_calibration_parks_and_it_is_done_again_afterwards(make):
    station = make()
    station.answers[Action.CALIBRATE].insert(0, None)  # it never ends by itself
    station.begun(Step.CALIBRATE)
    station.until(lambda now: station.actions == [Action.CALIBRATE])
    station.weather = 'it rains'
    outcome = station.ended(Step.CALIBRATE)
    assert (outcome.state, outcome.sentence) == (State.PENDING, 'interrupted: it rains')
    assert End(Action.CALIBRATE) in station.asked
    assert safe(station)
    assert station.ended(Step.PARK).state is State.DONE
    for _ in range(30):
        assert station.go().sentence == 'waits for the weather: it rains'
    station.weather = ''
    assert station.ended(Step.CALIBRATE).state is State.DONE


def test_rain_that_the_station_was_faster_to_act_on_does_not_stop_the_evening(make):
    """The monitor breaks a pass off by itself; its answer comes with the weather."""
    station = make(skip=BEFORE_THE_PASS)
    station.answers[Action.TRACK].insert(0, None)
    station.begun(Step.TRACK)
    station.until(lambda now: Action.TRACK in station.actions)
    station.go()
    station.weather, station.answer = 'it rains', Answer('ABORTED', 'aborted by the operator')
    station.over()
    outcome = station.ended(Step.TRACK)
    assert outcome.state is State.PENDING
    assert not station.sequence.aborting


@pytest.mark.parametrize('step', [Step.CALIBRATE, Step.TRACK])
def test_dawn_ends_what_is_under_the_sky_and_parks(make, step):
    station = make()
    station.answers[Action.TRACK if step is Step.TRACK else Action.CALIBRATE].insert(0, None)
    station.begun(step)
    station.until(lambda now: station.phase is not Phase.IDLE or station.task is MountTask.CALIBRATING)
    station.now_ns = DAWN_NS
    assert station.ended(step).sentence == 'interrupted: it is dawn'
    assert safe(station)
    assert station.to_the_end().sentence == 'it is dawn'
    assert station.state(Step.PARK) is State.DONE
    assert station.el_deg == 0.0


@pytest.mark.parametrize('step', [*BEFORE_THE_PASS, Step.ARM, Step.TRACK, Step.PROCESS, Step.PARK])
def test_an_abort_ends_each_step_safely_and_the_same_evening_goes_on(make, step):
    observations = (Step.FOCUS, Step.EFFICIENCY, Step.NOISE)
    station = make(skip=[one for one in observations if step in observations and one is not step])
    if step is Step.PROCESS:
        station.key = KeyProgress()
    endless = ENDLESS.get(step)
    if endless is not None:
        station.answers[endless].insert(0, None)
    station.begun(step)
    if endless is not None:
        station.until(lambda now: endless in station.actions)
    for _ in range(4):
        if station.evening.running is not None and station.evening.running.step is step:
            station.go()
    station.sequence.abort('aborted by the operator')
    progress = station.to_the_end()
    assert progress.status is Status.ABORTED
    assert safe(station)
    assert station.evening.running is None
    begun = [ask for ask in station.asked if isinstance(ask, Ask)]
    again = make()
    again.el_deg = station.el_deg
    again.to_the_end()
    assert again.state(Step.TRACK) is State.DONE
    assert again.state(Step.PARK) is State.DONE
    assert len(begun) <= 9


def test_after_a_restart_the_calibration_that_went_on_is_waited_for(make):
    make().begun(Step.CALIBRATE)
    station = make()
    station.task = MountTask.CALIBRATING
    station.begun(Step.CALIBRATE)
    for _ in range(10):
        station.go()
    assert station.told[-1] == 'calibrate: waits until the calibration under way is over'
    assert not station.actions
    pointing(utc='2018-10-03T14:50:00Z').save(station.folder)
    station.task = MountTask.NONE
    outcome = station.ended(Step.CALIBRATE)
    assert outcome.state is State.DONE
    assert outcome.sentence == 'the calibration that was under way: 20 stars'
    assert not station.actions


def test_after_a_restart_a_calibration_that_came_to_nothing_is_done_again(make):
    make().begun(Step.CALIBRATE)
    station = make()
    station.task = MountTask.CALIBRATING
    station.begun(Step.CALIBRATE)
    station.go()
    station.task = MountTask.NONE
    assert station.ended(Step.CALIBRATE).sentence == '20 of 20 stars'
    assert station.actions == [Action.CALIBRATE]


def test_after_a_restart_in_mid_pass_its_end_is_waited_for_and_it_is_processed(make):
    first = make()
    first.answers[Action.TRACK].insert(0, None)
    first.begun(Step.TRACK)
    first.until(lambda now: first.phase is not Phase.IDLE)
    station = make()
    station.now_ns, station.phase, station.session = first.now_ns, Phase.FINE, 'pass-1'
    station.begun(Step.TRACK)
    for _ in range(10):
        station.go()
    station.over()
    assert station.ended(Step.TRACK).values['session'] == 'pass-1'
    assert station.ended(Step.PROCESS).state is State.DONE
    assert Action.TRACK not in station.actions


@pytest.mark.parametrize('why', ['rain', 'dawn'])
def test_a_calibration_that_went_on_during_a_restart_is_ended_before_the_telescope_is_parked(make, why):
    """The rain comes while the tests after the restart are done, in which nothing moves."""
    make().begun(Step.CALIBRATE)
    station = make()
    station.task = MountTask.CALIBRATING
    if why == 'rain':
        station.weather = 'it rains'
    else:
        station.now_ns = DAWN_NS
    assert station.ended(Step.PARK).state is State.DONE
    assert station.asked == [End(Action.CALIBRATE), Ask(Action.PARK)]


def test_a_station_of_which_a_node_was_not_heard_yet_does_not_work(make):
    station = make()
    whole = station.heard
    station.heard = lambda: replace(whole(), snapshot=replace(whole().snapshot, nodes=()))
    for _ in range(5):
        assert station.go().ended is None
    station.heard = whole
    assert station.go().ended.state is State.DONE


@pytest.mark.parametrize('why', ['abort', 'rain'])
def test_what_went_on_during_a_restart_is_ended_with_the_step_that_waits_for_it(make, why):
    make().begun(Step.CALIBRATE)
    station = make()
    station.task = MountTask.CALIBRATING
    station.begun(Step.CALIBRATE)
    station.go()
    if why == 'rain':
        station.weather = 'it rains'
    else:
        station.sequence.abort('aborted by the operator')
    assert station.ended(Step.CALIBRATE).state is State.PENDING
    assert station.asked == [End(Action.CALIBRATE)]
    assert safe(station)


def test_another_pass_under_way_is_waited_for(make):
    station = make(skip=BEFORE_THE_PASS)
    station.phase, station.session = Phase.FINE, 'of-somebody'
    station.begun(Step.TRACK)
    station.heard = lambda: replace(Station.heard(station), snapshot=without_coming(station))
    station.now_ns = CULMINATION_NS - 5 * MINUTE
    for _ in range(5):
        station.go()
    assert Action.TRACK not in station.actions
    station.over()
    assert station.ended(Step.TRACK).values['session'] == 'pass-1'


def without_coming(station):
    return replace(Station.heard(station).snapshot, coming=None)


def test_the_journal_of_last_night_is_left_alone(make, tmp_path):
    last = new_journal(SITE, NOW_NS - 86_400 * SECOND, DAWN_NS - 86_400 * SECOND, True)
    last.save(tmp_path)
    before = last.path(tmp_path).read_text()
    assert unfinished_journal(tmp_path, SITE, NOW_NS, True) is None
    assert unfinished_journal(tmp_path, SITE, NOW_NS, True, late=True).restarts == 1  # to park after a crash
    station = make()
    assert station.evening.journal.restarts == 0
    station.to_the_end()
    assert last.path(tmp_path).read_text() == before


def test_an_evening_whose_dawn_came_while_its_process_was_dead_is_ended_parked(make, tmp_path):
    make().begun(Step.CALIBRATE)
    journal = unfinished_journal(tmp_path, SITE, DAWN_NS + MINUTE, True, late=True)
    station = make()
    station.sequence.evening.journal = journal
    station.now_ns = DAWN_NS + MINUTE
    assert station.to_the_end().sentence == 'it is dawn'
    assert station.actions == [Action.PARK]


def test_what_needs_the_sky_waits_for_the_night(make):
    station = make()
    station.dark_ns = NOW_NS + 10 * MINUTE
    station.until(lambda now: now.waits)
    assert station.told[-1] == 'find: waits for a dark sky, at 2018-10-03T14:50:00Z'
    assert station.state(Step.TIME_AND_PLACE) is State.DONE
    station.begun(Step.FIND)
    assert station.now_ns >= station.dark_ns
    assert not station.asked


def test_weather_that_is_not_known_counts_when_that_lasts():
    watch = WeatherWatch(0.0)
    assert watch.step(NOW_NS, ['beacon.elevation']) == ''
    assert watch.step(NOW_NS, ['weather.unknown', 'mount.silent']) == ''
    assert watch.step(NOW_NS + 9 * SECOND, ['weather.unknown']) == ''
    assert watch.step(NOW_NS + 10 * SECOND, ['weather.unknown']) == 'the weather is not known'
    assert watch.step(NOW_NS + 11 * SECOND, ['weather.rain', 'weather.wind']) == 'it rains, it is too windy'
    assert watch.step(NOW_NS + 12 * SECOND, []) == ''
    assert watch.step(NOW_NS + 13 * SECOND, ['weather.unknown']) == ''  # patience restarts


def test_after_bad_weather_the_shutter_is_waited_for():
    watch = WeatherWatch(300.0)
    assert watch.step(NOW_NS, []) == ''
    assert watch.step(NOW_NS + SECOND, ['weather.rain']) == 'it rains'
    assert '5 min' in watch.step(NOW_NS + 2 * SECOND, [])
    assert '5 min' in watch.step(NOW_NS + 300 * SECOND, [])
    assert watch.step(NOW_NS + 301 * SECOND, []) == ''
