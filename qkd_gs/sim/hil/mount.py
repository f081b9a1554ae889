"""Mount of the twin as a process: two CiA 402 drives on a CAN bus, behind which the twin's servo turns the axes.

``python -m qkd_gs.sim.hil.mount PLACE``
"""

from __future__ import annotations

import time
from collections.abc import Collection
from math import tau
from typing import Any

from qkd_gs.devices.mount import MountCommand, MountMode, MountReading
from qkd_gs.drivers.extras import need
from qkd_gs.sim.hil.drive_objects import COUNTS
from qkd_gs.sim.hil.place import AT_ONCE, CAN_GROUP, Place, begun, serving
from qkd_gs.sim.hil.servo_drives import ENABLED, FAULT, QUICK_STOP, Drive, Twin, for_the_drives
from qkd_gs.sim.remote import actuators
from qkd_gs.sim.remote.bus import Bus

FOLLOWING_ERROR = 0x8611
_LISTEN_S = 0.005
_LATEST_NS = 5_000_000
_OLDEST_NS = 1_000_000_000
_STANDING = 2 * COUNTS / 360 * 0.01  # counts a second


class TwinDrive(Drive):
    """A drive whose axis belongs to the twin.

    Attributes
    ----------
    sensed : (int, float, float)
        Newest state of the axis: station time, counts, counts a second.
    wanted : (int, float, float), optional
        Time and reference of the last SYNC, counts and counts a second; None: none since.
    """

    def __init__(self, network: Any, node_id: int, position: int = 0, without: Collection[int] = ()) -> None:
        self.sensed = (0, float(position), 0.0)
        self.wanted: tuple[int, float, float] | None = None
        super().__init__(network, node_id, position, without)

    def latch(self, now_ns: int) -> None:
        """Position at a SYNC; the newest state is up to 10 ms old."""
        self._sense(now_ns)
        if self.status == ENABLED and self.read(0x6060) == 8:
            low, high = self.read(0x607D, 1), self.read(0x607D, 2)
            self.wanted = now_ns, float(min(max(self.read(0x607A), low), high)), float(self.read(0x60B1))

    def move(self, dt_s: float) -> None:
        """The twin moves it; what is left is what an SDO reads, and the end of a quick stop."""
        if self.status != ENABLED:
            _, self.position, self.velocity = self.sensed
        if self.status == QUICK_STOP and abs(self.sensed[2]) < _STANDING and self.read(0x605A) == 2:
            self._off()

    def _sense(self, now_ns: int) -> None:
        at_ns, counts, rate = self.sensed
        self.position, self.velocity = counts + rate * (now_ns - at_ns) * 1e-9 if at_ns else counts, rate


class TwinMount:
    """Both drives: their references become set-points of the twin's mount, their states its orders."""

    def __init__(self, drives: list[TwinDrive], bus: Bus) -> None:
        self._drives, self._bus = drives, bus
        self._ordered = actuators.Drive.OFF
        self._failed = False
        bus.listen('mount/state', MountReading, self._take)

    def _take(self, reading: MountReading) -> None:
        angles = ((reading.az_rad, reading.az_rate_rad_s), (reading.el_rad, reading.el_rate_rad_s))
        for drive, (angle_rad, rate_rad_s) in zip(self._drives, angles, strict=True):
            drive.sensed = reading.stamp_ns, angle_rad * COUNTS / tau, rate_rad_s * COUNTS / tau
        failed = reading.mode is MountMode.FAULT
        if failed and not self._failed and self._ordered is actuators.Drive.ENABLE:
            for drive in self._drives:
                drive.fail(FOLLOWING_ERROR)
        self._failed = failed

    def work(self, now_ns: int) -> None:
        """Pass on what the driver has ordered since the last time."""
        states = [drive.status for drive in self._drives]
        if all(state == ENABLED for state in states):
            order = actuators.Drive.ENABLE
        elif any(state in (QUICK_STOP, ENABLED, FAULT) for state in states) and self._ordered != actuators.Drive.OFF:
            order = actuators.Drive.STOP  # a fault of one drive stops both
        else:
            order = actuators.Drive.OFF
        if order is not self._ordered:
            self._bus.send('mount/drive', order, now_ns)
            self._ordered = order
        azimuth, elevation = (drive.wanted for drive in self._drives)
        if azimuth is None or elevation is None:
            return
        for drive in self._drives:
            drive.wanted = None
        if order is actuators.Drive.ENABLE:
            period_s = self._drives[0].read(0x60C2, 1) * 10.0 ** self._drives[0].read(0x60C2, 2)
            values = [value * tau / COUNTS for value in (azimuth[1], elevation[1], azimuth[2], elevation[2])]
            self._bus.send('mount/command', MountCommand(azimuth[0] + round(period_s * 1e9), *values), now_ns)


def arrival_ns(place: Place, message: Any) -> int:
    """Station time at which the kernel has received a frame: drives latch then, however busy this machine is."""
    since_ns = time.time_ns() - round(message.timestamp * 1e9)
    return place.now_ns() - (since_ns if 0 <= since_ns < _OLDEST_NS else 0)


def main() -> int:
    """Serve until the world ends."""
    place, _ = begun()
    can = need('can', 'can')
    line = can.Bus(interface='udp_multicast', channel=CAN_GROUP, fd=False, hop_limit=0)
    twin = Twin(line.send, drive=TwinDrive)
    bus = place.connect()
    drives = [drive for drive in twin.drives if isinstance(drive, TwinDrive)]
    mount = TwinMount(drives, bus)
    bus.poll()
    serving(f'servo drives on the CAN bus {CAN_GROUP}', AT_ONCE)
    while True:
        message = line.recv(_LISTEN_S)
        bus.poll()
        while message is not None:
            if for_the_drives(message.arbitration_id):
                at_ns = arrival_ns(place, message)
                # a drive answers within a millisecond, and never when the next SYNC has come
                twin.receive(message, at_ns, place.now_ns() - at_ns > _LATEST_NS)
                mount.work(place.now_ns())
            message = line.recv(0)
        twin.advance(place.now_ns())
        mount.work(place.now_ns())


if __name__ == '__main__':
    raise SystemExit(main())
