"""Protocol of a focuser: a motor that moves a lens, a mirror or a camera along the optical axis, real or simulated."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class FocuserReading:
    """One reading."""

    stamp_ns: int  # 0: none yet
    position: int  # steps from the inner end of the travel
    moving: bool
    temperature_c: float = nan  # at the focuser or in the tube; NaN: it does not measure that


@runtime_checkable
class Focuser(Protocol):
    """Open, move to a position, halt, read.  Every call returns at once."""

    def open(self) -> None:
        """Connect; nothing moves."""

    def travel(self) -> tuple[int, int]:
        """Lowest and highest position, steps; raises ``focuser.silent`` while they are not known."""

    def move(self, now_ns: int, position: int) -> None:
        """Begin to move; a later position replaces it.

        Raises ``focuser.command`` for a position outside the travel, and nothing moves then.
        """

    def halt(self, now_ns: int) -> None:
        """Stop at once; allowed in every state, any number of times."""

    def read(self, now_ns: int) -> FocuserReading:
        """Newest reading; raises ``focuser.silent`` if there is none for the driver's time-out."""

    def close(self) -> None:
        """Halt, and disconnect."""
