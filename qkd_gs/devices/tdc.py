"""Protocol of the time-to-digital converter (TDC), real or simulated."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from qkd_gs.timing.tags import TagBlock


@runtime_checkable
class Tdc(Protocol):
    """Open, start, poll, stop.  Times are integer picoseconds of the TDC's own clock since start."""

    def open(self) -> None: ...

    def start(self, now_ns: int) -> None:
        """Begin a run; the TDC's clock starts from an arbitrary phase."""

    def poll(self, now_ns: int) -> TagBlock:
        """Tags since the last call, in order of time."""

    def stop(self, now_ns: int) -> None:
        """End the run; allowed in every state, any number of times."""

    def close(self) -> None: ...
