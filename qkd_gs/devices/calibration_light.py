"""Protocol of a calibration light: a source of polarized light in front of the telescope, real or simulated.

What its light is, polarization and pulses, is a matter of the station's settings (`CalibrationLightSettings`): no
driver can ask for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, runtime_checkable

from qkd_gs.errors import DeviceFault


class Cover(IntEnum):
    """State of the cover that the light is in."""

    UNKNOWN = 0  # also: it reports a fault
    NONE = 1  # the device has none that it could tell of
    CLOSED = 2
    OPEN = 3
    MOVING = 4


@dataclass(frozen=True)
class CalibrationLightReading:
    """One reading.

    Attributes
    ----------
    stamp_ns : int
        0: none yet.
    lit : bool
        It shines, or is about to.
    brightness : float
        Share of the brightest, 0 to 1.
    ready : bool
        It shines steadily.
    """

    stamp_ns: int
    lit: bool
    brightness: float
    ready: bool
    cover: Cover = Cover.UNKNOWN


NO_READING = CalibrationLightReading(0, False, 0.0, False)


@runtime_checkable
class CalibrationLight(Protocol):
    """Open, switch on and off, read.  Every call returns at once."""

    def open(self) -> None:
        """Connect.  A light that was left on, as by a process that has died, is switched off as soon as it answers."""

    def on(self, now_ns: int, brightness: float) -> None:
        """Shine with a share of the full brightness, above 0 and up to 1; a later one replaces it.

        Raises ``calibration_light.command`` for another brightness, ``calibration_light.silent`` if the light has
        not answered yet.
        """

    def off(self, now_ns: int) -> None:
        """Switch off at once; allowed in every state, any number of times."""

    def read(self, now_ns: int) -> CalibrationLightReading:
        """Newest reading; raises ``calibration_light.silent`` if there is none for the driver's time-out."""

    def close(self) -> None:
        """Switch off, and disconnect."""


def checked_brightness(brightness: float) -> float:
    """The same.

    Raises
    ------
    DeviceFault
        ``calibration_light.command``: it is not above 0 and up to 1.
    """
    if not 0 < brightness <= 1:
        raise DeviceFault('calibration_light.command', f'brightness {brightness} is not above 0 and up to 1')
    return brightness
