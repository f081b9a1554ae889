"""The CiA-402 driver on two drives in memory, in a time of the tests."""

from math import radians

from cia402_twin import COUNTS, TwinBus

from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.rig import Counterpart, Rig
from qkd_gs.devices.driver import driver
from qkd_gs.devices.mount import MountCommand, MountMode
from qkd_gs.drivers.cia402.mount import Cia402Mount
from qkd_gs.drivers.cia402.options import Cia402Options, DriveOptions

OPTIONS = Cia402Options(
    azimuth=DriveOptions(node_id=1, serial_number=1001),
    elevation=DriveOptions(node_id=2, zero_counts=5_000_000, sign=-1),
)


class Drives(Counterpart):
    def __init__(self, options=OPTIONS, positions=(COUNTS // 8, 5_000_000 - COUNTS // 8), **how):
        self.bus = TwinBus(positions=positions, **how)
        self.twin = self.bus.twin
        self.steady = lambda: 0  # within a call the time of the tests stands still
        self.wall_ns = 0  # of the system clock minus the steady one

        @driver(Cia402Options)
        def make(context):
            return Cia402Mount(context.options, context.station.mount, self.bus.open, self.clock, self.wall)

        self.rig = Rig(make, options, self)

    def clock(self):
        return self.steady()

    def wall(self):
        return self.wall_ns + self.steady()

    def advance(self, now_ns):
        self.bus.advance(now_ns)

    def silence(self):
        self.twin.silent |= {1, 2}

    def fail(self):
        self.twin.drives[1].fail()


def enabled(drives):
    device = drives.rig.open()
    device.enable(drives.rig.now_ns)
    assert drives.rig.until(lambda: device.read(drives.rig.now_ns).mode is MountMode.HOLD, 0.5)
    return device


def follow(drives, device, seconds, rate_deg_s=5.0, read=True):
    """Follow a path in azimuth from where the mount stands; returns the path."""
    start, begin_ns = device.read(drives.rig.now_ns), drives.rig.now_ns
    rate = radians(rate_deg_s)

    def goal(at_ns):
        return MountCommand(at_ns, start.az_rad + rate * (at_ns - begin_ns) * 1e-9, start.el_rad, rate)

    def step(now_ns):
        device.command(now_ns, goal(now_ns))
        if read:
            device.read(now_ns)

    drives.rig.run(seconds, step)
    return goal


def told_within(drives, device, code):
    begin_ns = drives.rig.now_ns
    assert drives.rig.until(lambda: fault_of(lambda: device.read(drives.rig.now_ns)) == code, 3.0), f'no {code}'
    return (drives.rig.now_ns - begin_ns) * 1e-9
