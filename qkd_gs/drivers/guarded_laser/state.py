"""State of a laser."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import nan
from typing import Any


@dataclass(frozen=True)
class LaserState:
    """State of the laser.

    Attributes
    ----------
    at_ns : int
        Time of the oldest of the values; 0: not all of them have been heard yet.
    emitting : bool
        Switched on, or power measured.
    power_w : float
        Measured; NaN: not known.
    fault, message : str
        Code and sentence of a fault; '' if none.  A fault lasts until the laser is opened again.
    off_confirmed : bool
        The laser has answered that it is off, since it was last switched on.
    """

    at_ns: int = 0
    emitting: bool = False
    power_w: float = nan
    interlock_closed: bool = False
    fault: str = ''
    message: str = ''
    off_confirmed: bool = False
    health: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)
