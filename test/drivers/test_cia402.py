"""The CiA-402 driver against two drives on the package canopen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from math import degrees, isfinite, pi, radians
from pathlib import Path

import pytest
from cia402_twin import COUNTS, TwinBus, TwinProcess
from pty_peer import soon

from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.mount import MountConformance, MountTraits, path
from qkd_gs.devices.conformance.rig import Counterpart, Rig
from qkd_gs.devices.driver import driver
from qkd_gs.devices.mount import MountCommand, MountMode
from qkd_gs.drivers.cia402.mount import Cia402Mount, cia402
from qkd_gs.drivers.cia402.options import Cia402Options, DriveOptions

OPTIONS = Cia402Options(
    azimuth=DriveOptions(node_id=1, serial_number=1001),
    elevation=DriveOptions(node_id=2, zero_counts=5_000_000, sign=-1),
)


class Drives(Counterpart):
    def __init__(self, options=OPTIONS, positions=(COUNTS // 8, 5_000_000 - COUNTS // 8), **how):
        self.bus = TwinBus(positions=positions, **how)
        self.twin = self.bus.twin
        make = driver(Cia402Options)(lambda context: Cia402Mount(context.options, context.station.mount, self.bus.open))
        self.rig = Rig(make, options, self)

    def advance(self, now_ns):
        self.bus.advance(now_ns)

    def silence(self):
        self.twin.silent |= {1, 2}

    def fail(self):
        self.twin.drives[1].fail()


class TestCia402(MountConformance):
    traits = MountTraits(age_s=0.15, enable_s=0.5, silent_s=0.5, stop_s=0.5, following_rad=1e-3)

    @pytest.fixture
    def rig(self):
        return Drives().rig


class TestCia402InVelocityMode(TestCia402):
    @pytest.fixture
    def rig(self):
        return Drives(OPTIONS.model_copy(update={'mode': 'velocity', 'position_gain_per_s': 10.0})).rig


@pytest.fixture
def drives():
    drives = Drives()
    yield drives
    drives.rig.close()


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


def test_what_a_drive_does_by_itself_is_written_into_it(drives):
    drives.rig.open()
    azimuth, elevation = drives.twin.drives
    assert azimuth.read(0x607D, 1) == round(-270.2 / 360 * COUNTS)
    assert azimuth.read(0x607D, 2) == round(270.2 / 360 * COUNTS)
    assert elevation.read(0x607D, 1) == 5_000_000 - round(93.2 / 360 * COUNTS)
    assert elevation.read(0x607D, 2) == 5_000_000 + round(3.2 / 360 * COUNTS)
    for drive in drives.twin.drives:
        assert drive.read(0x1016, 1) == 127 << 16 | 100
        assert drive.read(0x6007) == 3
        assert drive.read(0x605A) == 6
        assert drive.read(0x6085) == round(15 / 360 * COUNTS)
        assert drive.read(0x6065) == round(0.5 / 360 * COUNTS)
        assert drive.status == 0x40  # no torque


def test_encoder_counts_become_angles_with_offset_and_sign(drives):
    reading = drives.rig.open().read(drives.rig.now_ns)
    assert reading.az_rad == pytest.approx(pi / 4, abs=1e-7)
    assert reading.el_rad == pytest.approx(pi / 4, abs=1e-7)


def test_positions_are_of_the_time_of_their_sync(drives):
    device = enabled(drives)
    goal = follow(drives, device, 2.0, rate_deg_s=10.0)
    for _ in range(20):
        device.command(drives.rig.now_ns, goal(drives.rig.now_ns))
        reading = device.read(drives.rig.now_ns)
        assert reading.az_rad == pytest.approx(goal(reading.stamp_ns).az_rad, abs=2e-7)  # two counts of the encoder
        drives.rig.advance(0.01)


def test_late_and_early_calls_cost_no_accuracy(drives):
    """A set-point is taken on to the time at which it is sent."""
    device = enabled(drives)
    goal = follow(drives, device, 1.0, rate_deg_s=1.0)
    for k in range(100):
        drives.rig.advance((0.01, 0.02, 0.01, 0.03)[k % 4])
        device.command(drives.rig.now_ns, goal(drives.rig.now_ns - 7_000_000))  # 7 ms old
        reading = device.read(drives.rig.now_ns)
        if k > 50:
            assert degrees(reading.az_rad - goal(reading.stamp_ns).az_rad) == pytest.approx(0, abs=0.031)


def test_a_driver_that_was_late_tells_finite_rates(drives):
    device = enabled(drives)
    follow(drives, device, 1.0, rate_deg_s=1.0)
    drives.rig.advance(0.08)
    for _ in range(20):
        reading = device.read(drives.rig.now_ns)
        assert isfinite(reading.az_rate_rad_s)
        assert isfinite(reading.el_rate_rad_s)
        drives.rig.advance(0.01)


def test_a_far_set_point_is_reached_within_the_limits(drives):
    device = enabled(drives)
    settings = drives.rig.station.mount.azimuth
    rates = [0.0]

    def step(now_ns):
        device.command(now_ns, MountCommand(now_ns, radians(-100), radians(60)))
        rates.append(degrees(device.read(now_ns).az_rate_rad_s))

    drives.rig.run(9.0, step)
    assert degrees(device.read(drives.rig.now_ns).az_rad) == pytest.approx(-100, abs=1e-4)
    assert max(map(abs, rates)) <= settings.max_rate_deg_s * 1.01
    assert max(abs(b - a) for a, b in pairwise(rates)) <= settings.max_acc_deg_s2 * 0.01 * 1.05
    assert all(drive.error == 0 for drive in drives.twin.drives)


def test_a_driver_that_does_nothing_makes_the_drives_stop_by_themselves(drives):
    device = enabled(drives)
    follow(drives, device, 1.0)
    drives.rig.advance(0.15)
    assert [drive.quick_stops for drive in drives.twin.drives] == [['not guarded'], ['not guarded']]
    drives.rig.advance(0.5)
    assert not any(drive.velocity for drive in drives.twin.drives)


@pytest.mark.parametrize('pause_s', [0.08, 0.11, 0.13, 0.2, 0.5, 3.0])
@pytest.mark.parametrize('read_first', [True, False])
def test_after_a_pause_the_mount_goes_on_from_where_it_stands(drives, pause_s, read_first):
    """No drive gets a reference from before the pause: with a following error of 0.5 deg it would fault."""
    device = enabled(drives)
    goal = follow(drives, device, 3.0, rate_deg_s=25.0)
    drives.rig.advance(pause_s)
    rates = []

    def step(now_ns):
        if read_first:
            device.read(now_ns)
        device.command(now_ns, goal(now_ns))
        rates.append(drives.twin.drives[0].velocity / COUNTS * 360)

    drives.rig.run(1.0, step)
    assert not any(drive.error for drive in drives.twin.drives)
    assert min(rates) >= -0.1
    assert max(rates) <= 30.1


def test_a_stop_reaches_the_drives_in_one_cycle(drives):
    device = enabled(drives)
    follow(drives, device, 2.0)
    device.stop(drives.rig.now_ns)
    drives.rig.advance(0.01)
    assert [drive.status for drive in drives.twin.drives] == [0x07, 0x07]


def test_a_fault_of_one_drive_stops_the_other(drives):
    device = enabled(drives)
    goal = follow(drives, device, 1.0)
    drives.twin.drives[1].fail(0x4310)
    begin_ns = drives.rig.now_ns
    drives.rig.run(0.03, lambda now_ns: fault_of(lambda: device.command(now_ns, goal(now_ns))))
    assert drives.twin.drives[0].status == 0x07
    reading = device.read(drives.rig.now_ns)
    assert (reading.mode, reading.fault) == (MountMode.FAULT, 'mount.temperature')
    assert drives.rig.now_ns - begin_ns <= 0.3e9


def test_a_fault_is_reset_by_enable_alone(drives):
    device = enabled(drives)
    drives.twin.drives[0].fail(0x7305)
    drives.rig.run(2.0, device.read)
    assert drives.twin.drives[0].status == 0x08
    assert device.read(drives.rig.now_ns).fault == 'mount.encoder'
    device.enable(drives.rig.now_ns)
    assert drives.rig.until(lambda: device.read(drives.rig.now_ns).mode is MountMode.HOLD, 0.5)


def test_an_axis_that_still_moves_is_stopped_before_it_loses_its_torque(drives):
    """As after a driver that was killed and is started again at once."""
    device = enabled(drives)
    follow(drives, device, 3.0, rate_deg_s=25.0)
    azimuth = drives.twin.drives[0]
    azimuth._off = lambda: setattr(azimuth, 'coasting', azimuth.velocity)
    azimuth.coasting = 0.0
    drives.rig.open()
    assert azimuth.coasting == 0.0
    assert azimuth.quick_stops == ['commanded']
    assert not azimuth.velocity


def test_an_axis_that_does_not_turn_is_a_following_error(drives):
    device = enabled(drives)
    drives.twin.drives[0].blocked = True
    goal = path(drives.rig.now_ns, device.read(drives.rig.now_ns), drives.rig.now_ns)

    def step(now_ns):
        fault_of(lambda: device.command(now_ns, MountCommand(now_ns, goal.az_rad + 0.5, goal.el_rad)))
        device.read(now_ns)

    drives.rig.run(1.0, step)
    assert device.read(drives.rig.now_ns).fault == 'mount.following_error'
    assert not drives.twin.drives[1].velocity


def test_a_silent_drive_stops_the_other_and_stays_lost(drives):
    device = enabled(drives)
    goal = follow(drives, device, 1.0)
    drives.twin.silent.add(2)
    begin_ns = drives.rig.now_ns
    assert drives.rig.until(
        lambda: fault_of(lambda: device.command(drives.rig.now_ns, goal(drives.rig.now_ns))) == 'mount.silent', 1.0
    )
    drives.rig.advance(0.01)
    assert drives.twin.drives[0].status == 0x07
    assert drives.rig.now_ns - begin_ns <= 0.3e9
    drives.twin.silent.clear()
    sent = len(drives.bus.sent)
    drives.rig.advance(1.0)
    assert fault_of(lambda: device.read(drives.rig.now_ns)) == 'mount.silent'
    assert fault_of(lambda: device.enable(drives.rig.now_ns)) == 'mount.silent'
    assert len(drives.bus.sent) == sent


def test_an_adapter_that_is_pulled_is_told_and_the_drives_stop_by_themselves(drives):
    device = enabled(drives)
    follow(drives, device, 1.0)
    drives.bus.gone = True
    assert fault_of(lambda: device.read(drives.rig.advance(0.01))) == 'mount.silent'
    drives.rig.advance(0.2)
    assert [drive.quick_stops for drive in drives.twin.drives] == [['not guarded'], ['not guarded']]
    drives.bus.gone = False
    device.close()
    device.open()
    drives.rig.run(1.0, device.read)
    assert device.read(drives.rig.now_ns).mode is MountMode.OFF
    assert not any(drive.velocity for drive in drives.twin.drives)


def test_a_drive_that_starts_anew_is_lost(drives):
    """Its limits and its guarding are gone."""
    device = enabled(drives)
    drives.twin.network.send_message(0x701, b'\0')
    assert told_within(drives, device, 'mount.silent') <= 0.3


def test_closing_while_moving_brakes_before_the_brake_engages(drives):
    device = enabled(drives)
    follow(drives, device, 2.0)
    device.close()
    drives.rig.advance(0.05)
    assert drives.twin.drives[0].status == 0x07
    assert drives.twin.drives[0].velocity
    drives.rig.advance(1.0)
    assert [drive.status for drive in drives.twin.drives] == [0x40, 0x40]


def test_station_time_that_goes_back_stops_the_axes_and_is_told(drives):
    device = enabled(drives)
    follow(drives, device, 1.0)
    assert fault_of(lambda: device.read(drives.rig.now_ns - 10**9)) == 'mount.clock'
    drives.rig.advance(0.01)
    assert [drive.status for drive in drives.twin.drives] == [0x07, 0x07]


def with_azimuth(**changes):
    return OPTIONS.model_copy(update={'azimuth': OPTIONS.azimuth.model_copy(update=changes)})


def test_what_does_not_fit_is_refused():
    assert fault_of(Drives(with_azimuth(serial_number=77)).rig.open) == 'mount.other'
    assert fault_of(Drives(with_azimuth(counts_per_turn=2**20)).rig.open) == 'mount.other'
    assert fault_of(Drives(with_azimuth(node_id=9)).rig.open) == 'mount.silent'
    assert fault_of(Drives(positions=(COUNTS, 5_000_000)).rig.open) == 'mount.position'
    lacking = Drives()
    lacking.twin.drives[0].node.sdo[0x6502].raw = 0x7F
    assert fault_of(lacking.rig.open) == 'mount.refused'


def test_a_drive_without_objects_that_are_not_needed_is_used_and_its_lack_told():
    drives = Drives(without=(0x1029, 0x607F, 0x60C5, 0x608F))
    device = enabled(drives)
    assert 'without object 0x60C5' in device.health()['azimuth']
    follow(drives, device, 0.5)
    drives.rig.close()


def test_a_drive_without_guarding_is_refused():
    assert fault_of(Drives(without=(0x6007,)).rig.open) == 'mount.refused'


# --- the drives in a process of their own, on a multicast bus ---

PROGRAM = """
import sys, time
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.mount import MountCommand
from qkd_gs.drivers.cia402.mount import cia402
from qkd_gs.drivers.cia402.options import Cia402Options
device = Rig(cia402, Cia402Options.model_validate_json(sys.argv[1])).open()
device.enable(time.time_ns())
while device.read(time.time_ns()).mode.name != 'HOLD':
    time.sleep(0.01)
