"""Protocol of the half-wave-plate rotator, real or simulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class HwpReading:
    """One reading of the half-wave plate."""

    stamp_ns: int
    angle_rad: float  # from the zero mark, counter-clockwise seen against the light, in [0, pi)
    moving: bool


@runtime_checkable
class HwpRotator(Protocol):
    """Open, move, read, stop.  Every call returns within the driver's time-out or raises DeviceFault."""

    def open(self) -> None: ...

    def move(self, now_ns: int, angle_rad: float) -> None:
        """Go to an angle by the shorter way modulo pi."""

    def read(self, now_ns: int) -> HwpReading: ...

    def stop(self, now_ns: int) -> None:
        """Stop at once; allowed in every state, any number of times."""

    def close(self) -> None: ...
