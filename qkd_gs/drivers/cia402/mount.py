"""The mount: both axes on one bus, with one SYNC for both."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import degrees, radians
from typing import Any

from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.devices.mount import Mount, MountCommand, MountMode, MountReading, check_set_point
from qkd_gs.devices.open_state import OpenState
from qkd_gs.drivers.cia402.axis import Axis
from qkd_gs.drivers.cia402.bus import CanBus
from qkd_gs.drivers.cia402.objects import (
    HEARTBEAT,
    NMT,
    NMT_PRE_OPERATIONAL,
    NMT_START,
    OPERATIONAL,
    SYNC,
    State,
)
from qkd_gs.drivers.cia402.options import Cia402Options
from qkd_gs.drivers.cia402.probe import probe
from qkd_gs.drivers.extras import need
from qkd_gs.drivers.station_time import StationTime
from qkd_gs.drivers.steady import Forward
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.station import AxisSettings, MountSettings

_MOST_EXTRAPOLATED_NS = 500_000_000
_AT_ONCE = 0.5  # of the window of the following error: what the reference may move by after a cycle that was late
_LONGEST_SEND_NS = 5_000_000
_HELD_UP_NS, _TRIES = 1_000_000, 3  # set-points whose sending took so much longer than usual are made again
_LATE = 0.7  # of the guarding time, since the last heartbeat: the drives may have taken the driver for dead


class Cia402Mount:
    """Implements `Mount`.

    Every call that is made in the loop sends, once a cycle: the heartbeat of the driver, the set-points, and a SYNC, at
    which the drives take them and latch their encoders.  So a process that hangs or is killed sends no heartbeat, and
    the drives quick-stop by themselves.
    """

    def __init__(
        self,
        options: Cia402Options,
        settings: MountSettings,
        open_bus: Callable[[], Any],
        steady: Callable[[], int] = time.monotonic_ns,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._options, self._settings = options, settings
        self._state = OpenState('mount')
        self._steady = steady  # clock by which the time within a call is known: what is sent leaves later than it began
        self._bus = CanBus(open_bus, f'{options.interface} {options.channel}', steady, wall)
        self._make_axes()

    def _make_axes(self) -> None:
        options, settings = self._options, self._settings
        self._axes = (
            Axis('azimuth', options, options.azimuth, settings.azimuth),
            Axis('elevation', options, options.elevation, settings.elevation),
        )
        self._lost: DeviceFault | None = None
        self._enabling = self._tracking = self._stopping = self._resetting = False
        self._set_point: MountCommand | None = None
        self._commanded_ns = self._cycle_ns = self._aimed_ns = 0
        self._begun_ns = self._sending_ns = 0  # when the last cycle began; how long one needs until its SYNC leaves
        self._is_echoed, self._station = False, StationTime()
        self._opened_ns: int | None = None
        self._time = Forward('mount')

    # --- Protocol ---

    def open(self) -> None:
        """Open the bus, configure both drives and start them; they get no torque.

        Raises
        ------
        DeviceFault
            ``mount.silent``: no bus, or a drive does not answer; ``mount.other``, ``mount.refused``,
            ``mount.position``: see `Axis.configure`.
        """
        self.close()
        self._make_axes()
        self._bus.open()
        try:
            self._bus.send(NMT, bytes((NMT_PRE_OPERATIONAL, 0)))
            for axis in self._axes:
                axis.configure(self._bus)
            self._bus.send(NMT, bytes((NMT_START, 0)))
        except DeviceFault:
            self._bus.close()
            raise
        self._state.is_open = True

    def enable(self, now_ns: int) -> None:
        """Reset faults, release the brakes and hold where the axes are; takes some cycles."""
        self._check(now_ns)
        self._set_point, self._tracking, self._stopping = None, False, False
        self._enabling = self._resetting = True
        self._work(now_ns)

    def command(self, now_ns: int, command: MountCommand) -> None:
        """Follow a set-point; see the Protocol.

        Raises
        ------
        DeviceFault
            ``mount.off``: the drives have no torque, or a fault; ``mount.limit``, ``mount.command``.
        """
        self._check(now_ns)
        self._protected(self._take, now_ns)
        if self._mode() in (MountMode.OFF, MountMode.FAULT):
            raise DeviceFault('mount.off', f'set-point in mode {self._mode().name}; enable first')
        check_set_point(self._settings, command)
        self._set_point, self._commanded_ns = command, now_ns
        self._tracking, self._stopping, self._enabling = True, False, True
        self._work(now_ns)

    def read(self, now_ns: int) -> MountReading:
        """Newest encoder angles, with the time of the SYNC that latched them.

        The first reading after opening has the angles that ``open()`` has read.

        Raises
        ------
        DeviceFault
            ``mount.silent``: a drive is not heard, or the bus is gone; it lasts until the device is opened again.
        """
        self._check(now_ns)
        self._work(now_ns)
        azimuth, elevation = self._axes
        stamps = [axis.stamp_ns or now_ns for axis in self._axes]
        fault = azimuth.fault or elevation.fault
        stamp_ns = min(*stamps, max(self._now_ns(), now_ns))  # the SYNC may have left after `now_ns`
        return MountReading(
            stamp_ns,
            azimuth.angle_at(stamp_ns),
            elevation.angle_at(stamp_ns),
            azimuth.rate_rad_s,
            elevation.rate_rad_s,
            self._mode(),
            fault,
        )

    def stop(self, now_ns: int) -> None:
        """Quick stop of both axes, on the ramps in the drives."""
        self._tracking, self._set_point = False, None
        if not self._state.is_open or self._lost is not None:
            return
        self._enabling = self._resetting = False
        self._stopping = True
        try:
            self._send_stop()
        except DeviceFault as fault:
            self._lost = fault  # read() reports it; without heartbeats the drives stop by themselves

    def close(self) -> None:
        """Quick stop, brakes, and off the bus."""
        if self._state.is_open:
            self._state.is_open = False
            try:
                for axis in self._axes:
                    axis.stop_and_release(self._bus)
                self._bus.send(SYNC, b'')
            except DeviceFault:
                pass  # the bus is gone: without heartbeats the drives stop by themselves
        self._bus.close()

    # --- beyond the Protocol ---

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        told = {axis.name: f'{axis.identity}, {axis.state.name.lower()}' for axis in self._axes}
        told['answer_ms'] = str(self._bus.answers)
        return told | {f'{axis.name}_error_code': f'0x{axis.error_code:04X}' for axis in self._axes if axis.error_code}

    def self_test(self, move: bool = False) -> str:
        """States and angles of both drives; with `move`, turn the elevation by 0.5 deg, and stop."""
        self._run(0.3, lambda now_ns: None)
        said = '; '.join(
            f'{axis.name} {axis.identity}, {axis.state.name.lower()}, at {degrees(axis.angle_rad):.4f} deg'
            for axis in self._axes
        )
        if not move:
            return said
        self.enable(time.time_ns())
        self._run(3.0, lambda now_ns: None, until=MountMode.HOLD)
        start = self.read(time.time_ns())
        middle = (self._settings.elevation.min_deg + self._settings.elevation.max_deg) / 2
        turn_rad = 0.0087 if degrees(start.el_rad) < middle else -0.0087
        self._run(2.0, lambda now_ns: self.command(now_ns, MountCommand(now_ns, start.az_rad, start.el_rad + turn_rad)))
        moved = self.read(time.time_ns())
        self.stop(time.time_ns())
        self._run(1.0, lambda now_ns: None)
        if abs(moved.el_rad - start.el_rad - turn_rad) > 1e-3:
            raise DeviceFault('mount.test', f'{said}; moved by {degrees(moved.el_rad - start.el_rad):.3f} deg')
        return f'{said}; moved by {degrees(moved.el_rad - start.el_rad):.4f} deg and stopped'

    def _run(self, seconds: float, step: Callable[[int], None], until: MountMode | None = None) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            step(time.time_ns())
            if self.read(time.time_ns()).mode is until:
                return
            time.sleep(self._options.cycle_s)
        if until is not None:
            raise DeviceFault('mount.test', f'not {until.name} within {seconds:g} s')

    # --- the cycle ---

    def _check(self, now_ns: int) -> None:
        self._station.pair(now_ns, self._steady())
        self._state.require()
        if self._lost is not None:
            raise self._lost

    def _mode(self) -> MountMode:
        states = {axis.state for axis in self._axes}
        if states & {State.FAULT, State.FAULT_REACTION}:
            return MountMode.FAULT
        if not states <= {State.ENABLED, State.QUICK_STOP_ACTIVE}:
            return MountMode.OFF
        if self._tracking:
            return MountMode.TRACK
        braking = State.QUICK_STOP_ACTIVE in states or self._stopping
        return MountMode.STOPPING if braking and not all(axis.at_rest for axis in self._axes) else MountMode.HOLD

    def _protected(self, work: Callable[[int], None], now_ns: int) -> None:
        """Do `work`; a fault in it means that a drive or the bus is lost."""
        try:
            work(now_ns)
        except DeviceFault as fault:
            self._lose(fault)
            raise

    def _work(self, now_ns: int) -> None:
        self._protected(self._take_and_send, now_ns)

    def _take_and_send(self, now_ns: int) -> None:
        self._take(now_ns)
        if self._tracking and now_ns - self._commanded_ns > self._settings.watchdog_s * 1e9:
            self._stop_axes()
        if now_ns - self._cycle_ns >= self._options.cycle_s * 5e8:  # command() and read() share a cycle
            self._send_cycle(now_ns)

    def _lose(self, fault: DeviceFault) -> None:
        """A drive or the bus is lost: stop what is left, and send no heartbeat from now on."""
        self._lost, self._tracking, self._set_point = fault, False, None
        self._enabling = self._resetting = False
        try:
            self._send_stop()
        except DeviceFault:
            pass  # without heartbeats the drives stop by themselves

    def _stop_axes(self) -> None:
        self._tracking, self._set_point, self._enabling, self._stopping = False, None, False, True
        self._send_stop()

    def _send_stop(self) -> None:
        for axis in self._axes:
            if axis.state in (State.ENABLED, State.QUICK_STOP_ACTIVE):
                axis.stop(self._bus)
        self._bus.send(SYNC, b'')

    def _take(self, now_ns: int) -> None:
        self._time.check(now_ns)
        if self._opened_ns is None:
            self._opened_ns = now_ns
        for frame in self._bus.frames():
            came_ns = self._station.of(frame.at_ns) if frame.at_ns else 0
            if frame.identifier == SYNC and came_ns:
                self._left(came_ns)
            for axis in self._axes:
                axis.take(frame.identifier, frame.data, now_ns, came_ns)
        for axis in self._axes:
            silent_s = (now_ns - max(axis.heard_ns, self._opened_ns)) * 1e-9
            if silent_s > self._options.timeout_s:
                raise DeviceFault('mount.silent', f'the drive of the {axis.name} is not heard for {silent_s:.2f} s')
        self._resetting &= not all(axis.state is State.ENABLED for axis in self._axes)
        if any(axis.faulty for axis in self._axes) and self._enabling and not self._resetting:
            self._stop_axes()  # the other axis; only enable() resets the fault

    def _now_ns(self) -> int:
        """Station time by now, which is later than that of the call."""
        return self._station.of(self._steady())

    def _left(self, at_ns: int) -> None:
        """The bus has sent our SYNC back: it left at `at_ns`."""
        for axis in self._axes:
            axis.syncs.left(at_ns)
        self._is_echoed = True
        self._took(at_ns)

    def _took(self, left_ns: int) -> None:
        """A SYNC that has left at `left_ns` was this far behind the beginning of its cycle."""
        took_ns = min(max(left_ns - self._begun_ns, 0), _LONGEST_SEND_NS)
        self._sending_ns += (took_ns - self._sending_ns) // 8

    def _send_cycle(self, now_ns: int) -> None:
        if self._cycle_ns and now_ns - self._cycle_ns > _LATE * self._options.guard_s * 1e9:
            for axis in self._axes:
                axis.distrust()
        self._cycle_ns = now_ns
        self._bus.send(HEARTBEAT + self._options.master_id, bytes((OPERATIONAL,)))
        ready = all(axis.state is State.ENABLED for axis in self._axes)
        if self._enabling:
            for axis in self._axes:
                axis.towards_enabled()
        for _ in range(_TRIES):
            self._begun_ns = self._now_ns()
            self._send_set_points(self._begun_ns + self._sending_ns, ready)
            if self._now_ns() - self._begun_ns < self._sending_ns + _HELD_UP_NS:
                break  # otherwise the process was interrupted, and the set-points would be of a time that is past
        sent_ns = self._now_ns()
        for axis in self._axes:
            axis.syncs.sent(sent_ns)
        self._bus.synced()
        self._bus.send(SYNC, b'')
        if not self._is_echoed:
            self._took(sent_ns)

    def _send_set_points(self, aimed_ns: int, ready: bool) -> None:
        """Send the references for a SYNC that leaves at `aimed_ns`."""
        dt_s = (aimed_ns - self._aimed_ns) * 1e-9 if self._aimed_ns else 0.0
        self._aimed_ns = aimed_ns
        for axis, goal in zip(self._axes, self._goals(aimed_ns), strict=True):
            if goal is not None and ready:
                axis.shaper.step(min(dt_s, self._longest_s(axis)), *goal)
            axis.send_set_point(self._bus)

    def _longest_s(self, axis: Axis) -> float:
        """Time that the reference may make up for at once after a late cycle: no drive may fault by it."""
        cycles_s = 2 * self._options.cycle_s
        rate = abs(axis.shaper.rate_rad_s)
        window_s = _AT_ONCE * axis.following_error_rad / rate if rate else cycles_s
        return min(max(window_s, cycles_s), max(_LATE * self._options.guard_s, cycles_s))

    def _goals(self, now_ns: int) -> list[tuple[float, float] | None]:
        """Angle and rate of each axis at the end of the cycle that begins: the drive is there when it ends."""
        point = self._set_point
        if point is None:
            return [None, None]
        ahead_ns = now_ns + round(self._options.cycle_s * 1e9) - point.at_ns
        t_s = min(max(ahead_ns, -_MOST_EXTRAPOLATED_NS), _MOST_EXTRAPOLATED_NS) * 1e-9
        azimuth = point.az_rad, point.az_rate_rad_s, point.az_acc_rad_s2
        elevation = point.el_rad, point.el_rate_rad_s, point.el_acc_rad_s2
        return [
            _extrapolated(azimuth, t_s, self._settings.azimuth),
            _extrapolated(elevation, t_s, self._settings.elevation),
        ]


def _extrapolated(set_point: tuple[float, float, float], t_s: float, axis: AxisSettings) -> tuple[float, float]:
    """Angle and rate after `t_s`, at most at the end of the travel."""
    angle_rad, rate_rad_s, acc_rad_s2 = set_point
    there_rad = angle_rad + (rate_rad_s + acc_rad_s2 * t_s / 2) * t_s
    inside_rad = min(max(there_rad, radians(axis.min_deg)), radians(axis.max_deg))
    return inside_rad, rate_rad_s + acc_rad_s2 * t_s if inside_rad == there_rad else 0.0


@driver(Cia402Options, probe)
def cia402(context: DriverContext[Cia402Options]) -> Mount:
    """Driver ``mount.cia402``."""
    options = context.options

    # a bus that sends our frames back tells when the SYNC has left
    own = {'receive_own_messages': True} if options.interface == 'socketcan' else {}

    def open_bus() -> Any:
        return need('can', 'can').Bus(interface=options.interface, channel=options.channel, **own | options.bus)

    return Cia402Mount(options, context.station.mount, open_bus)
