"""The CiA-402 driver against two drives on the package canopen."""

from __future__ import annotations

from itertools import count, pairwise
from math import degrees, pi, radians

import can
import pytest
from cia402_drives import OPTIONS, Drives, enabled, follow, told_within
from cia402_twin import COUNTS

from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.mount import MountConformance, MountTraits, path
from qkd_gs.devices.mount import MountCommand, MountMode
from qkd_gs.drivers.cia402 import bus
from qkd_gs.drivers.steady import looks


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


def test_a_process_that_is_held_up_after_each_question_still_takes_the_answers(drives, monkeypatch):
    def held_up(seconds):
        now_s = count(0.0, 10.0)
        for left_s in looks(seconds, lambda: next(now_s)):
            drives.bus._deliver()  # meanwhile the drive has answered
            yield left_s

    monkeypatch.setattr(bus, 'looks', held_up)
    drives.rig.open()
    assert drives.twin.drives[1].read(0x1016, 1) == 127 << 16 | 100


def test_frames_behind_one_that_is_no_data_frame_are_taken_with_it(drives):
    strange = {'is_error_frame': True}, {'is_remote_frame': True}, {'arbitration_id': 0x181, 'is_extended_id': True}
    line = bus.CanBus(drives.bus.open, 'can0')
    line.open()
    for number, how in enumerate(strange):
        drives.bus._to_driver.append(can.Message(**how))
        drives.bus._to_driver.append(can.Message(arbitration_id=0x701 + number, is_extended_id=False))
    assert [frame.identifier for frame in line.frames()] == [0x701, 0x702, 0x703]