k = 0
while True:
    now_ns = time.time_ns()
    k += 1
    device.command(now_ns, MountCommand(now_ns, 1.0 if k % 800 < 400 else -1.0, 0.5))
    device.read(now_ns)
    time.sleep(0.01)
"""


@pytest.fixture
def group():
    return f'239.74.163.{os.getpid() % 250 + 2}'


@pytest.fixture
def process(group):
    process = TwinProcess(group)
    yield process
    process.thaw()
    process.kill()


def on_bus(group):
    drive = {'following_error_deg': 10.0}
    return Cia402Options(
        interface='udp_multicast',
        channel=group,
        bus={'fd': False, 'hop_limit': 0},
        azimuth=DriveOptions(node_id=1, **drive),
        elevation=DriveOptions(node_id=2, **drive),
        guard_s=0.3,
        timeout_s=1.0,
    )


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGSTOP])
def test_the_drives_stop_when_the_program_is_killed_or_hangs(process, group, number):
    environment = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])}
    program = subprocess.Popen([sys.executable, '-c', PROGRAM, on_bus(group).model_dump_json()], env=environment)
    try:
        assert soon(lambda: process.told.endswith('moving'))
        program.send_signal(number)
        assert soon(lambda: process.told.endswith('not guarded standing'))
    finally:
        program.kill()
        program.wait()


def test_drives_that_hang_or_restart_are_told(process, group):
    rig = Rig(cia402, on_bus(group))
    device = rig.open()
    assert 'serial 1001' in device.self_test()
    process.freeze()
    assert soon(lambda: fault_of(lambda: device.read(time.time_ns())) == 'mount.silent')
    device.close()
    assert fault_of(device.open) == 'mount.silent'
    process.thaw()
    assert soon(lambda: not fault_of(device.open))
    process.kill()
    assert soon(lambda: fault_of(lambda: device.read(time.time_ns())) == 'mount.silent')
    device.close()
    process.start()
    device.open()
    assert 'moved by' in device.self_test(move=True)
    device.close()
