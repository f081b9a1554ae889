"""The real driver of CiA 402 drives, drives of the twin, and the twin's mount behind them; in the test's time."""

from __future__ import annotations

from math import radians

import pytest
from cia402_drives import Drives
from world_link import WorldLink

from qkd_gs.devices.conformance.rig import START_NS
from qkd_gs.devices.mount import MountCommand, MountMode
from qkd_gs.drivers.cia402.options import Cia402Options, DriveOptions
from qkd_gs.sim.hil.mount import TwinDrive, TwinMount

OPTIONS = Cia402Options(azimuth=DriveOptions(node_id=1), elevation=DriveOptions(node_id=2))
RATE_RAD_S = radians(0.8)


class Station(Drives):
    def __init__(self):
        super().__init__(OPTIONS, positions=(0, 0), drive=TwinDrive)
        self.world = WorldLink(START_NS)
        self.drives = self.twin.drives
        self.mount = TwinMount(self.drives, self.world)

    def advance(self, now_ns):
        self.bus._deliver()  # what was sent at the time before
        self.mount.work(self.world.now_ns)
        super().advance(now_ns)
        self.world.advance(now_ns)


@pytest.fixture
def station():
    station = Station()
    yield station
    station.rig.close()


@pytest.fixture
def device(station):
    device = station.rig.open()
    device.enable(station.rig.now_ns)
    assert station.rig.until(lambda: device.read(station.rig.now_ns).mode is MountMode.HOLD, 2.0)
    return device


def tracking(station, device, seconds):
    """Follow a steady motion; returns where the last set-point wants the axes."""
    begin_ns = station.rig.now_ns
    start = device.read(begin_ns)

    def step(now_ns):
        angle = RATE_RAD_S * (now_ns - begin_ns) * 1e-9
        point = MountCommand(now_ns, start.az_rad + angle, start.el_rad + angle, RATE_RAD_S, RATE_RAD_S)
        device.command(now_ns, point)
        device.read(now_ns)

    end_ns = station.rig.run(seconds, step)
    return start.az_rad + RATE_RAD_S * (end_ns - begin_ns) * 1e-9


def test_set_points_of_the_driver_move_the_mount_of_the_twin(station, device):
    wanted = tracking(station, device, 6.0)
    true_az, _ = station.world.mount.true_angles()
    assert abs(true_az - wanted) < 40e-6  # 10 ms are 140 urad
    reading = device.read(station.rig.now_ns)
    at_stamp = wanted - RATE_RAD_S * (station.rig.now_ns - reading.stamp_ns) * 1e-9
    assert abs(reading.az_rad - at_stamp) < 40e-6


def test_a_fault_of_one_drive_stops_both_axes_of_the_twin(station, device):
    tracking(station, device, 2.0)
    station.drives[1].fail()
    stopped = station.rig.until(lambda: device.read(station.rig.now_ns).mode is MountMode.FAULT, 2.0)
    assert stopped
    station.rig.run(1.0, device.read)
    assert station.world.mount.read(station.rig.now_ns).mode is not MountMode.TRACK
    assert abs(station.world.mount.read(station.rig.now_ns).az_rate_rad_s) < 1e-3


def test_a_driver_that_is_gone_leaves_axes_that_stand(station, device):
    tracking(station, device, 2.0)
    station.rig.advance(1.0)  # no call: no heartbeat
    assert [drive.quick_stops for drive in station.drives] == [['not guarded'], ['not guarded']]
    assert abs(station.world.mount.read(station.rig.now_ns).az_rate_rad_s) < 1e-3


def test_a_following_error_of_the_twin_is_a_fault_of_the_drives(station, device):
    tracking(station, device, 2.0)
    station.world.mount._following_limit_rad = 0.0
    assert station.rig.until(lambda: device.read(station.rig.now_ns).mode is MountMode.FAULT, 2.0)
    assert device.read(station.rig.now_ns).fault == 'mount.following_error'
