"""The satellites of a search, one after another or divided among processes.

The processes are forked: they share the orbits, which cannot be sent to another process, and the compiled kernels,
which this process compiles, or loads from their cache, with the first satellite.  Results come in the order of the
satellites, and are the same to the bit.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from logging.handlers import BufferingHandler
from math import ceil
from multiprocessing import get_context
from typing import NamedTuple

from qkd_gs.children import end_with_parent
from qkd_gs.errors import StationError
from qkd_gs.orbit.listing import Listing, Query, list_satellite
from qkd_gs.orbit.propagate import Orbit
from qkd_gs.orbit.search.arcs import Place
from qkd_gs.orbit.timescale import DAY_NS

Outcome = tuple[list[Listing], int] | StationError
"""Passes of a satellite and the number of its old sets, or why it cannot be searched."""

_WORTH_DAYS = 1000  # of all satellites together: a shorter search takes less than a second
_SHARES = 4  # for each process, so that none waits long for another
_MESSAGES = 100_000  # of one satellite, a generous number
_LARGEST = 16  # satellites in a share: so long an interrupt waits


class Search(NamedTuple):
    """Parameters of a search, its satellites and its site; `quiet`: the age of single sets is not logged."""

    satellites: Sequence[Sequence[Orbit]]
    places: Sequence[Place]
    query: Query
    quiet: bool

    def outcome(self, k: int) -> Outcome:
        """Passes of one satellite, or why there are none."""
        try:
            return list_satellite(self.satellites[k], self.places, self.query, self.quiet)
        except StationError as error:
            return error


_inherited: list[Search] = []  # by the processes that are forked


def list_satellites(
    satellites: Sequence[Sequence[Orbit]],
    places: Sequence[Place],
    query: Query,
    quiet: bool,
    processes: int | None,
) -> Iterator[tuple[Sequence[Orbit], Outcome]]:
    """Orbits and passes of each satellite.

    Parameters
    ----------
    quiet : bool
        Do not log the age of single sets.
    processes : int, optional
        At most so many, and not more than there are processors; not given: only for a search that is worth it.
        A program with threads of its own is not forked.
    """
    search = Search(satellites, places, query, quiet)
    count = min(_most(search) if processes is None else processes, len(os.sched_getaffinity(0)), len(satellites) - 1)
    if count < 2 or threading.active_count() > 1:
        yield from ((orbits, search.outcome(k)) for k, orbits in enumerate(satellites))
        return
    yield satellites[0], search.outcome(0)
    yield from zip(satellites[1:], in_processes(search, count), strict=True)


def _most(search: Search) -> int:
    days = (search.query.end_ns - search.query.start_ns) / DAY_NS
    return len(search.satellites) if days * len(search.satellites) >= _WORTH_DAYS else 1


def in_processes(search: Search, count: int) -> Iterator[Outcome]:
    """Outcomes from the second satellite on, in `count` processes."""
    total = len(search.satellites)
    size = min(ceil((total - 1) / (count * _SHARES)), _LARGEST)
    _inherited.append(search)
    pool = ProcessPoolExecutor(count, get_context('fork'), initializer=_begin)
    try:
        for share in pool.map(_outcomes, [range(k, min(k + size, total)) for k in range(1, total, size)]):
            for outcome, messages in share:
                for name, level, message in messages:
                    logging.getLogger(name).log(level, '%s', message)
                yield outcome
    finally:
        pool.shutdown(cancel_futures=True)
        _inherited.pop()


def _begin() -> None:
    """In a new process: it ends with the one that started it, which takes interrupts and what is logged."""
    end_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger().handlers = []
    logging.getLogger('qkd_gs').handlers = [BufferingHandler(_MESSAGES)]


def _outcomes(numbers: range) -> list[tuple[Outcome, list[tuple[str, int, str]]]]:
    """Outcomes of some satellites, each with what was logged."""
    (search,) = _inherited
    (messages,) = logging.getLogger('qkd_gs').handlers
    assert isinstance(messages, BufferingHandler)
    found = []
    for k in numbers:
        outcome = search.outcome(k)
        found.append((outcome, [(one.name, one.levelno, one.getMessage()) for one in messages.buffer]))
        messages.flush()
    return found
