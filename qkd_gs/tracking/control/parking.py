"""Way to the park position: set-points within the limits of the axes, and an end if the mount does not follow."""

from __future__ import annotations

from enum import Enum
from math import degrees, hypot, inf, radians

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.devices.mount import MountCommand, MountMode, MountReading
from qkd_gs.orbit.sky import sun_azel
from qkd_gs.pointing.mount_model import AxisMotion, MountModel
from qkd_gs.pointing.slew import slew
from qkd_gs.pointing.sun_path import nearest_sun_of_slew
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import MountSettings, StationSettings
from qkd_gs.tracking.control.setpoints import Controller
from qkd_gs.tracking.control.tuning import Tuning

AT_REST_RAD = radians(0.01)  # and rad/s
_NEAR_RAD = radians(1.0)
_NEARER_RAD = radians(0.1)
_STUCK_NS = 10 * 10**9
_SILENT_NS = 10**9


def parked_aim(mount: MountSettings, at_ns: int) -> AxisMotion[float]:
    """The park position as a set-point."""
    return AxisMotion(at_ns, radians(mount.park_az_deg), radians(mount.park_el_deg), 0.0, 0.0, 0.0, 0.0)


def away_rad(mount: MountSettings, reading: MountReading) -> float:
    """Way of both axes to the park position, rad of encoder angles."""
    return hypot(reading.az_rad - radians(mount.park_az_deg), reading.el_rad - radians(mount.park_el_deg))


def is_parked(mount: MountSettings, reading: MountReading) -> bool:
    """Whether the mount rests at the park position."""
    return away_rad(mount, reading) < AT_REST_RAD and axis_rate(reading) < AT_REST_RAD


def rests_near_park(mount: MountSettings, reading: MountReading) -> bool:
    """Whether the mount rests within a degree of its park position: the brakes may give by a little."""
    return away_rad(mount, reading) < _NEAR_RAD and axis_rate(reading) < AT_REST_RAD


def axis_rate(reading: MountReading) -> float:
    """Rate of both axes together, rad/s."""
    return hypot(reading.az_rate_rad_s, reading.el_rate_rad_s)


def require_no_sun(station: StationSettings, site: Site, model: MountModel, reading: MountReading, now_ns: int) -> None:
    """Refuse a slew to the park position that comes too close to the Sun.

    Raises
    ------
    StationError
        It does.
    """

    def sun(t_ns: IntArray) -> tuple[FloatArray, FloatArray]:
        return sun_azel(site, t_ns, refracted=True)

    parked = parked_aim(station.mount, now_ns)
    path = slew((reading.az_rad, reading.el_rad), (parked.az_rad, parked.el_rad), station.mount)
    exclusion_rad = radians(station.sun.exclusion_deg)
    nearest_sun_of_slew(path, now_ns, model, sun, exclusion_rad, 'the slew to the park position')


class ParkState(Enum):
    """States of a park."""

    MOVING = 'moving'
    PARKED = 'parked'
    ABORTED = 'aborted'
    STUCK = 'stuck'


class Parking:
    """Moves the mount to its park position; `step` until `state` is no longer MOVING.

    Parameters
    ----------
    mount : MountSettings
        Limits, park position.
    now_ns : int
        UTC, of the beginning.
    """

    def __init__(self, mount: MountSettings, now_ns: int) -> None:
        self._mount = mount
        self._controller = Controller(mount, Tuning())
        self._nearest_rad, self._nearer_ns, self._stepped_ns = inf, now_ns, now_ns
        self.state = ParkState.MOVING
        self.message = 'moving to the park position'

    def abort(self) -> None:
        """Give no more set-points: the mount brakes and stands where it is."""
        if self.state is ParkState.MOVING:
            self.state, self.message = ParkState.ABORTED, 'aborted by the operator'

    def step(self, now_ns: int, reading: MountReading) -> MountCommand | None:
        """Set-point for a little after `now_ns`; None: none is given, so that the mount stands.

        A mount that is no nearer after ten seconds ends the park. The time in which its readings are missing, or
        nobody calls this, does not count.
        """
        if self.state is not ParkState.MOVING:
            return None
        held_up = now_ns - self._stepped_ns > _SILENT_NS or now_ns - reading.stamp_ns > _SILENT_NS
        self._stepped_ns = now_ns
        away = away_rad(self._mount, reading)
        if held_up or away < self._nearest_rad - _NEARER_RAD:
            self._nearest_rad, self._nearer_ns = min(away, self._nearest_rad), now_ns
        if held_up:
            self._controller.release()
            return None
        if is_parked(self._mount, reading):
            self.state, self.message = ParkState.PARKED, 'parked'
            return None
        if now_ns - self._nearer_ns > _STUCK_NS:
            self.state = ParkState.STUCK
            self.message = f'the mount stands {degrees(away):.1f} deg from its park position and comes no nearer'
            return None
        if reading.mode not in (MountMode.HOLD, MountMode.TRACK):
            self._controller.release()
            return None
        return self._controller.step(reading, parked_aim(self._mount, self._controller.time_of(now_ns)))
