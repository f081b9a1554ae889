"""The evening as a state machine: which step comes next, what ends or interrupts it, and when to park.

It performs nothing.  Whoever does (the twin in lockstep, or a node) asks `next`, says `begin`, looks at `interruption`
while the step runs, and gives its outcome to `end`.  Every change goes into the journal before anything is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from qkd_gs.evening.journal import Entry, Journal
from qkd_gs.evening.steps import OF_A_PASS, RULES, State, Step, require_skippable
from qkd_gs.orbit.timescale import format_utc, parse_utc

NOTE_NS = 10 * 10**9  # between two notes of the time
_SKIPPED = 'skipped by the operator'
PAUSE_S = 300.0  # before a step that failed is tried again
_OVER = (State.DONE, State.SKIPPED, State.NOT_NEEDED, State.UNAVAILABLE, State.FAILED, State.LEFT_OUT)


class Order(Enum):
    """The next thing to do."""

    BEGIN = 'begin'  # the step of `Next.entry`
    WAIT = 'wait'  # and ask again later, at `Next.until_ns` at the latest
    OVER = 'over'  # the evening has ended


@dataclass(frozen=True)
class Next:
    """Answer to `Evening.next`."""

    order: Order
    sentence: str  # for people: what it does, or what it waits for
    entry: Entry | None = None
    until_ns: int | None = None


@dataclass(frozen=True)
class Conditions:
    """Conditions that the steps depend on.

    Attributes
    ----------
    bad_weather : str
        Reason why nothing is done under the sky at present; empty: the weather is good.
    next_pass_ns : int or None
        When the telescope must be ready for the next usable pass; what is not needed for it waits until after it.
    dark_ns : int
        UTC from which the sky is dark; what needs the sky waits for it.
    planned : bool
        Whether `next_pass_ns` is known; None may mean that nobody has told it yet.  What could delay a pass waits.
    """

    bad_weather: str = ''
    next_pass_ns: int | None = None
    dark_ns: int = 0
    planned: bool = True


@dataclass(frozen=True)
class Outcome:
    """End of a step.

    Attributes
    ----------
    state : State
        DONE, NOT_NEEDED, FAILED or UNAVAILABLE; PENDING: it was interrupted, and is not counted as a try.
    sentence : str
        Result or reason.
    values : dict
        Figures, as JSON; of `Step.ARM`: ``passes``, a list of dicts with ``culmination`` and ``worth``.
    """

    state: State
    sentence: str
    values: dict[str, Any] = field(default_factory=dict)


GOOD = Conditions()


class Evening:
    """One evening; see the module.

    Parameters
    ----------
    journal : Journal
        A new one, or the one of an evening that was interrupted.
    save : callable
        Writes the journal; called after every change.
    """

    def __init__(self, journal: Journal, save: Callable[[Journal], None]) -> None:
        self.journal = journal
        self._save = save
        self._parked = False
        save(journal)

    # ---- the operator ----

    def skip(self, steps: Iterable[Step]) -> None:
        """Leave steps out, unless they are over; those of a pass also for passes chosen later.

        Raises
        ------
        StationError
            A step that must not be left out.
        """
        for step in require_skippable(list(steps)):
            self._note(skipped=(*(one for one in self.journal.skipped if one is not step), step))
            for entry in self._of(step):
                if entry.state is State.PENDING:
                    self._change(entry, state=State.SKIPPED, sentence=_SKIPPED)

    def repeat(self, steps: Iterable[Step]) -> None:
        """Do steps again that are over; a repeated forecast chooses passes again."""
        for step in steps:
            self._note(skipped=tuple(one for one in self.journal.skipped if one is not step))
            for entry in self._of(step):
                if entry.state in _OVER:
                    self._change(entry, state=State.PENDING, sentence='to be repeated', tries=0, not_before_utc='')

    def expect(self, least_bits: int) -> None:
        """Choose passes from now on by so many expected secret bits."""
        self._note(least_bits=least_bits)

    # ---- whoever performs the steps ----

    def next(self, now_ns: int, conditions: Conditions = GOOD) -> Next:
        """The next thing to do."""
        if self.journal.ended_utc:
            return Next(Order.OVER, self.journal.why_ended)
        why = self._why_no_more(now_ns)
        if why:
            self._leave_out(why)
        waits: Next | None = None
        for entry in self._in_order():
            if entry.state is not State.PENDING or self._is_in_vain(entry):
                continue
            if entry.step is Step.PARK and waits is not None:
                break
            if RULES[entry.step].lasts_s and not conditions.planned:
                said = f'{entry.name}: waits until the next pass is known'
                return Next(Order.WAIT, said, entry, self.journal.until_ns)
            answer = self._answer(now_ns, entry, conditions)
            if answer.order is Order.BEGIN or RULES[entry.step].needed or entry.step is Step.PARK:
                return answer
            waits = waits or answer
        if waits is not None:
            return waits
        self._finish(now_ns, why or 'all steps are over')
        return Next(Order.OVER, self.journal.why_ended)

    def _answer(self, now_ns: int, entry: Entry, conditions: Conditions) -> Next:
        """Begin a pending step, or what it waits for."""
        rules, passing_ns = RULES[entry.step], conditions.next_pass_ns
        if rules.under_the_sky and conditions.bad_weather:
            return self._shelter(now_ns, conditions.bad_weather)
        if rules.under_the_sky and now_ns < conditions.dark_ns:
            said = f'{entry.name}: waits for a dark sky, at {format_utc(conditions.dark_ns, 0)}'
            return Next(Order.WAIT, said, entry, min(conditions.dark_ns, self.journal.until_ns))
        wait_ns = parse_utc(entry.not_before_utc, 'not_before_utc') if entry.not_before_utc else 0
        if wait_ns > now_ns:
            said = f'{entry.name}: {entry.sentence}; tried again at {format_utc(wait_ns, 0)}'
            return Next(Order.WAIT, said, entry, min(wait_ns, self.journal.until_ns))
        if rules.lasts_s and passing_ns is not None and 0 < passing_ns - now_ns < rules.lasts_s * 1e9:
            said = f'{entry.name}: waits until after the pass that begins at {format_utc(passing_ns, 0)}'
            return Next(Order.WAIT, said, entry, passing_ns)
        return Next(Order.BEGIN, f'{entry.name}: {rules.purpose}', entry)

    def seen(self, now_ns: int) -> None:
        """Note the time, at most every ten seconds."""
        if now_ns - parse_utc(self.journal.seen_utc, 'seen_utc') >= NOTE_NS:
            self._note(seen_utc=format_utc(now_ns))

    def begin(self, now_ns: int, entry: Entry) -> None:
        """A step begins; the journal has it before anything is done."""
        if entry.step is not Step.PARK:
            self._parked = False
            for park in self._of(Step.PARK):
                if park.state in _OVER:
                    self._change(park, state=State.PENDING, sentence='', tries=0, not_before_utc='')
        self._change(entry, state=State.RUNNING, begun_utc=format_utc(now_ns), sentence=RULES[entry.step].purpose)

    def interruption(self, now_ns: int, bad_weather: str) -> str:
        """Reason why the step under way must be ended now; empty: it goes on."""
        entry = self.running
        if entry is None or not RULES[entry.step].under_the_sky:
            return ''
        return bad_weather or ('it is dawn' if now_ns >= self.journal.until_ns else '')

    def end(self, now_ns: int, outcome: Outcome) -> None:
        """The step under way has ended."""
        entry = self.running
        assert entry is not None
        rules = RULES[entry.step]
        took_s = entry.took_s + (now_ns - parse_utc(entry.begun_utc, 'begun_utc')) * 1e-9
        changed: dict[str, Any] = {'sentence': outcome.sentence, 'took_s': round(took_s, 3), 'state': outcome.state}
        changed |= {'ended_utc': format_utc(now_ns), 'values': outcome.values or entry.values}
        if outcome.state is State.FAILED:
            changed['tries'] = entry.tries + 1
            if entry.tries + 1 < rules.tries:
                changed['state'] = State.PENDING
                changed['not_before_utc'] = format_utc(now_ns + round(PAUSE_S * 1e9), 0)
        self._change(entry, **changed)
        if entry.step is Step.ARM and outcome.state is State.DONE:
            self._arm([one['culmination'] for one in outcome.values['passes'] if one['worth']])
        if entry.step is Step.CALIBRATE and outcome.state is State.FAILED:
            for find in self._of(Step.FIND):
                if find.state is State.NOT_NEEDED:  # the last calibration has proved wrong
                    self._change(find, state=State.PENDING, sentence='', not_before_utc='')
        if entry.step is Step.PARK and outcome.state is State.DONE:
            self._parked = True

    @property
    def running(self) -> Entry | None:
        """The entry of the step under way."""
        return next((entry for entry in self.journal.entries if entry.state is State.RUNNING), None)

    # ---- inside ----

    def _of(self, step: Step) -> list[Entry]:
        return [entry for entry in self.journal.entries if entry.step is step]

    def _in_order(self) -> list[Entry]:
        """Entries in the order in which they are done: the passes by their time, park last."""
        park = self._of(Step.PARK)
        return [entry for entry in self.journal.entries if entry.step is not Step.PARK] + park

    def _why_no_more(self, now_ns: int) -> str:
        """Reason why nothing more is done under the sky; empty: it is."""
        if now_ns >= self.journal.until_ns:
            return 'it is dawn'
        for entry in self.journal.entries:
            if entry.state is State.FAILED and RULES[entry.step].needed:
                return f'{entry.step} failed: {entry.sentence}'
        return ''

    def _leave_out(self, why: str) -> None:
        """Leave out what is pending, except what is done with a pass that was recorded, and park."""
        recorded = {entry.pass_utc for entry in self._of(Step.TRACK) if entry.state is State.DONE}
        for entry in self.journal.entries:
            kept = entry.step is Step.PARK or (entry.pass_utc in recorded and entry.step in OF_A_PASS)
            if entry.state is State.PENDING and not kept:
                self._change(entry, state=State.LEFT_OUT, sentence=f'left out: {why}')

    def _shelter(self, now_ns: int, bad_weather: str) -> Next:
        """Wait for better weather with the telescope parked."""
        sentence = f'waits for the weather: {bad_weather}'
        park = self._of(Step.PARK)[0]
        if not self._parked and park.state is State.PENDING:
            answer = self._answer(now_ns, park, GOOD)
            return Next(answer.order, f'park: {sentence}', park, answer.until_ns)
        if park.state is State.FAILED:
            sentence += f'; the telescope is not parked: {park.sentence}'
        return Next(Order.WAIT, sentence, None, self.journal.until_ns)

    def _is_in_vain(self, entry: Entry) -> bool:
        """Leave out what follows a pass that was not recorded."""
        if entry.step not in (Step.PROCESS, Step.REPORT):
            return False
        track = self.journal.entry(Step.TRACK, entry.pass_utc)
        if track.state in _OVER and track.state is not State.DONE:
            self._change(entry, state=State.LEFT_OUT, sentence=f'left out: the pass was not tracked ({track.state})')
            return True
        return track.state is not State.DONE

    def _arm(self, culminations: list[str]) -> None:
        """Add the steps of the chosen passes; those of passes that are no longer chosen go, unless they began."""
        kept = tuple(
            entry
            for entry in self.journal.entries
            if entry.step not in OF_A_PASS or entry.pass_utc in culminations or entry.state is not State.PENDING
        )
        known = {entry.pass_utc for entry in kept if entry.step is Step.TRACK}
        added = [self._of_a_pass(step, utc) for utc in sorted(culminations) if utc not in known for step in OF_A_PASS]
        self._note(entries=(*kept, *added))

    def _of_a_pass(self, step: Step, pass_utc: str) -> Entry:
        if step in self.journal.skipped:
            return Entry(step=step, pass_utc=pass_utc, state=State.SKIPPED, sentence=_SKIPPED)
        return Entry(step=step, pass_utc=pass_utc)

    def _finish(self, now_ns: int, why: str) -> None:
        self._note(ended_utc=format_utc(now_ns, 0), why_ended=why)

    def _change(self, entry: Entry, **values: Any) -> None:
        entries = tuple(
            one.model_copy(update=values) if (one.step, one.pass_utc) == (entry.step, entry.pass_utc) else one
            for one in self.journal.entries
        )
        self._note(entries=entries)

    def _note(self, **values: Any) -> None:
        self.journal = self.journal.model_copy(update=values)
        self._save(self.journal)
