"""Mounts that are told where to go a few times a second, without rate and time, as rotators and telescopes are."""

from __future__ import annotations

import time
from contextlib import suppress
from math import degrees, pi, radians, tau
from typing import Protocol

from pydantic import Field

from qkd_gs.devices.capability import MountCapability
from qkd_gs.devices.mount import MountCommand, MountMode, MountReading, check_set_point
from qkd_gs.devices.open_state import OpenState
from qkd_gs.drivers.steady import Forward
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.loader import Section
from qkd_gs.settings.station import AxisSettings, MountSettings

_REST_NS = 1_000_000_000  # the same position for so long: it stands
_APART_S = 0.25  # between the two positions of a rate
_TURN_RAD = radians(1.0)  # of a self-test that may move
_LOOK_S = 0.01


class SlewedOptions(Section):
    """Options of every such mount: what it can do."""

    command_rate_hz: float = Field(2.0, gt=0, le=50, description='set-points a second that the mount takes')
    latency_s: float = Field(0.2, ge=0, le=5, description='from a set-point to the motion')
    step_deg: float = Field(0.1, gt=0, le=10, description='accuracy of its positions, from its data sheet')


def capability_of(options: SlewedOptions) -> MountCapability:
    """Capability of such a mount."""
    return MountCapability(options.command_rate_hz, options.latency_s, radians(options.step_deg), timed=False)


class SlewLink(Protocol):
    """Connection to the mount.  Only `open` waits.

    Attributes
    ----------
    position_rad : tuple of float or None
        Azimuth and elevation as told last; None: not yet.
    asked_ns : int
        Station time of that position; 0: of before the station's time began.
    refused : str
        Reason why the mount did not take a set-point; empty: it did.
    """

    position_rad: tuple[float, float] | None
    asked_ns: int
    refused: str

    def open(self) -> None:
        """Connect, and wait for the position; nothing moves."""

    def close(self) -> None:
        """Disconnect; allowed in every state."""

    def enable(self) -> None:
        """Prepare for set-points; nothing moves."""

    def go(self, now_ns: int, az_rad: float, el_rad: float) -> None:
        """Go there; replaces an older set-point."""

    def stop(self) -> None:
        """Stop before everything else, at once."""

    def step(self, now_ns: int) -> object:
        """Take what has arrived, and send what is due; raises ``mount.silent``."""

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""


