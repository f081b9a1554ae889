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
    that every process of the machine tells the same nanosecond; `latched` is False until then.

    Parameters
    ----------
    simulated : bool
        Wait for somebody to latch the clock.
    """

    def __init__(self, simulated: bool) -> None:
        self._simulated = simulated
        self._line: Latched | None = None

    def latch(self, line: Latched) -> None:
        """From now on station time follows `line`."""
        self._line = line

    @property
    def latched(self) -> bool:
        """Whether time can be told."""
        return self._line is not None or not self._simulated

    @property
    def speed(self) -> float:
        """Seconds of station time a second."""
        return self._line.speed if self._line is not None else 1.0

    @property
    def identity(self) -> str:
        """Tells one simulated world's time from another's; the same for all real time."""
        return f'{self._line.monotonic_ns}' if self._line is not None else 'utc'

    def now_ns(self) -> int:
        """UTC since the Unix epoch, ns."""
        return self._line.at(time.monotonic_ns()) if self._line is not None else time.time_ns()
