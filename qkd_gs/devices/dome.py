"""Protocol of a dome, a roll-off roof or a telescope cover: something that opens and shuts, real or simulated."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, runtime_checkable


class Shutter(IntEnum):
    """State of the shutter."""

    UNKNOWN = 0  # also: it reports a fault, or stands in between
    OPEN = 1
    CLOSED = 2
    OPENING = 3
    CLOSING = 4


@dataclass(frozen=True)
class DomeReading:
    """One reading."""

    stamp_ns: int  # 0: none yet
    shutter: Shutter


@runtime_checkable
class Dome(Protocol):
    """Open, open the shutter, close it, read.  Every call returns at once."""

    def open(self) -> None:
        """Connect; nothing moves."""

    def open_shutter(self, now_ns: int) -> None:
        """Begin to open; may be repeated."""

    def close_shutter(self, now_ns: int) -> None:
        """Begin to close; allowed in every state, any number of times."""

    def read(self, now_ns: int) -> DomeReading:
        """Newest reading; raises ``dome.silent`` if there is none for the driver's time-out."""

    def close(self) -> None:
        """Disconnect; the shutter stays, or goes on with the last order: a mount may be in its way."""
