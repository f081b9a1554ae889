"""Mount node: timed set-points in, encoder readings out, and stops that depend on no other process."""

from __future__ import annotations

from math import isnan

from sensor_msgs.msg import JointState

import qkd_gs.msg as m
from qkd_gs.devices.kinds import MOUNT
from qkd_gs.devices.mount import Mount, MountMode
from qkd_gs.errors import DeviceFault
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime import parameters
from qkd_gs.nodes.runtime.base import MOVING
from qkd_gs.nodes.runtime.context import device_of, station_of
from qkd_gs.nodes.runtime.device import DeviceNode, require_open
from qkd_gs.nodes.runtime.gathered import NEWEST
from qkd_gs.nodes.runtime.process import run
from qkd_gs.settings.station import MountSettings
from qkd_gs.station.loop_timing import Due, LoopWatch

_STATE_S = 0.01
_JOINTS_NS = 50_000_000
_OFF_NS = 3_000_000_000  # drives that were enabled must hold by then
_FURTHEST_NS = 1_000_000_000  # between the time of a set-point and its arrival
_STATUS_NS = 300_000_000  # the safety status comes every 50 ms


class MountNode(DeviceNode):
    """Drives the mount; without a fresh safety status or a fresh set-point it stops."""

    name = 'mount'
    priority = MOVING

    def __init__(self) -> None:
        super().__init__()
        self._station = station_of(self)
        parameters.offer(self, self._station.mount, 'mount', lambda: self.active)
        self._permitted_ns: int | None = None  # when motion was permitted last; None: it is forbidden
        self._commanded_ns = self._commander = 0
        self._stopped = True
        self._states = self.publisher(m.MountState, 'mount/state')
        self._joints = self.publisher(JointState, 'joint_states')
        self.gather(m.SafetyStatus, 'safety/status', self._take_safety, NEWEST)
        self.gather(m.MountCommand, 'mount/command', self._command, NEWEST)
        self._mount: Mount | None = None

    def opened(self) -> None:
        """Connect to the drives."""
        settings = parameters.read(self, MountSettings, self._station.mount, 'mount')
        self._station = self._station.model_copy(update={'mount': settings})
        self._watchdog_ns = round(settings.watchdog_s * 1e9)
        self._mount = device_of(self, MOUNT, self._station)
        self._mount.open()
        self._watch = LoopWatch(_STATE_S)
        self._state_timer = self.every(_STATE_S, self._publish_state, self._watch)
        self._joints_due = Due(_JOINTS_NS)

    def started(self) -> None:
        """Release the brakes."""
        self._watch.clear()  # periods missed while all processes of the station start are not of interest
        self._powered_ns = self.clock.steady_ns()
        require_open(self._mount).enable(self.clock.now_ns())

    def stopped(self) -> None:
        """Brake to a stop and hold."""
        if self._mount is not None:
            self._mount.stop(self.clock.now_ns())

    def closed(self) -> None:
        """Close the mount; closing engages the brakes."""
        if self._mount is not None:
            self.cease(self._state_timer)
            self._mount.close()
            self._mount = None

    @property
    def may_end(self) -> bool:
        """Whether no set-points are being followed."""
        return self._stopped

    def _take_safety(self, status: m.SafetyStatus) -> None:
        if status.motion_permitted:
            self._permitted_ns = self.clock.steady_ns()
        else:
            self._permitted_ns = None
            self._stop(self.clock.now_ns(), f'stopped by the supervisor: {status.reasons}')

    def _command(self, message: m.MountCommand) -> None:
        if not self.active or not self._permitted():
            return
        if message.commander != self._commander and not self._stopped:
            self._refusals.add('mount/command', 'came from another commander than the one who moves the mount')
            return
        now_ns, command = self.clock.now_ns(), messages.from_mount_command(message)
        if abs(command.at_ns - now_ns) > _FURTHEST_NS:
            raise DeviceFault('mount.command', f'a set-point for {(command.at_ns - now_ns) * 1e-9:+.3f} s from now')
        self._commander = message.commander
        try:
            require_open(self._mount).command(now_ns, command)
        except DeviceFault as fault:
            if fault.code != 'mount.off':  # after a fault of the drives: see _publish_state
                raise
            return
        self._commanded_ns, self._stopped = self.clock.steady_ns(), False

    def _permitted(self) -> bool:
        return self._permitted_ns is not None and self.clock.steady_ns() - self._permitted_ns <= _STATUS_NS

    def _publish_state(self, now_ns: int) -> None:
        reading = require_open(self._mount).read(now_ns)
        self._states.publish(messages.mount_state(reading))
        if self._joints_due.now(now_ns):
            self._joints.publish(messages.joint_state(reading))
        if not self.active:
            return
        steady_ns = self.clock.steady_ns()
        if not self._stopped and steady_ns - self._commanded_ns > self._watchdog_ns:
            self._stop(now_ns, 'stopped: no set-point')
        elif not self._stopped and not self._permitted():
            self._stop(now_ns, 'stopped: the supervisor is silent')
        elif not self._stopped:
            self.warning = ''
        if reading.mode is not MountMode.OFF or isnan(reading.az_rad):  # on, or not heard yet: no word of their power
            self._powered_ns = steady_ns
        elif steady_ns - self._powered_ns > _OFF_NS:
            raise DeviceFault('mount.off', 'the drives have no power')
        if reading.mode is MountMode.FAULT:
            raise DeviceFault(reading.fault or 'mount.fault', 'the drives report a fault')

    def _stop(self, now_ns: int, why: str) -> None:
        if self.active and not self._stopped:
            require_open(self._mount).stop(now_ns)
            self._stopped = True
            self.warning = why


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(MountNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
