"""Protocol of the language of a laser, as the control uses it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class LaserLine(Protocol):
    """Line of text to a laser, where every command has one answer."""

    def open(self) -> None:
        """Open it; raises DeviceFault ``beacon.silent``, or StationError if a library is missing."""

    def ask(self, command: str) -> None:
        """Send a command whose answer will come by `answers`; raises DeviceFault ``beacon.silent``."""

    def tell(self, command: str) -> None:
        """Send a command whose answer is of no interest."""

    def answers(self) -> list[str]:
        """Answers that have arrived, in the order of the commands."""

    def close(self) -> None:
        """Close it; allowed in every state."""


@dataclass(frozen=True)
class LaserCommands:
    """Commands of a laser.

    Attributes
    ----------
    on, off : str
        Switch the light.
    power : callable
        Command for a power in W.
    light, interlock : str
        Questions: switched on or not; interlock closed or not.
    measured : str
        Question: measured power; '': the laser cannot tell.
    once : tuple of str
        Commands after opening, before any light.
    seldom : tuple of str
        More questions, asked in turn with the others.
    """

    on: str
    off: str
    power: Callable[[float], str]
    light: str
    interlock: str
    measured: str
    once: tuple[str, ...]
    seldom: tuple[str, ...] = ()

    @property
    def often(self) -> tuple[str, ...]:
        """Questions whose answers make a reading."""
        return tuple(one for one in (self.light, self.interlock, self.measured) if one)
