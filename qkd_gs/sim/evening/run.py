"""Run an evening in the twin: performs the steps of `qkd_gs.evening` in lockstep."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.evening.choice import LEAST_BITS
from qkd_gs.evening.evening import NOTE_NS, Conditions, Evening, Outcome
from qkd_gs.evening.journal import Entry, Journal, new_journal, unfinished_journal
from qkd_gs.evening.sequence import Doing, EveningSequence, Interrupted, Performance, Status
from qkd_gs.evening.steps import State, Step
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.sim.evening import focus_step, steps_after, steps_before
from qkd_gs.sim.evening.evening_world import EveningSimulation, EveningWorld
from qkd_gs.sim.evening.steps_before import Result

_WAIT_NS = 10 * 10**9  # between two looks at the weather
_WEATHER_NS = 10**9


def run_evening(
    given: EveningSimulation,
    until_ns: int,
    skip: Sequence[Step] = (),
    repeat: Sequence[Step] = (),
    least_bits: int = LEAST_BITS,
) -> Journal:
    """Run or go on with an evening until it is over; the journal.

    Parameters
    ----------
    until_ns : int
        UTC of its end, of a new evening; an interrupted one keeps its own.

    Raises
    ------
    StationError
        A step that cannot be skipped, a damaged journal, or one that cannot be written.
    """
    return _Runner(given, until_ns, least_bits).run(skip, repeat)


class _Runner:
    def __init__(self, given: EveningSimulation, until_ns: int, least_bits: int) -> None:
        self._given, self._least_bits = given, least_bits
        self._world = EveningWorld(given.simulation)
        self._now_ns, site = given.simulation.at_ns, given.simulation.site
        journal = unfinished_journal(given.state_dir, site, self._now_ns, True)
        if journal is None:
            journal = new_journal(site, self._now_ns, until_ns, True, least_bits)
        else:
            # not before what was measured last: the time is noted now and then only
            self._now_ns = max(self._now_ns, parse_utc(journal.seen_utc, 'seen_utc') + NOTE_NS)
        self._evening = Evening(journal, lambda now: now.save(given.state_dir))
        self._looked_ns = 0
        self._said = ''

    def run(self, skip: Sequence[Step], repeat: Sequence[Step]) -> Journal:
        """See `run_evening`."""
        evening, steps = self._evening, EveningSequence[None](self._evening, self._performance)
        evening.skip(skip)
        evening.repeat(repeat)
        while True:
            conditions = Conditions(self._world.bad_weather(self._now_ns), self._next_pass_ns())
            progress = steps.advance(self._now_ns, None, conditions)
            if progress.ended is not None:
                self._given.watcher.step(f'  {progress.ended.state}: {progress.ended.sentence}')
            else:
                self._say(progress.sentence)
            if progress.status is Status.OVER:
                return evening.journal
            if progress.waits:
                self._now_ns += _WAIT_NS
                evening.seen(self._now_ns)

    def _say(self, sentence: str) -> None:
        if sentence != self._said:
            self._said = sentence
            self._given.watcher.step(sentence)

    def _performance(self, entry: Entry, journal: Journal) -> Performance[None]:
        """A step: it takes its station time in one piece, since whatever it needs is in this process."""
        yield Doing()  # what it does is told before it begins
        started_s = time.perf_counter()
        outcome = self._performed(entry)
        with suppress(Interrupted):  # it is over: the time of its end is what the evening waits for
            yield Doing()
        values = outcome.values | {'real_s': round(time.perf_counter() - started_s, 1)}
        return Outcome(outcome.state, outcome.sentence, values)

    def _next_pass_ns(self) -> int | None:
        """Time at which the telescope must be ready for the pass that this evening is for."""
        start_ns = self._world.setup.window.start_ns
        return start_ns if self._now_ns < start_ns else None

    def _performed(self, entry: Entry) -> Outcome:
        """Perform a step; what goes wrong with it is its outcome, not an error of the evening."""
        try:
            outcome, self._now_ns = self._result(entry)
        except Interrupted as error:
            self._world.hold(self._now_ns)
            return Outcome(State.PENDING, f'interrupted: {error.what}')
        except (StationError, DeviceFault) as error:
            self._world.hold(self._now_ns)
            return Outcome(State.FAILED, str(error))
        return outcome

    def _result(self, entry: Entry) -> Result:
        given, world, now_ns = self._given, self._world, self._now_ns
        performers: dict[Step, Callable[[], Result]] = {
            Step.SELF_TEST: lambda: steps_before.self_test(given, world, now_ns),
            Step.TIME_AND_PLACE: lambda: steps_before.check_time_and_place(world, now_ns),
            Step.FIND: lambda: steps_before.find(given, world, now_ns, self._progress),
            Step.CALIBRATE: lambda: steps_before.calibrate_or_check(given, world, now_ns, self._progress),
            Step.FOCUS: lambda: focus_step.focus(given, world, now_ns, self._progress),
            Step.EFFICIENCY: lambda: steps_after.efficiency(given, world, now_ns, self._progress),
            Step.NOISE: lambda: steps_after.noise(given, world, now_ns, self._progress),
            Step.POLARIZATION: lambda: steps_after.polarization(given, now_ns, self._progress),
            Step.ARM: lambda: self._armed(now_ns),
            Step.TRACK: lambda: steps_after.track(given, world, now_ns, entry.pass_utc, self._progress),
            Step.PROCESS: lambda: steps_after.process(given, now_ns, entry.pass_utc),
            Step.REPORT: lambda: steps_after.report(given, now_ns, entry.pass_utc),
            Step.PARK: lambda: steps_after.park(given, world, now_ns),
        }
        return performers[entry.step]()

    def _armed(self, now_ns: int) -> Result:
        journal = self._evening.journal
        test, sky = journal.entry(Step.EFFICIENCY), journal.entry(Step.NOISE)
        gain = test.values['efficiency'] / test.values['stated'] if test.state is State.DONE else 1.0
        return steps_after.arm(self._given, now_ns, journal.until_ns, gain, sky.state is State.DONE, self._least_bits)

    def _progress(self, now_ns: int, text: str) -> None:
        """Called in every step of the loop: notes the time, and ends the step where weather or dawn ask for it."""
        self._now_ns = max(self._now_ns, now_ns)
        if now_ns - self._looked_ns >= _WEATHER_NS:
            self._looked_ns = now_ns
            self._evening.seen(now_ns)
            why = self._evening.interruption(now_ns, self._world.bad_weather(now_ns))
            if why:
                raise Interrupted(why)
        if text:
            self._given.watcher.calibrating(now_ns, text)
