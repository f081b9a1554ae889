"""Mount behind Hamlib's rotctld: positions alone, a few set-points a second; for coarse work."""

from __future__ import annotations

import time
from contextlib import suppress
from math import degrees, radians

from pydantic import Field, field_validator

from qkd_gs.devices.capability import MountCapability
from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.devices.mount import Mount, MountCommand, MountMode, MountReading, check_set_point
from qkd_gs.devices.open_state import OpenState
from qkd_gs.drivers.connection import checked_host
from qkd_gs.drivers.rotctl.link import RotctlLink
from qkd_gs.drivers.steady import Forward
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.loader import Section
from qkd_gs.settings.station import MountSettings

_REST_NS = 1_000_000_000  # the same position for so long: it stands
_WAIT_S = 0.005


class RotctlOptions(Section):
    """Options of the driver ``mount.rotctl``."""

    host: str = Field('127.0.0.1', description='IP address of rotctld')
    port: int = Field(4533, ge=1, le=65535, description='its TCP port')
    timeout_s: float = Field(1.0, gt=0, le=10, description='longest time without an answer (mount.silent)')
    command_rate_hz: float = Field(2.0, gt=0, le=50, description='set-points a second that the rotator takes')
    latency_s: float = Field(0.2, ge=0, le=5, description='from a set-point to the motion')
    step_deg: float = Field(0.1, gt=0, le=10, description='step of its positions, from its data sheet')

    @field_validator('host')
    @classmethod
    def _host(cls, value: str) -> str:
        return checked_host(value)


def capability_of(options: RotctlOptions) -> MountCapability:
    """What the rotator can do."""
    return MountCapability(options.command_rate_hz, options.latency_s, radians(options.step_deg), timed=False)


class RotctlMount:
    """Implements `Mount`.  Brakes and power are the rotator's own: `OFF` is a state of this driver alone."""

    def __init__(self, options: RotctlOptions, settings: MountSettings) -> None:
        self._options, self._settings = options, settings
        self._state = OpenState('mount')
        self._link = RotctlLink(options.host, options.port, options.timeout_s)
        self._watchdog_ns = round(settings.watchdog_s * 1e9)
        self._mode = MountMode.OFF

    def open(self) -> None:
        """Connect and wait for the position; nothing moves."""
        self._link.open()
        try:
            while self._link.position_deg is None:
                self._link.step(time.time_ns())
                time.sleep(_WAIT_S)
        except DeviceFault:
            self._link.close()
            raise
        self._link.restart_clock()
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

    def enable(self, now_ns: int) -> None:
        """Accept set-points from now on."""
        self._state.require()
        self._link.refused = 0
        self._mode = MountMode.HOLD

    def command(self, now_ns: int, command: MountCommand) -> None:
        """Follow a set-point; of those that come faster than the rotator takes them, the newest is sent."""
        self._state.require()
        if self._mode in (MountMode.OFF, MountMode.FAULT):
            raise DeviceFault('mount.off', 'the mount is not enabled')
        check_set_point(self._settings, command)
        self._mode, self._commanded_ns = MountMode.TRACK, now_ns
        if now_ns - self._sent_ns >= 1e9 / self._options.command_rate_hz:
            self._sent_ns = now_ns
            ahead_s = (now_ns - command.at_ns) * 1e-9 + self._options.latency_s
            self._link.go(
                degrees(command.az_rad + ahead_s * command.az_rate_rad_s),
                degrees(command.el_rad + ahead_s * command.el_rate_rad_s),
            )

    def read(self, now_ns: int) -> MountReading:
        """Position as told last, and rates from the positions before; stops a mount without set-points."""
        self._state.require()
        self._forward.check(now_ns)
        self._link.step(now_ns)
        if self._mode is MountMode.TRACK and now_ns - self._commanded_ns > self._watchdog_ns:
            self.stop(now_ns)
        if self._link.refused and self._mode in (MountMode.TRACK, MountMode.STOPPING):
            self._mode = MountMode.FAULT
        assert self._link.position_deg is not None
        az, el = map(radians, self._link.position_deg)
        self._follow(now_ns, az, el)
        fault = 'mount.refused' if self._mode is MountMode.FAULT else ''
        return MountReading(self._link.asked_ns or now_ns, az, el, *self._rates, self._mode, fault)

    def _follow(self, now_ns: int, az: float, el: float) -> None:
        """Rates from positions that are a quarter of a second apart; at rest after a second without motion."""
        if self._last is None:
            self._last = now_ns, az, el
        since_s = (now_ns - self._last[0]) * 1e-9
        if since_s >= 0.25:
            self._rates = (az - self._last[1]) / since_s, (el - self._last[2]) / since_s
            if any(self._rates):
                self._moved_ns = now_ns
            self._last = now_ns, az, el
        if self._mode is MountMode.STOPPING and not any(self._rates) and now_ns - self._moved_ns > _REST_NS:
            self._mode = MountMode.HOLD

    def stop(self, now_ns: int) -> None:
        """Stop; allowed in every state, any number of times."""
        if self._state.is_open:
            self._link.stop()
            if self._mode is MountMode.TRACK:
                self._mode, self._moved_ns = MountMode.STOPPING, now_ns


@driver(RotctlOptions, capability=capability_of)
def rotctl(context: DriverContext[RotctlOptions]) -> Mount:
    """Driver ``mount.rotctl``."""
    return RotctlMount(context.options, context.station.mount)
