"""One clock for a process: station time, real or simulated, at any speed."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Latched:
    """Station time as a straight line over this machine's monotonic clock."""

    epoch_ns: int  # UTC since the Unix epoch, at monotonic_ns
    monotonic_ns: int  # CLOCK_MONOTONIC
    speed: float  # seconds of station time a second

    def at(self, monotonic_ns: int) -> int:
        """UTC, ns, at a reading of the monotonic clock."""
        return self.epoch_ns + round(self.speed * (monotonic_ns - self.monotonic_ns))


class StationClock:
    """Tells station time.

    Real: the machine's own UTC (kept by NTP or PTP), `speed` 1.  Simulated or replayed: what was latched last, so
    that every process of the machine tells the same nanosecond; `latched` is False until then.  A line that begins in
    the future takes over when it begins, in all processes at once.

    Parameters
    ----------
    simulated : bool
        Wait for somebody to latch the clock.
    """

    def __init__(self, simulated: bool) -> None:
        self._simulated = simulated
        self._line: Latched | None = None
        self._next: Latched | None = None
        self._began_ns = 0

    def latch(self, line: Latched, began_ns: int = 0) -> None:
        """Station time follows `line` from its beginning on; `began_ns` tells whose time it is."""
        same = self._line is not None and began_ns == self._began_ns
        self._began_ns = began_ns
        if same and line.monotonic_ns > time.monotonic_ns():
            self._next = line
        else:
            self._line, self._next = line, None

    @property
    def latched(self) -> bool:
        """Whether time can be told."""
        return self._line is not None or not self._simulated

    @property
    def speed(self) -> float:
        """Seconds of station time a second, now or in a moment."""
        line = self._next or self._line
        return line.speed if line is not None else 1.0

    @property
    def identity(self) -> str:
        """Tells one simulated world's time from another's; the same for all real time."""
        return str(self._began_ns) if self._line is not None else 'utc'

    def now_ns(self) -> int:
        """UTC since the Unix epoch, ns."""
        if self._line is None:
            return time.time_ns()
        monotonic_ns = time.monotonic_ns()
        if self._next is not None and monotonic_ns >= self._next.monotonic_ns:
            self._line, self._next = self._next, None
        return self._line.at(monotonic_ns)

    def bent(self, speed: float, in_ns: int) -> Latched:
        """The line on which time goes on at another speed, `in_ns` of real time from now."""
        assert self._line is not None
        monotonic_ns = time.monotonic_ns() + in_ns
        return Latched(self._line.at(monotonic_ns), monotonic_ns, speed)
