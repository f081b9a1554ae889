"""The evening step by step: whoever drives it calls `EveningSequence.advance` again and again with what was heard.

A step is performed by a generator, the *performance*: it yields what it does and waits for, is sent what was heard,
and returns its outcome.  What must end it, weather, dawn or the operator, is thrown into it as `Interrupted`; it may
still yield, for instance until a mount stands.  The sequence sleeps nowhere and reads no clock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from qkd_gs.errors import DeviceFault, StationError, in_words
from qkd_gs.evening.evening import GOOD, Conditions, Evening, Order, Outcome
from qkd_gs.evening.journal import Entry, Journal
from qkd_gs.evening.steps import State

_log = logging.getLogger(__name__)
H = TypeVar('H')


class Interrupted(StationError):
    """A step is ended from outside, by weather, dawn or the operator, and can be done again."""


class Aborted(StationError):
    """Somebody else has ended what a step had asked for; the evening stops until the operator goes on with it."""


@dataclass(frozen=True)
class Doing:
    """Item that a performance yields.

    Attributes
    ----------
    sentence : str
        Its work and what it waits for; empty: as before.
    ask : Any
        Something to be done by whoever drives the sequence, once; None: nothing.
    """

    sentence: str = ''
    ask: Any = None


Performance = Generator[Doing, H, Outcome]


class Status(Enum):
    """State of a sequence."""

    GOES_ON = 'goes on'
    OVER = 'over'  # the evening has ended
    ABORTED = 'aborted'  # by the operator; the evening can go on


@dataclass(frozen=True)
class Progress:
    """Answer to `EveningSequence.advance`.

    Attributes
    ----------
    sentence : str
        For people: what it does and waits for, or why it has ended.
    step : str
        Step under way, with its pass; empty: none.
    ask : Any
        As `Doing.ask`.
    ended : Outcome or None
        Outcome of a step that has ended in this call.
    waits : bool
        No step is under way, and none can begin now.
    """

    status: Status
    sentence: str
    step: str = ''
    ask: Any = None
    ended: Outcome | None = None
    waits: bool = False


class EveningSequence(Generic[H]):
    """Advances an evening.

    Parameters
    ----------
    evening : Evening
    perform : callable
        Performance of a step.
    """

    def __init__(self, evening: Evening, perform: Callable[[Entry, Journal], Performance[H]]) -> None:
        self.evening = evening
        self._perform = perform
        self._performance: Performance[H] | None = None
        self._step, self._sentence = '', ''
        self._aborting = ''
        self._interrupted = False

    @property
    def share(self) -> float:
        """Share of the evening's steps that are over, 0 to 1."""
        entries = self.evening.journal.entries
        return sum(entry.state not in (State.PENDING, State.RUNNING) for entry in entries) / len(entries)

    @property
    def aborting(self) -> bool:
        """Whether it is being ended, or has been."""
        return bool(self._aborting)

    def abort(self, why: str) -> None:
        """End the step under way safely, and begin no other; `advance` goes on to be called until it says so."""
        self._aborting = self._aborting or why

    def advance(self, now_ns: int, heard: H, conditions: Conditions = GOOD) -> Progress:
        """Go on by one piece: begin a step, or let the step under way look at what was heard.

        Raises
        ------
        StationError
            The journal cannot be written.
        """
        self.evening.seen(now_ns)
        performance = self._performance
        if performance is None:
            if self._aborting:
                return Progress(Status.ABORTED, self._aborting)
            return self._next(now_ns, conditions)
        why = self._aborting or self.evening.interruption(now_ns, conditions.bad_weather)
        if why and not self._interrupted:
            self._interrupted = True
            return self._piece(now_ns, lambda: performance.throw(Interrupted(why)))
        return self._piece(now_ns, lambda: performance.send(heard))

    def _next(self, now_ns: int, conditions: Conditions) -> Progress:
        order = self.evening.next(now_ns, conditions)
        if order.order is Order.OVER:
            return Progress(Status.OVER, order.sentence)
        if order.order is Order.WAIT:
            return Progress(Status.GOES_ON, order.sentence, waits=True)
        assert order.entry is not None
        entry = order.entry
        self.evening.begin(now_ns, entry)
        performance = self._perform(entry, self.evening.journal)
        self._performance, self._interrupted = performance, False
        self._step, self._sentence = entry.name, order.sentence
        return self._piece(now_ns, lambda: next(performance))

    def _piece(self, now_ns: int, go: Callable[[], Doing]) -> Progress:
        """One piece of a performance; what goes wrong with it is its outcome, not an error of the evening."""
        try:
            doing = go()
        except StopIteration as end:
            return self._end(now_ns, end.value)
        except Interrupted as error:
            return self._end(now_ns, Outcome(State.PENDING, f'interrupted: {error.what}'))
        except Aborted as error:
            self._aborting = self._aborting or error.what
            return self._end(now_ns, Outcome(State.PENDING, f'interrupted: {error.what}'))
        except Exception as error:  # noqa: BLE001  also of a program: the evening goes on, and parks the telescope
            if not isinstance(error, StationError | DeviceFault):
                _log.exception('the step %s has failed', self._step)
            return self._end(now_ns, Outcome(State.FAILED, in_words(error)))
        self._sentence = f'{self._step}: {doing.sentence}' if doing.sentence else self._sentence
        return Progress(Status.GOES_ON, self._sentence, self._step, doing.ask)

    def _end(self, now_ns: int, outcome: Outcome) -> Progress:
        self._performance = None
        step, self._step = self._step, ''
        self.evening.end(now_ns, outcome)
        return Progress(Status.GOES_ON, f'{step}: {outcome.state}: {outcome.sentence}', step, ended=outcome)
