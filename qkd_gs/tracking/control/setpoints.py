"""Timed set-points of the two axes from the direction to aim at."""

from __future__ import annotations

from math import cos, hypot, inf, radians

from qkd_gs.devices.mount import MountCommand, MountReading
from qkd_gs.pointing.mount_model import AxisMotion
from qkd_gs.settings.station import MountSettings
from qkd_gs.tracking.control.axis_profile import AxisFollower, AxisPoint
from qkd_gs.tracking.control.tuning import Tuning

STALE_NS = 100_000_000  # no command for so long: restart from the measured axis angles
ASTRAY_RAD = radians(2.0)  # axes so far from the set-points: restart as well


class Controller:
    """Set-points that reach a moving aim within the axes' limits and follow it with rate and acceleration.

    Parameters
    ----------
    mount : MountSettings
        Travel and limits of the axes.
    tuning : Tuning
        Lead of the commands, share of the limits used.
    """

    def __init__(self, mount: MountSettings, tuning: Tuning):
        self._lead_ns = round(tuning.lead_s * 1e9)
        self._azimuth = AxisFollower(mount.azimuth, tuning.share_of_limits, tuning.settle_rate_s)
        self._elevation = AxisFollower(mount.elevation, tuning.share_of_limits, tuning.settle_rate_s)
        self._at_ns: int | None = None
        self._aim: AxisMotion[float] | None = None

    def time_of(self, now_ns: int) -> int:
        """Time for which the command of this step holds."""
        return now_ns + self._lead_ns

    def distance_rad(self, reading: MountReading) -> float:
        """Angle on the sky between the axes and the last aim; inf before the first."""
        if self._aim is None:
            return inf
        turn = reading.az_rad - self._aim.az_rad
        return hypot(turn * cos(reading.el_rad), reading.el_rad - self._aim.el_rad)

    def release(self) -> None:
        """The axes are no longer commanded; the next step starts from the measured angles."""
        self._at_ns = None

    def step(self, reading: MountReading, aim: AxisMotion[float]) -> MountCommand:
        """Set-point for `aim.at_ns`, given the newest accepted reading."""
        at_ns = int(aim.at_ns)
        self._restart_if_astray(reading, at_ns)
        dt_s = (at_ns - self._at_ns) * 1e-9 if self._at_ns is not None else 0.0
        if dt_s > 0:
            self._azimuth.step(AxisPoint(aim.az_rad, aim.az_rate_rad_s, aim.az_acc_rad_s2), dt_s)
            self._elevation.step(AxisPoint(aim.el_rad, aim.el_rate_rad_s, aim.el_acc_rad_s2), dt_s)
        self._at_ns, self._aim = at_ns, aim
        az, el = self._azimuth.point, self._elevation.point
        return MountCommand(at_ns, az.position, el.position, az.rate, el.rate, az.acceleration, el.acceleration)

    def _restart_if_astray(self, reading: MountReading, at_ns: int) -> None:
        ahead_s = (at_ns - reading.stamp_ns) * 1e-9
        az = reading.az_rad + reading.az_rate_rad_s * ahead_s
        el = reading.el_rad + reading.el_rate_rad_s * ahead_s
        if self._at_ns is not None and at_ns - self._at_ns <= STALE_NS:
            astray = max(abs(az - self._azimuth.point.position), abs(el - self._elevation.point.position))
            if astray <= ASTRAY_RAD:
                return
        self._azimuth.restart(az, reading.az_rate_rad_s)
        self._elevation.restart(el, reading.el_rate_rad_s)
        self._at_ns = at_ns
