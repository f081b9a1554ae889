"""Protocol of the beacon laser (671 nm, 1 W), real or simulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class BeaconReading:
    """One reading of the laser."""

    stamp_ns: int
    emitting: bool
    power_w: float
    interlock_closed: bool


@runtime_checkable
class Beacon(Protocol):
    """Open, on, off, read.  Every call returns within the driver's time-out or raises DeviceFault."""

    def open(self) -> None: ...

    def on(self, now_ns: int) -> None:
        """Emit; must be repeated within the watchdog time, otherwise the laser switches off.

        Raises DeviceFault ``beacon.interlock`` if the interlock is open.
        """

    def off(self, now_ns: int) -> None:
        """Switch the laser off at once; allowed in every state, any number of times."""

    def read(self, now_ns: int) -> BeaconReading: ...

    def close(self) -> None: ...
