"""Station time of a process: real or simulated, at any speed."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class ClockMapping:
    """Linear mapping of this machine's monotonic clock to station time."""

    epoch_ns: int  # UTC since the Unix epoch, at monotonic_ns
    monotonic_ns: int  # CLOCK_MONOTONIC
    speed: float  # seconds of station time a second

    def at(self, monotonic_ns: int) -> int:
        """UTC, ns, at a reading of the monotonic clock."""
        return self.epoch_ns + round(self.speed * (monotonic_ns - self.monotonic_ns))


class StationClock:
    """Clock of a process.

    The mapping set last, so that all processes of the machine agree to the nanosecond: of a simulated or replayed
    world, or of the machine's UTC without its steps (`qkd_gs.station.clock_discipline`).  A mapping that begins in the
    future takes effect when it begins, in all processes at once.

    Parameters
    ----------
    must_be_set : bool
        False: until it is set, it is the machine's own UTC.
    """

    def __init__(self, must_be_set: bool) -> None:
        self._must_be_set = must_be_set
        self._mapping: ClockMapping | None = None
        self._next: ClockMapping | None = None
        self._past: ClockMapping | None = None  # in force before the present one
        self._began_ns = 0

    def set(self, mapping: ClockMapping, began_ns: int = 0) -> None:
        """Follow `mapping` from its beginning on; `began_ns` identifies the simulated world."""
        same = self._mapping is not None and began_ns == self._began_ns
        self._began_ns = began_ns
        if same and mapping.monotonic_ns > time.monotonic_ns():
            self._next = mapping
        else:
            self._past = self._mapping if same else None
            self._mapping, self._next = mapping, None

    @property
    def is_set(self) -> bool:
        """Whether the clock can be read."""
        return self._mapping is not None or not self._must_be_set

    @property
    def speed(self) -> float:
        """Seconds of station time a second, now or in a moment."""
        mapping = self._next or self._mapping
        return mapping.speed if mapping is not None else 1.0

    @property
    def began_ns(self) -> int:
        """Start of the simulated world, CLOCK_MONOTONIC; 0: none."""
        return self._began_ns if self._mapping is not None else 0

    @property
    def identity(self) -> str:
        """Identifier of the simulated world; the same for all real time."""
        return str(self._began_ns) if self.began_ns else 'utc'

    def now_ns(self) -> int:
        """UTC since the Unix epoch, ns."""
        if self._mapping is None:
            return time.time_ns()
        monotonic_ns = time.monotonic_ns()
        if self._next is not None and monotonic_ns >= self._next.monotonic_ns:
            self._past, self._mapping, self._next = self._mapping, self._next, None
        return self._mapping.at(monotonic_ns)

    def steady_ns(self) -> int:
        """Time for ages and time limits within this process, ns from an arbitrary start: nobody can set it.

        Station time in a simulated or replayed world, whose speed it follows; else CLOCK_MONOTONIC.
        """
        return self.now_ns() if self.began_ns else time.monotonic_ns()

    def age_ns(self, monotonic_ns: int) -> int:
        """Time of `steady_ns` since a recent reading of CLOCK_MONOTONIC, by any process of this machine, ns."""
        if self._mapping is None or not self.began_ns:
            return time.monotonic_ns() - monotonic_ns
        now_ns = self.now_ns()
        by_past = self._past is not None and monotonic_ns < self._mapping.monotonic_ns
        mapping = self._past if by_past and self._past is not None else self._mapping
        return now_ns - mapping.at(monotonic_ns)

    def bent(self, speed: float, in_ns: int) -> ClockMapping:
        """Mapping that continues at another speed, starting `in_ns` of real time from now."""
        assert self._mapping is not None
        monotonic_ns = time.monotonic_ns() + in_ns
        return ClockMapping(self._mapping.at(monotonic_ns), monotonic_ns, speed)
