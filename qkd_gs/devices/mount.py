"""Protocol of the two-axis mount, real or simulated.  All angles are encoder angles of the axes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import degrees, isfinite, radians
from typing import Protocol, runtime_checkable

from qkd_gs.errors import DeviceFault
from qkd_gs.settings.station import MountSettings

_ABSURD = 10.0  # times the limit of an axis


class MountMode(IntEnum):
    """State of the drives."""

    OFF = 0  # no torque, brakes on
    HOLD = 1  # holding position
    TRACK = 2  # following timed commands
    STOPPING = 3  # braking after stop(), a limit, or silence of the control process
    FAULT = 4  # see MountReading.fault


@dataclass(frozen=True)
class MountCommand:
    """A timed set-point: the axis passes `az_rad` at `at_ns` with this rate and acceleration.

    Between two commands the servo extrapolates by rate and acceleration, so a late command costs
    acceleration error only (15 mrad/s times 1 ms would be 15 urad).
    """

    at_ns: int
    az_rad: float
    el_rad: float
    az_rate_rad_s: float = 0.0
    el_rate_rad_s: float = 0.0
    az_acc_rad_s2: float = 0.0
    el_acc_rad_s2: float = 0.0


@dataclass(frozen=True)
class MountReading:
    """One reading of both encoders, latched at `stamp_ns`."""

    stamp_ns: int
    az_rad: float
    el_rad: float
    az_rate_rad_s: float
    el_rate_rad_s: float
    mode: MountMode
    fault: str = ''  # stable code, '' if none


@runtime_checkable
class Mount(Protocol):
    """Open, command, read, stop.  Every call returns within the driver's time-out or raises DeviceFault."""

    def open(self) -> None: ...

    def enable(self, now_ns: int) -> None:
        """Release the brakes and hold where the axes are."""

    def command(self, now_ns: int, command: MountCommand) -> None:
        """Follow a set-point.

        The driver shapes a far one by the axes' limits of rate and acceleration, refuses one beyond the axis
        limits (DeviceFault ``mount.limit``), and brakes to a stop when the next one does not come within its
        watchdog time.
        """

    def read(self, now_ns: int) -> MountReading: ...

    def stop(self, now_ns: int) -> None:
        """Brake both axes to a stop; allowed in every state, any number of times."""

    def close(self) -> None: ...


def enable_if_off(mount: Mount, now_ns: int) -> None:
    """Switch the drives on if they are off."""
    if mount.read(now_ns).mode is MountMode.OFF:
        mount.enable(now_ns)


def check_set_point(settings: MountSettings, command: MountCommand) -> None:
    """Refuse a set-point that no driver may pass on to its drives.

    A rate and an acceleration may exceed the axis' limits, by which the driver shapes the motion, but not by orders of
    magnitude.

    Raises
    ------
    DeviceFault
        ``mount.command`` not a number or absurdly fast, ``mount.limit`` beyond the end of travel.
    """
    azimuth = command.az_rad, command.az_rate_rad_s, command.az_acc_rad_s2
    elevation = command.el_rad, command.el_rate_rad_s, command.el_acc_rad_s2
    if not all(map(isfinite, azimuth + elevation)):
        raise DeviceFault('mount.command', f'set-point is not a number: {command}')
    for name, axis, (angle_rad, rate, acc) in (
        ('azimuth', settings.azimuth, azimuth),
        ('elevation', settings.elevation, elevation),
    ):
        if max(abs(rate) / radians(axis.max_rate_deg_s), abs(acc) / radians(axis.max_acc_deg_s2)) > _ABSURD:
            raise DeviceFault('mount.command', f'{name} with {degrees(rate):.3g} deg/s and {degrees(acc):.3g} deg/s^2')
        if not radians(axis.min_deg) <= angle_rad <= radians(axis.max_deg):
            raise DeviceFault(
                'mount.limit',
                f'{name} {degrees(angle_rad):.3f} deg is beyond {axis.min_deg:g} to {axis.max_deg:g} deg',
            )
