"""The 671 nm beacon: on while the tracker commands it and the supervisor permits it, off in every other case."""

from __future__ import annotations

from rclpy.qos import QoSProfile, ReliabilityPolicy

import qkd_gs.msg as m
from qkd_gs.devices.beacon import Beacon
from qkd_gs.devices.kinds import BEACON
from qkd_gs.errors import DeviceFault
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime import parameters
from qkd_gs.nodes.runtime.base import IN_TIME
from qkd_gs.nodes.runtime.context import device_of, station_of
from qkd_gs.nodes.runtime.device import DeviceNode, require_open
from qkd_gs.nodes.runtime.process import run
from qkd_gs.settings.station import BeaconSettings
from qkd_gs.station.loop_timing import LoopWatch

_STATE_S = 0.05
_SILENCE_NS = 300_000_000  # command and safety status come every 50 ms
# An order counts from its arrival, so one that has waited in a queue behind others must not be taken for a fresh one;
# and the order to switch off at the end of a pass comes once.
_NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)


class BeaconNode(DeviceNode):
    """Switches the laser; silence of the tracker or of the supervisor switches it off."""

    name = 'beacon'
    priority = IN_TIME

    def __init__(self) -> None:
        super().__init__()
        self._station = station_of(self)
        parameters.offer(self, self._station.beacon, 'beacon', lambda: self.active)
        self._commanded_ns: int | None = None  # when the tracker has asked for light last; None: it wants none
        self._permitted_ns: int | None = None
        self._beacon: Beacon | None = None
        self._timer = 0
        self._states = self.publisher(m.BeaconState, 'beacon/state')
        self.listen(m.BeaconCommand, 'beacon/command', self._command, _NEWEST)
        self.listen(m.SafetyStatus, 'safety/status', self._take_safety, _NEWEST)

    def opened(self) -> None:
        """Connect to the laser and switch it off."""
        settings = parameters.read(self, BeaconSettings, self._station.beacon, 'beacon')
        self._station = self._station.model_copy(update={'beacon': settings})
        self._beacon = device_of(self, BEACON, self._station)
        self._beacon.open()
        self._beacon.off(self.clock.now_ns())
        self._timer = self.every(_STATE_S, self._step, LoopWatch(_STATE_S))

    def stopped(self) -> None:
        """Switch the laser off."""
        self._commanded_ns = None
        if self._beacon is not None:
            self._beacon.off(self.clock.now_ns())

    def closed(self) -> None:
        """Close the laser; closing switches it off."""
        if self._beacon is not None:
            self.cease(self._timer)
            self._beacon.close()
            self._beacon = None

    def _command(self, message: m.BeaconCommand) -> None:
        self._commanded_ns = self.clock.steady_ns() if message.emit else None
        if not message.emit and self.active:
            require_open(self._beacon).off(self.clock.now_ns())

    def _take_safety(self, status: m.SafetyStatus) -> None:
        self._permitted_ns = self.clock.steady_ns() if status.light_permitted else None
        if not status.light_permitted and self.active:
            require_open(self._beacon).off(self.clock.now_ns())

    def _fresh(self, arrived_ns: int | None) -> bool:
        return arrived_ns is not None and self.clock.steady_ns() - arrived_ns < _SILENCE_NS

    def _step(self, now_ns: int) -> None:
        commanded = self.active and self._fresh(self._commanded_ns)
        if commanded and self._fresh(self._permitted_ns):
            try:
                require_open(self._beacon).on(now_ns)
            except DeviceFault as fault:
                if fault.code != 'beacon.interlock':  # an open door keeps the beacon off until it is closed
                    raise
        elif self.active:
            require_open(self._beacon).off(now_ns)
        self._states.publish(messages.beacon_state(require_open(self._beacon).read(now_ns), commanded, self.fault))


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(BeaconNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
