"""The evening's order of steps, its journal, and what becomes of it under weather, dawn, failures and restarts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.evening.evening import Conditions, Evening, Order, Outcome
from qkd_gs.evening.heard import Heard
from qkd_gs.evening.journal import Journal, new_journal, unfinished_journal
from qkd_gs.evening.steps import PREPARATION, RULES, State, Step
from qkd_gs.monitoring.snapshot import Snapshot
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.settings.site import load_site

SITE = load_site('shanghai')
START_NS = parse_utc('2018-10-03T14:30:00Z')
DAWN_NS = parse_utc('2018-10-03T21:30:00Z')
SECOND = 10**9
PASS = '2018-10-03T15:56:42.000Z'
STEP_S = 60


class Killed(Exception):
    """The process ends here."""


class Performer:
    """Does every step in a minute; `results` gives other outcomes, in order, for some steps."""

    def __init__(self, folder, results=None, passes=(PASS,), weather=lambda now_ns: '', kill_at=None):
        self.folder, self.results, self.passes = folder, results or {}, passes
        self.weather, self.kill_at = weather, kill_at
        self.done, self.parked_ns, self.now_ns = [], [], START_NS

    def evening(self):
        journal = unfinished_journal(self.folder, SITE, self.now_ns, True)
        return Evening(journal or new_journal(SITE, self.now_ns, DAWN_NS, True), lambda now: now.save(self.folder))

    def outcome(self, step):
        if self.results.get(step):
            return self.results[step].pop(0)
        if step is Step.ARM:
            return Outcome(State.DONE, 'armed', {'passes': [{'culmination': p, 'worth': True} for p in self.passes]})
        return Outcome(State.DONE, 'good')

    def run(self, evening=None, most=500):
        evening = evening or self.evening()
        for _ in range(most):
            order = evening.next(self.now_ns, Conditions(self.weather(self.now_ns)))
            if order.order is Order.OVER:
                return evening.journal
            if order.order is Order.WAIT:
                self.now_ns += 10 * SECOND
                continue
            evening.begin(self.now_ns, order.entry)
            self.done.append(order.entry.step)
            for _ in range(STEP_S // 10):
                self.now_ns += 10 * SECOND
                if self.kill_at is not None and self.kill_at(order.entry, len(self.done)):
                    self.kill_at = None
                    raise Killed
                why = evening.interruption(self.now_ns, self.weather(self.now_ns))
                if why:
                    evening.end(self.now_ns, Outcome(State.PENDING, why))
                    break
            else:
                evening.end(self.now_ns, self.outcome(order.entry.step))
                if order.entry.step is Step.PARK:
                    self.parked_ns.append(self.now_ns)
        raise AssertionError('the evening does not end')


def states(journal):
    return {entry.step: entry.state for entry in journal.entries}


def test_all_steps_in_their_order_end_with_the_park(tmp_path):
    performer = Performer(tmp_path)
    journal = performer.run()
    assert performer.done == list(Step)
    assert set(states(journal).values()) == {State.DONE}
    assert journal.entry(Step.NOISE).took_s == STEP_S
    assert Journal.model_validate_json(journal.path(tmp_path).read_text()) == journal


@pytest.mark.parametrize('step', Step)
def test_an_evening_killed_in_the_middle_of_a_step_goes_on_with_it(tmp_path, step):
    performer = Performer(tmp_path, kill_at=lambda entry, count: entry.step is step)
    with pytest.raises(Killed):
        performer.run()
    before = len(performer.done)
    journal = performer.run()
    assert journal.restarts == 1
    assert set(states(journal).values()) == {State.DONE}
    again = performer.done[before:]
    assert step in again
    done_before = set(performer.done[: before - 1]) - {Step.SELF_TEST, Step.TIME_AND_PLACE}
    assert not done_before & set(again)
    assert performer.done[-1] is Step.PARK


@given(st.lists(st.integers(1, 14), max_size=6), st.lists(st.sampled_from(list(Step)), max_size=3))
def test_however_often_it_is_killed_it_ends_parked_and_does_nothing_twice(tmp_path_factory, kills, failing):
    folder = tmp_path_factory.mktemp('state')
    results = {step: [Outcome(State.FAILED, 'a cloud')] for step in failing}
    performer = Performer(folder, results)
    for kill in kills:
        start = len(performer.done)
        performer.kill_at = lambda entry, count, at=start + kill: count == at
        try:
            performer.run()
        except Killed:
            continue
        break
    performer.kill_at = None
    journal = performer.run()
    assert journal.entry(Step.PARK).state in (State.DONE, State.FAILED)
    assert not any(entry.state in (State.PENDING, State.RUNNING) for entry in journal.entries)


def test_a_needed_step_that_fails_for_good_ends_the_evening_parked_with_its_reason(tmp_path):
    tries = RULES[Step.FIND].tries
    performer = Performer(tmp_path, {Step.FIND: [Outcome(State.FAILED, 'no stars: a lens cap')] * tries})
    journal = performer.run()
    assert performer.done.count(Step.FIND) == tries
    assert journal.why_ended == 'find failed: no stars: a lens cap'
    assert states(journal)[Step.CALIBRATE] is State.LEFT_OUT
    assert states(journal)[Step.PARK] is State.DONE


def test_a_step_that_is_not_needed_may_fail_and_is_tried_again_while_others_go_on(tmp_path):
    performer = Performer(tmp_path, {Step.EFFICIENCY: [Outcome(State.FAILED, 'a cloud')]})
    journal = performer.run()
    assert set(states(journal).values()) == {State.DONE}
    assert performer.done.index(Step.NOISE) < len(performer.done) - 1 - performer.done[::-1].index(Step.EFFICIENCY)


def test_an_unavailable_step_is_told_and_not_claimed(tmp_path):
    reason = 'no polarizer is in front of the telescope'
    performer = Performer(tmp_path, {Step.POLARIZATION: [Outcome(State.UNAVAILABLE, reason)]})
    entry = performer.run().entry(Step.POLARIZATION)
    assert (entry.state, entry.sentence) == (State.UNAVAILABLE, reason)


def test_bad_weather_interrupts_a_step_parks_and_the_step_is_done_afterwards(tmp_path):
    begin, end = START_NS + 200 * SECOND, START_NS + 900 * SECOND
    performer = Performer(tmp_path, weather=lambda now_ns: 'it rains' if begin <= now_ns < end else '')
    journal = performer.run()
    assert set(states(journal).values()) == {State.DONE}
    assert begin < performer.parked_ns[0] < end
    assert performer.done[-1] is Step.PARK
    assert len(performer.parked_ns) == 2
    assert journal.entry(Step.CALIBRATE).tries == 0  # an interruption is no failure


def test_weather_that_stays_bad_until_dawn_leaves_out_what_is_left(tmp_path):
    performer = Performer(tmp_path, weather=lambda now_ns: 'it rains' if now_ns > START_NS + 300 * SECOND else '')
    journal = performer.run(most=4000)
    assert journal.why_ended == 'it is dawn'
    assert states(journal)[Step.TRACK] is State.LEFT_OUT
    assert performer.done[-1] is Step.PARK


@pytest.mark.parametrize(('before_s', 'state'), [(90, State.DONE), (30, State.LEFT_OUT)])
def test_a_pass_that_was_recorded_before_dawn_is_processed_after_it(tmp_path, before_s, state):
    performer = Performer(tmp_path)
    evening = performer.evening()
    performer.now_ns = DAWN_NS - (len(PREPARATION) * STEP_S + before_s) * SECOND
    journal = performer.run(evening)
    assert journal.why_ended == 'it is dawn'
    assert {states(journal)[step] for step in (Step.TRACK, Step.PROCESS, Step.REPORT)} == {state}
    assert states(journal)[Step.PARK] is State.DONE


def test_what_follows_a_pass_that_was_not_tracked_is_left_out(tmp_path):
    later = '2018-10-03T17:30:00.000Z'
    performer = Performer(tmp_path, {Step.TRACK: [Outcome(State.FAILED, 'never locked')]}, passes=(PASS, later))
    journal = performer.run()
    assert journal.entry(Step.PROCESS, PASS).state is State.LEFT_OUT
    assert journal.entry(Step.PROCESS, later).state is State.DONE


def test_the_operator_skips_and_repeats(tmp_path):
    performer = Performer(tmp_path, kill_at=lambda entry, count: entry.step is Step.ARM)
    evening = performer.evening()
    evening.skip([Step.NOISE])
    with pytest.raises(Killed):
        performer.run(evening)
    evening = performer.evening()
    assert states(evening.journal)[Step.NOISE] is State.SKIPPED
    evening.repeat([Step.CALIBRATE])
    performer.run(evening)
    assert performer.done.count(Step.CALIBRATE) == 2
    assert Step.NOISE not in performer.done


def test_the_park_cannot_be_skipped(tmp_path):
    with pytest.raises(StationError, match='park cannot be skipped'):
        Performer(tmp_path).evening().skip([Step.PARK])


def test_a_measurement_that_no_pass_needs_waits_until_after_the_pass(tmp_path):
    evening = Performer(tmp_path).evening()
    for step in (Step.SELF_TEST, Step.TIME_AND_PLACE, Step.FIND, Step.CALIBRATE):
        order = evening.next(START_NS)
        assert order.entry.step is step
        evening.begin(START_NS, order.entry)
        evening.end(START_NS, Outcome(State.DONE, ''))
    for left_s, step in ((150, Step.ARM), (200, Step.FOCUS), (1000, Step.FOCUS)):
        assert evening.next(START_NS, Conditions(next_pass_ns=START_NS + left_s * SECOND)).entry.step is step
    evening.skip([Step.FOCUS])
    for left_s, step in ((200, Step.ARM), (400, Step.EFFICIENCY), (1000, Step.EFFICIENCY)):
        assert evening.next(START_NS, Conditions(next_pass_ns=START_NS + left_s * SECOND)).entry.step is step
    evening.skip([Step.EFFICIENCY])
    for left_s, step in ((700, Step.NOISE), (1000, Step.POLARIZATION)):  # whose shutter opens ten minutes before a pass
        assert evening.next(START_NS, Conditions(next_pass_ns=START_NS + left_s * SECOND)).entry.step is step


def test_a_measurement_that_no_pass_needs_waits_until_the_next_pass_is_known(tmp_path):
    evening = Performer(tmp_path).evening()
    for known in (False, False, True):  # a station in which the planner was not heard yet
        order = evening.next(START_NS, Conditions(planned=known))
        while order.order is Order.BEGIN and order.entry.step is not Step.FOCUS:
            evening.begin(START_NS, order.entry)
            evening.end(START_NS, Outcome(State.DONE, ''))
            order = evening.next(START_NS, Conditions(planned=known))
        assert order.entry.step is Step.FOCUS
        assert order.order is (Order.BEGIN if known else Order.WAIT)


def test_a_station_whose_planner_was_not_heard_does_not_say_that_no_pass_comes():
    assert not Heard(Snapshot(START_NS)).conditions.planned
    assert Heard(Snapshot(START_NS, planned=True)).conditions == Conditions()


def test_an_evening_of_another_night_or_site_is_not_resumed(tmp_path):
    performer = Performer(tmp_path, kill_at=lambda entry, count: entry.step is Step.FIND)
    with pytest.raises(Killed):
        performer.run()
    assert unfinished_journal(tmp_path, SITE, performer.now_ns, True) is not None
    assert unfinished_journal(tmp_path, SITE, DAWN_NS + 1, True) is None
    assert unfinished_journal(tmp_path, load_site('lijiang'), performer.now_ns, True) is None
    assert unfinished_journal(tmp_path, SITE, performer.now_ns, False) is None


def test_steps_of_a_pass_can_be_skipped_before_it_is_chosen(tmp_path):
    performer = Performer(tmp_path)
    evening = performer.evening()
    evening.skip([Step.TRACK])
    journal = performer.run(evening)
    assert journal.entry(Step.TRACK, PASS).state is State.SKIPPED
    assert journal.entry(Step.PROCESS, PASS).state is State.LEFT_OUT
    assert performer.done == [*PREPARATION, Step.PARK]


def test_a_step_of_a_pass_that_is_repeated_is_skipped_no_longer(tmp_path):
    performer = Performer(tmp_path)
    evening = performer.evening()
    evening.skip([Step.REPORT, Step.PROCESS])
    evening.repeat([Step.PROCESS])
    journal = performer.run(evening)
    assert journal.skipped == (Step.REPORT,)
    assert journal.entry(Step.PROCESS, PASS).state is State.DONE
    assert journal.entry(Step.REPORT, PASS).state is State.SKIPPED