class SlewedMount:
    """Implements `Mount`.  Brakes and power are the mount's own: `OFF` is a state of this driver alone."""

    def __init__(self, link: SlewLink, options: SlewedOptions, settings: MountSettings) -> None:
        self._link, self._options, self._settings = link, options, settings
        self._state = OpenState('mount')
        self._watchdog_ns = round(settings.watchdog_s * 1e9)
        self._mode = MountMode.OFF

    def open(self) -> None:
        """Connect and wait for the position; nothing moves."""
        self._link.open()
        self._forward = Forward('mount')
        self._mode = MountMode.OFF
        self._commanded_ns, self._sent_ns = 0, 0
        self._last: tuple[int, float, float] | None = None
        self._rates = 0.0, 0.0
        self._moved_ns = 0
        self._state.is_open = True

    def close(self) -> None:
        """Stop and disconnect."""
        if self._state.is_open:
            with suppress(DeviceFault):  # the connection may be broken
                self._link.stop()
                self._link.step(max(self._commanded_ns, self._moved_ns))
        self._state.is_open = False
        self._link.close()

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return self._link.health()

    def enable(self, now_ns: int) -> None:
        """Accept set-points from now on."""
        self._state.require()
        self._link.refused = ''
        self._link.enable()
        self._mode = MountMode.HOLD

    def command(self, now_ns: int, command: MountCommand) -> None:
        """Follow a set-point; of those that come faster than the mount takes them, the newest is sent."""
        self._state.require()
        if self._mode in (MountMode.OFF, MountMode.FAULT):
            raise DeviceFault('mount.off', 'the mount is not enabled')
        check_set_point(self._settings, command)
        self._mode, self._commanded_ns = MountMode.TRACK, now_ns
        if now_ns - self._sent_ns >= 1e9 / self._options.command_rate_hz:
            self._sent_ns = now_ns
            ahead_s = (now_ns - command.at_ns) * 1e-9 + self._options.latency_s
            self._link.go(
                now_ns,
                inside(self._settings.azimuth, command.az_rad + ahead_s * command.az_rate_rad_s),
                inside(self._settings.elevation, command.el_rad + ahead_s * command.el_rate_rad_s),
            )

    def read(self, now_ns: int) -> MountReading:
        """Position as told last, and rates from the positions before; stops a mount without set-points."""
        self._state.require()
        self._forward.check(now_ns)
        self._link.step(now_ns)
        if self._mode is MountMode.TRACK and now_ns - self._commanded_ns > self._watchdog_ns:
            self.stop(now_ns)
        if self._link.refused and self._mode in (MountMode.TRACK, MountMode.STOPPING):
            self._link.stop()
            self._mode = MountMode.FAULT
        if self._link.position_rad is None:
            raise DeviceFault('mount.silent', 'the mount does not tell its position any more')
        az, el = self._link.position_rad
        self._follow(now_ns, az, el)
        fault = 'mount.refused' if self._mode is MountMode.FAULT else ''
        return MountReading(self._link.asked_ns or now_ns, az, el, *self._rates, self._mode, fault)

    def _follow(self, now_ns: int, az: float, el: float) -> None:
        """Rates from positions that are a quarter of a second apart; at rest after a second without motion."""
        if self._last is None:
            self._last = now_ns, az, el
        since_s = (now_ns - self._last[0]) * 1e-9
        if since_s >= _APART_S:
            self._rates = (az - self._last[1]) / since_s, (el - self._last[2]) / since_s
            if max(map(abs, self._rates)) > radians(self._options.step_deg) / 2:
                self._moved_ns = now_ns
            self._last = now_ns, az, el
        if self._mode is MountMode.STOPPING and now_ns - self._moved_ns > _REST_NS:
            self._mode = MountMode.HOLD

    def stop(self, now_ns: int) -> None:
        """Stop; allowed in every state, any number of times."""
        if self._state.is_open:
            self._link.stop()
            if self._mode is MountMode.TRACK:
                self._mode, self._moved_ns = MountMode.STOPPING, now_ns

    def self_test(self, move: bool = False) -> str:
        """Position; with `move`, turn the elevation by a degree, and stop."""
        start = self.read(time.time_ns())
        said = f'at {degrees(start.az_rad):.3f}, {degrees(start.el_rad):.3f} deg'
        if not move:
            return said
        elevation = self._settings.elevation
        turn_rad = _TURN_RAD if degrees(start.el_rad) < (elevation.min_deg + elevation.max_deg) / 2 else -_TURN_RAD
        self.enable(time.time_ns())
        end_s = time.monotonic() + 5.0
        moved_rad = 0.0
        while time.monotonic() < end_s and abs(moved_rad - turn_rad) > radians(self._options.step_deg):
            self.command(now_ns := time.time_ns(), MountCommand(now_ns, start.az_rad, start.el_rad + turn_rad))
            moved_rad = self.read(time.time_ns()).el_rad - start.el_rad
            time.sleep(_LOOK_S)
        self.stop(time.time_ns())
        self.read(time.time_ns())
        if abs(moved_rad - turn_rad) > radians(self._options.step_deg):
            raise DeviceFault('mount.test', f'{said}; moved by {degrees(moved_rad):.3f} deg')
        return f'{said}; moved by {degrees(moved_rad):.3f} deg and stopped'


def inside(axis: AxisSettings, angle_rad: float) -> float:
    """An angle, at most at the end of the travel."""
    return min(max(angle_rad, radians(axis.min_deg)), radians(axis.max_deg))


class Winding:
    """Azimuth beyond one turn for a mount that tells it within one.

    It is the angle of the travel that is nearest to the newest set-point, or, before any, to azimuth 0.  How the cables
    of the mount are wound is known to the mount alone.
    """

    def __init__(self, axis: AxisSettings) -> None:
        self._low, self._high = radians(axis.min_deg), radians(axis.max_deg)
        self.near_rad = 0.0

    def of(self, az_rad: float) -> float:
        """An azimuth as an angle of the axis."""
        angle = self.near_rad + (az_rad - self.near_rad + pi) % tau - pi
        if angle > self._high:
            return angle - tau
        return angle + tau if angle < self._low else angle
