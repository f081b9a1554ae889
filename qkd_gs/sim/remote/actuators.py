"""Drivers of the simulated mount, beacon and half-wave plate for processes of their own.

The devices themselves (drives with servo and watchdog, laser, rotator) belong to the world process, as real ones to
their bus: a driver that dies moves no axis and loses no orientation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from math import isfinite, nan
from typing import Any, Protocol, TypeVar

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.devices.focuser import FocuserReading
from qkd_gs.devices.hwp import HwpReading
from qkd_gs.devices.mount import MountCommand, MountMode, MountReading, check_set_point
from qkd_gs.devices.open_state import OpenState
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.station import MountSettings

T = TypeVar('T')
_SILENT_NS = 2_000_000_000  # the drives' own watchdog and the supervisor act long before
HALT = -1  # in the place of a position
SAMPLE_NS = 1_000_000  # of the world's true state


class Link(Protocol):
    """Link of a simulated device to the world: named channels of plain values."""

    def send(self, channel: str, value: Any, now_ns: int = 0) -> None:
        """Send a value on a channel, at station time `now_ns`."""

    def listen(self, channel: str, kind: type[T], take: Callable[[T], None]) -> None:
        """Call `take` in `poll` with every value from now on."""

    def poll(self) -> None:
        """Deliver the values since the last call."""


class Drive(IntEnum):
    """Orders to a drive besides set-points."""

    OFF = 0
    ENABLE = 1
    STOP = 2


@dataclass(frozen=True)
class TruthBlock:
    """True state over an interval, one sample per millisecond.

    Attributes
    ----------
    end_ns : int
        UTC of the last sample.
    rows : (15, n) array
        `Column` (11 rows), then `Received` (4 rows).
    """

    end_ns: int
    rows: FloatArray

    def times(self) -> IntArray:
        """UTC of the samples, (n,)."""
        count = self.rows.shape[1]
        return self.end_ns + np.arange(1 - count, 1, dtype=np.int64) * SAMPLE_NS


@dataclass(frozen=True)
class TiltResidual:
    """Turbulence tilt averaged over one exposure of the tracking camera: what an ideal mount would show."""

    stamp_ns: int
    x_rad: float
    y_rad: float


@dataclass(frozen=True)
class FocuserState:
    """Focuser of the world, with the highest position of its travel, which begins at 0."""

    reading: FocuserReading
    max_step: int


def require_fresh(kind: str, what: str, stamp_ns: int, now_ns: int) -> None:
    """Raise ``KIND.silent`` where the newest reading of a device of the world is more than two seconds old."""
    if now_ns - stamp_ns > _SILENT_NS:
        raise DeviceFault(f'{kind}.silent', f'no reading of the {what} for {(now_ns - stamp_ns) * 1e-9:.1f} s')


class RemoteMount:
    """Mount driver; the drives are part of the world."""

    def __init__(self, settings: MountSettings, link: Link) -> None:
        self._state = OpenState('mount')
        self._settings, self._link = settings, link
        self._last: MountReading | None = None

    def open(self) -> None:
        """Subscribe to the drives."""
        self._state.is_open = True
        self._link.listen('mount/state', MountReading, self._take)

    def _take(self, reading: MountReading) -> None:
        self._last = reading

    def enable(self, now_ns: int) -> None:
        """Release the brakes and hold."""
        self._state.require()
        self._link.send('mount/drive', Drive.ENABLE, now_ns)

    def command(self, now_ns: int, command: MountCommand) -> None:
        """Follow a set-point; see the Protocol."""
        self._state.require()
        self._link.poll()
        if self._last is not None and self._last.mode in (MountMode.OFF, MountMode.FAULT):
            raise DeviceFault('mount.off', f'set-point in mode {self._last.mode.name}; enable first')
        check_set_point(self._settings, command)
        self._link.send('mount/command', command, now_ns)

    def read(self, now_ns: int) -> MountReading:
        """Newest reading; OFF and not a number before the first.

        Raises
        ------
        DeviceFault
            ``mount.silent``: none for two seconds.
        """
        self._state.require()
        self._link.poll()
        last = self._last
        if last is None:
            return MountReading(now_ns, nan, nan, nan, nan, MountMode.OFF)
        require_fresh('mount', 'drives', last.stamp_ns, now_ns)
        return last

    def stop(self, now_ns: int) -> None:
        """Brake to a stop."""
        if self._state.is_open:
            self._link.send('mount/drive', Drive.STOP, now_ns)

    def close(self) -> None:
        """Engage the brakes."""
        if self._state.is_open:
            self._link.send('mount/drive', Drive.OFF)
        self._state.is_open = False


class RemoteBeacon:
    """Beacon driver; the laser is part of the world."""

    def __init__(self, link: Link) -> None:
        self._state = OpenState('beacon')
        self._link = link
        self._last: BeaconReading | None = None

    def open(self) -> None:
        """Subscribe to the laser."""
        self._state.is_open = True
        self._link.listen('beacon/state', BeaconReading, self._take)

    def _take(self, reading: BeaconReading) -> None:
        self._last = reading

    def on(self, now_ns: int) -> None:
        """Emit; see the Protocol."""
        self._state.require()
        self._link.poll()
        if self._last is not None and not self._last.interlock_closed:
            raise DeviceFault('beacon.interlock', 'the interlock chain is open')
        self._link.send('beacon/on', True, now_ns)

    def off(self, now_ns: int) -> None:
        """Switch the laser off at once."""
        if self._state.is_open:
            self._link.send('beacon/on', False, now_ns)

    def read(self, now_ns: int) -> BeaconReading:
        """Newest reading; off with an open interlock before the first.

        Raises
        ------
        DeviceFault
            ``beacon.silent``: none for two seconds.
        """
        self._state.require()
        self._link.poll()
        last = self._last
        if last is None:
            return BeaconReading(now_ns, False, nan, False)
        require_fresh('beacon', 'laser', last.stamp_ns, now_ns)
        return last

    def close(self) -> None:
        """Switch the laser off."""
        if self._state.is_open:
            self._link.send('beacon/on', False)
        self._state.is_open = False


class RemoteHwp:
    """Half-wave-plate driver; the rotator is part of the world."""

    def __init__(self, link: Link) -> None:
        self._state = OpenState('hwp')
        self._link = link
        self._last: HwpReading | None = None

    def open(self) -> None:
        """Subscribe to the rotator."""
        self._state.is_open = True
        self._link.listen('hwp/state', HwpReading, self._take)

    def _take(self, reading: HwpReading) -> None:
        self._last = reading

    def move(self, now_ns: int, angle_rad: float) -> None:
        """Go to an angle by the shorter way modulo pi."""
        self._state.require()
        if not isfinite(angle_rad):
            raise DeviceFault('hwp.command', f'angle {angle_rad} is not a number')
        self._link.send('hwp/move', angle_rad, now_ns)

    def read(self, now_ns: int) -> HwpReading:
        """Newest reading; not a number before the first.

        Raises
        ------
        DeviceFault
            ``hwp.silent``: none for two seconds.
        """
        self._state.require()
        self._link.poll()
        last = self._last
        if last is None:
            return HwpReading(now_ns, nan, False)
        require_fresh('hwp', 'rotator', last.stamp_ns, now_ns)
        return last

    def stop(self, now_ns: int) -> None:
        """Stop at once."""
        if self._state.is_open:
            self._link.send('hwp/move', nan, now_ns)

    def close(self) -> None:
        """Stop."""
        if self._state.is_open:
            self._link.send('hwp/move', nan)
        self._state.is_open = False


class RemoteFocuser:
    """Focuser driver; the motor is part of the world."""

    def __init__(self, link: Link) -> None:
        self._state = OpenState('focuser')
        self._link = link
        self._last: FocuserState | None = None

    def open(self) -> None:
        """Subscribe to the motor."""
        self._state.is_open = True
        self._link.listen('focuser/state', FocuserState, self._take)

    def _take(self, state: FocuserState) -> None:
        self._last = state

    def travel(self) -> tuple[int, int]:
        """Lowest and highest position.

        Raises
        ------
        DeviceFault
            ``focuser.silent``: the motor has not been heard yet.
        """
        self._state.require()
        self._link.poll()
        if self._last is None:
            raise DeviceFault('focuser.silent', 'the travel is not known yet')
        return 0, self._last.max_step

    def move(self, now_ns: int, position: int) -> None:
        """Begin to move; see the Protocol."""
        low, high = self.travel()
        if not low <= position <= high:
            raise DeviceFault('focuser.command', f'position {position} is not within {low} to {high}')
        self._link.send('focuser/move', position, now_ns)

    def read(self, now_ns: int) -> FocuserReading:
        """Newest reading; without a stamp before the first.

        Raises
        ------
        DeviceFault
            ``focuser.silent``: none for two seconds.
        """
        self._state.require()
        self._link.poll()
        if self._last is None:
            return FocuserReading(0, 0, False)
        last = self._last.reading
        require_fresh('focuser', 'motor', last.stamp_ns, now_ns)
        return last

    def halt(self, now_ns: int) -> None:
        """Stop at the next full step."""
        if self._state.is_open:
            self._link.send('focuser/move', HALT, now_ns)

    def close(self) -> None:
        """Halt."""
        self.halt(0)
        self._state.is_open = False
