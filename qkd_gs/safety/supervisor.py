"""Independent safety supervisor: permits for motion of the mount and for our beacon.

It shares no state with the tracker and uses only the readings of the devices.  It monitors that the control process
is alive, that readings are recent and plausible, that both axes can still brake before the ends of their travel (in
azimuth the cable wrap; the encoders are absolute over it), that the line of sight stays away from the Sun even if
the mount stalls, and the conditions for our beacon: interlock, elevation, aircraft, keep-out sectors, permitted times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite, pi, radians, remainder

from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.pointing.light_limits import LightLimit
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.safety.laser.laser_safety import BeamMotion, LaserSafety
from qkd_gs.safety.sun_guard import SunGuard, SunPlace
from qkd_gs.settings.station import AxisSettings, StationSettings

STUCK_ON = 'beacon.stuck_on'  # reason: it shines although it may not
REACTION_S = 0.05  # from the safety status to the brakes
AT_REST_RAD_S = radians(0.01)
ENCODER_SLACK_RAD = 1e-3
_DARK_NS = 3_000_000_000  # a beacon that may not shine any more is dark by then
_AHEAD_S = 0.1  # over which the motion of the beam is taken


@dataclass(frozen=True)
class SupervisorInputs:
    """Readings of the devices, and how long ago the control process has sent its last command."""

    mount: MountReading | None  # None: no reading
    beacon: BeaconReading | None
    command_age_ns: int | None  # by a clock that nobody can set; None: none yet
    surroundings: tuple[LightLimit, ...] = ()  # what weather and shutter forbid


@dataclass(frozen=True)
class SafetyStatus:
    """Permits that hold until the next step; without a fresh status the drivers stop by themselves."""

    motion_permitted: bool
    light_permitted: bool
    reasons: tuple[str, ...]  # stable codes of everything that forbids something, e.g. 'azimuth.limit'
    sun_margin_s: float  # until the Sun is too close to where the mount was seen last; inf: not within ten minutes
    light_limits: tuple[LightLimit, ...] = ()  # what protects people and forbids light, also in words


class Supervisor:
    """Gives a safety status in each step; a stop of the motion holds until the axes are at rest.

    Parameters
    ----------
    station : StationSettings
        Limits, watchdog, beacon, Sun.
    model : MountModel
        Best known mount model.
    sun : callable
        Apparent azimuth and elevation (rad) of the Sun at a time (ns).
    laser : LaserSafety
        Aircraft, sectors and times.
    pointing_uncertainty_rad : float
        Largest error of the model, e.g. of the zero points before a calibration.  Widens the zones around the Sun and
        around aircraft, and raises the lowest elevation of our beacon.
    """

    def __init__(
        self,
        station: StationSettings,
        model: MountModel,
        sun: Callable[[int], SunPlace],
        laser: LaserSafety,
        pointing_uncertainty_rad: float = 0.0,
    ):
        self._station, self._mount, self._laser, self._sun_at = station, station.mount, laser, sun
        self._watchdog_ns = round(station.mount.watchdog_s * 1e9)
        self._last: MountReading | None = None
        self._stopped = False
        self._permitted_ns: int | None = None  # when light was permitted last, or the first step
        self.use(model, pointing_uncertainty_rad)

    def use(self, model: MountModel, pointing_uncertainty_rad: float = 0.0) -> None:
        """Go on with another mount model and its largest error; a stop of the motion still holds."""
        station, uncertainty_rad = self._station, pointing_uncertainty_rad
        self._model, self._uncertainty_rad = model, uncertainty_rad
        self._light_el_rad = radians(station.beacon.on_above_el_deg) + uncertainty_rad
        self._sun = SunGuard(
            self._sun_at, radians(station.sun.exclusion_deg) + uncertainty_rad, station.sun.stall_margin_s
        )

    def step(self, now_ns: int, inputs: SupervisorInputs) -> SafetyStatus:
        """Safety status at `now_ns`; any input may be missing or invalid."""
        reading = inputs.mount
        broken = self._reading_faults(now_ns, reading)
        self._last = reading if not broken else self._last
        motion = list(broken)
        margin_s = inf if self._last is None else self._sun.margin_s(now_ns, *self._direction(self._last, 0.0))
        if reading is not None and not broken:
            motion += self._travel_faults(reading)
            motion += self._sun_faults(now_ns, reading)
        control = self._control_faults(inputs.command_age_ns)
        believed = reading if not broken else None
        limits = self._laser.step(now_ns, self._beam(believed) if believed else None, self._uncertainty_rad)
        limits += inputs.surroundings
        light = self._light_faults(now_ns, inputs.beacon, believed) + list(dict.fromkeys(one.code for one in limits))
        light_permitted = not broken and not control and not light
        if self._shines_on(now_ns, inputs.beacon, light_permitted):
            light.append(STUCK_ON)
        at_rest = not broken and reading is not None and _at_rest(reading)
        self._stopped = bool(motion) or (self._stopped and not at_rest)
        return SafetyStatus(
            motion_permitted=not self._stopped and not control,
            light_permitted=light_permitted,
            reasons=tuple(motion + control + light),
            sun_margin_s=margin_s,
            light_limits=tuple(limits),
        )

    # --- the readings themselves ---

    def _reading_faults(self, now_ns: int, reading: MountReading | None) -> list[str]:
        if reading is None:
            return ['mount.silent']
        if not all(isfinite(v) for v in (reading.az_rad, reading.el_rad, reading.az_rate_rad_s, reading.el_rate_rad_s)):
            return ['mount.not_a_number']
        if abs(now_ns - reading.stamp_ns) > self._watchdog_ns:
            return ['mount.stale']
        faults = ['mount.fault'] if reading.mode is MountMode.FAULT else []
        return faults + (['mount.encoder_jump'] if self._jumped(reading) else [])

    def _jumped(self, reading: MountReading) -> bool:
        """Whether an axis moved faster than possible since the last good reading."""
        last = self._last
        if last is None or not 0 < reading.stamp_ns - last.stamp_ns < 10 * self._watchdog_ns:
            return False
        span_s = (reading.stamp_ns - last.stamp_ns) * 1e-9
        for axis, before, after in (
            (self._mount.azimuth, last.az_rad, reading.az_rad),
            (self._mount.elevation, last.el_rad, reading.el_rad),
        ):
            if abs(after - before) > 1.2 * radians(axis.max_rate_deg_s) * span_s + ENCODER_SLACK_RAD:
                return True
        return False

    # --- motion ---

    def _travel_faults(self, reading: MountReading) -> list[str]:
        faults = []
        for name, axis, place, rate in (
            ('azimuth', self._mount.azimuth, reading.az_rad, reading.az_rate_rad_s),
            ('elevation', self._mount.elevation, reading.el_rad, reading.el_rate_rad_s),
        ):
            stop = place + braking_distance(rate, axis)
            outwards_low, outwards_high = rate < -AT_REST_RAD_S, rate > AT_REST_RAD_S
            too_low = stop < radians(axis.min_deg) and outwards_low
            too_high = stop > radians(axis.max_deg) and outwards_high
            if too_low or too_high:
                faults.append(f'{name}.limit')
            if abs(rate) > 1.1 * radians(axis.max_rate_deg_s):
                faults.append(f'{name}.rate')
        return faults

    def _sun_faults(self, now_ns: int, reading: MountReading) -> list[str]:
        """The braking path must avoid the Sun; a mount inside the zone may only leave it."""
        if _at_rest(reading):
            return []
        here = self._sun.distance_rad(now_ns, *self._direction(reading, 0.0))
        for part in (0.25, 0.5, 0.75, 1.0):
            place = self._direction(reading, part)
            if self._sun.margin_s(now_ns, *place) > self._sun.stall_margin_s:
                continue
            if self._sun.distance_rad(now_ns, *place) <= here:
                return ['sun.exclusion']
        return []

    def _direction(self, reading: MountReading, part: float) -> tuple[float, float]:
        """Apparent direction after a part of the braking path."""
        az = reading.az_rad + part * braking_distance(reading.az_rate_rad_s, self._mount.azimuth)
        el = reading.el_rad + part * braking_distance(reading.el_rate_rad_s, self._mount.elevation)
        return self._model.apparent(az, el)

    def _beam(self, reading: MountReading) -> BeamMotion:
        """Apparent direction of the beam, and its motion over the next tenth of a second."""
        az, el = self._direction(reading, 0.0)
        later = self._model.apparent(
            reading.az_rad + _AHEAD_S * reading.az_rate_rad_s, reading.el_rad + _AHEAD_S * reading.el_rate_rad_s
        )
        return BeamMotion(az, el, remainder(later[0] - az, 2 * pi) / _AHEAD_S, (later[1] - el) / _AHEAD_S)

    # --- control process and light ---

    def _control_faults(self, command_age_ns: int | None) -> list[str]:
        if command_age_ns is None or not 0 <= command_age_ns <= self._watchdog_ns:
            return ['control.silent']
        return []

    def _light_faults(self, now_ns: int, beacon: BeaconReading | None, reading: MountReading | None) -> list[str]:
        faults = []
        if beacon is None or abs(now_ns - beacon.stamp_ns) > 10 * self._watchdog_ns:
            faults.append('beacon.silent')
        elif not beacon.interlock_closed:
            faults.append('beacon.interlock')
        if reading is not None and self._direction(reading, 0.0)[1] < self._light_el_rad:
            faults.append('beacon.elevation')
        if reading is not None and reading.mode not in (MountMode.TRACK, MountMode.HOLD):
            faults.append('beacon.mount_not_held')
        return faults

    def _shines_on(self, now_ns: int, beacon: BeaconReading | None, permitted: bool) -> bool:
        """Whether the beacon shines long after that was forbidden; the orders to switch it off go on all the time."""
        if permitted or self._permitted_ns is None:
            self._permitted_ns = now_ns
        return beacon is not None and beacon.emitting and beacon.stamp_ns > self._permitted_ns + _DARK_NS


def braking_distance(rate_rad_s: float, axis: AxisSettings) -> float:
    """Signed braking distance from a rate, rad: reaction time, then full deceleration of the axis."""
    return rate_rad_s * REACTION_S + rate_rad_s * abs(rate_rad_s) / (2 * radians(axis.max_acc_deg_s2))


def _at_rest(reading: MountReading) -> bool:
    return max(abs(reading.az_rate_rad_s), abs(reading.el_rate_rad_s)) <= AT_REST_RAD_S
