"""The Elliptec driver against an emulated ELL14, and that emulator against another project's client."""

from __future__ import annotations

from math import degrees, isnan, pi, radians, remainder

import pytest
import serial
from ell14_emulator import COUNTS, Ell14
from hypothesis import given
from hypothesis import strategies as st
from pty_peer import PtyPeer, soon

from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.hwp import HwpConformance, HwpTraits
from qkd_gs.devices.conformance.rig import Counterpart, Rig
from qkd_gs.drivers.elliptec.protocol import Status, counts_text, parse, parse_info, parse_position
from qkd_gs.drivers.elliptec.rotator import ElliptecOptions, elliptec

if 'serial_emulators' not in serial.protocol_handler_packages:
    serial.protocol_handler_packages.append('serial_emulators')


class Ell14Counterpart(Counterpart):
    def __init__(self, **how):
        self.module = Ell14(**how)
        self.options = ElliptecOptions(port=self.module.plug_into('ell14'), timeout_s=0.3)

    def advance(self, now_ns):
        self.module.advance(now_ns)

    def silence(self):
        self.module.silent = True


def rig_of(**how):
    counterpart = Ell14Counterpart(**how)
    return Rig(elliptec, counterpart.options, counterpart)


class TestElliptec(HwpConformance):
    traits = HwpTraits(age_s=0.1, silent_s=0.5, move_s=3.0, stop_s=0.2)

    @pytest.fixture
    def rig(self):
        return rig_of()


class TestElliptecThatCannotStop(HwpConformance):
    """A module that does not know the command to stop ends its move by itself; commanded moves are forgotten."""

    @pytest.fixture
    def rig(self):
        return rig_of(stops=False)

    def test_stop_ends_a_move(self, rig, device):
        self.go(rig, device, 0.0)
        device.move(rig.now_ns, pi / 2)
        assert rig.until(lambda: device.read(rig.now_ns).moving, 1.0)
        device.move(rig.now_ns, 0.2)
        device.stop(rig.now_ns)
        assert rig.until(lambda: not device.read(rig.now_ns).moving, 1.0)
        assert self.is_at(rig, device, pi / 2)


@pytest.fixture
def rig():
    rig = rig_of()
    yield rig
    rig.close()


def turn(rig, device, angle_rad):
    device.move(rig.now_ns, angle_rad)
    assert rig.until(lambda: not device.read(rig.now_ns).moving, 5.0)


def test_opening_and_reading_moves_nothing(rig):
    device = rig.open()
    rig.run(1.0, device.read)
    assert set(rig.counterpart.module.requests) == {'in', 'gp'}
    assert isnan(device.read(rig.now_ns).angle_rad)  # the module may have lost its reference with its power


def test_the_first_move_begins_with_a_reference_run(rig):
    device = rig.open()
    turn(rig, device, radians(30))
    requests = [one for one in rig.counterpart.module.requests if one != 'gp']
    assert requests == ['in', 'ho0', 'ma' + counts_text(round(COUNTS / 12))]


def test_a_stopped_reference_run_is_no_reference(rig):
    device = rig.open()
    device.move(rig.now_ns, 0.5)
    rig.run(0.02, device.read)
    device.stop(rig.now_ns)
    rig.run(1.0, device.read)
    assert isnan(device.read(rig.now_ns).angle_rad)
    turn(rig, device, 0.5)
    assert rig.counterpart.module.requests.count('ho0') == 2


def test_only_the_newest_angle_is_kept_during_a_move(rig):
    device = rig.open()
    turn(rig, device, 0.0)
    for angle_deg in (60, 20, 40, 50):
        device.move(rig.now_ns, radians(angle_deg))
    assert rig.until(lambda: not device.read(rig.now_ns).moving, 5.0)
    moves = [one for one in rig.counterpart.module.requests if one.startswith('ma')]
    assert moves[-2:] == ['ma' + counts_text(round(COUNTS * angle / 360)) for angle in (60, 50)]


@given(goals=st.lists(st.floats(-400, 400), min_size=1, max_size=12), sign=st.sampled_from([1, -1]))
def test_every_move_is_at_most_a_quarter_turn_and_arrives(goals, sign):
    counterpart = Ell14Counterpart()
    rig = Rig(elliptec, counterpart.options.model_copy(update={'sign': sign}), counterpart)
    device = rig.open()
    for goal_deg in goals:
        before = counterpart.module.counts
        turn(rig, device, radians(goal_deg))
        after = counterpart.module.counts
        assert abs(after - before) <= COUNTS / 4 + 1 or before == 12345  # that one was the reference run
        assert abs(degrees(remainder(device.read(rig.now_ns).angle_rad - radians(goal_deg), pi))) <= 0.021
        assert abs(remainder(sign * after / COUNTS * 360 - goal_deg, 180)) <= 0.021
    rig.close()


@pytest.mark.parametrize(
    ('status', 'code'),
    [
        (Status.MECHANICAL_TIMEOUT, 'hwp.mechanical_timeout'),
        (Status.THERMAL_ERROR, 'hwp.thermal_error'),
        (Status.OVER_CURRENT, 'hwp.over_current'),
        (Status.BUSY, 'hwp.busy'),
    ],
)
def test_a_status_of_the_module_is_a_fault_and_forgets_the_move(rig, status, code):
    device = rig.open()
    turn(rig, device, 0.0)
    rig.counterpart.module.status = status
    device.move(rig.now_ns, 1.0)
    device.move(rig.now_ns, 1.1)
    codes = [fault_of(lambda: device.read(rig.advance(0.01))) for _ in range(5)]
    assert codes.count(code) == 1
    rig.run(1.0, device.read)
    assert rig.counterpart.module.counts == 0


def test_a_module_that_stops_answering_is_lost_until_it_is_opened_again(rig):
    device = rig.open()
    turn(rig, device, 0.0)
    rig.counterpart.module.silent = True
    device.move(rig.now_ns, 1.0)
    began_ns = rig.now_ns
    assert rig.until(lambda: fault_of(lambda: device.read(rig.now_ns)) == 'hwp.silent', 5.0)
    assert rig.now_ns - began_ns <= 2e9
    rig.counterpart.module.silent = False
    rig.advance(1.0)
    assert fault_of(lambda: device.read(rig.now_ns)) == 'hwp.silent'
    assert fault_of(lambda: device.move(rig.now_ns, 0.3)) == 'hwp.silent'
    before = len(rig.counterpart.module.requests)
    device.close()
    device.open()
    rig.run(1.0, device.read)
    assert set(rig.counterpart.module.requests[before:]) <= {'in', 'gp'}  # the old move is not repeated


def test_a_pulled_cable_is_told_at_the_next_call(rig):
    device = rig.open()
    turn(rig, device, 0.0)
    rig.counterpart.module.unplugged = True
    assert fault_of(lambda: device.read(rig.now_ns)) == 'hwp.silent'
    device.stop(rig.now_ns)
    device.close()
    assert fault_of(device.open) == 'hwp.silent'
    rig.counterpart.module.unplugged = False
    device.open()
    turn(rig, device, 0.4)


def test_another_module_than_the_named_one_is_refused(rig):
    options = rig.counterpart.options.model_copy(update={'serial_number': '11400999'})
    assert fault_of(Rig(elliptec, options, rig.counterpart).open) == 'hwp.other'


def test_a_linear_stage_is_refused():
    assert fault_of(rig_of(model='11').open) == 'hwp.other'


def test_noise_and_other_addresses_on_the_line_are_passed_over(rig):
    device = rig.open()
    turn(rig, device, 0.7)
    before = device.read(rig.now_ns).angle_rad
    rig.counterpart.module.sent += b'\xff\x00garbage\r\n1PO00000000\r\n0PO12\r\n' + b'x' * 5000
    rig.counterpart.module.sent += b'\r\n'
    rig.run(0.5, device.read)
    assert device.read(rig.now_ns).angle_rad == before


def test_parts_of_an_answer_are_put_together():
    answer = parse('0IN0E1140051720231701016800023000')
    info = parse_info(answer)
    assert (info.model, info.serial_number, info.year, info.firmware) == (14, '11400517', '2023', '17')
    assert (info.travel_deg, info.counts_per_turn) == (360, COUNTS)
    assert parse_position(parse('0POFFFFFF00')) == -256


@given(st.integers(-(2**31), 2**31 - 1))
def test_counts_survive_the_wire(counts):
    assert parse_position(parse('0PO' + counts_text(counts))) == counts


# --- a process behind a pseudo-terminal ---


@pytest.fixture
def peer(tmp_path):
    peer = PtyPeer('ell14', tmp_path)
    yield peer
    peer.thaw()
    peer.pull()


def test_a_frozen_module_is_reported_and_never_moves_by_an_old_command(peer):
    rig = Rig(elliptec, ElliptecOptions(port=peer.port, timeout_s=1.5))
    device = rig.open()
    assert device.self_test().startswith('ELL14 serial 11400517 firmware 17, 143360 counts/turn, status ok')
    peer.freeze()
    device.move(rig.now_ns, 1.0)
    assert rig.until(lambda: fault_of(lambda: device.read(rig.now_ns)) == 'hwp.silent', 6.0)
    rig.close()
    peer.thaw()


def test_a_pulled_cable_is_reported_and_the_driver_can_be_opened_again(peer):
    rig = Rig(elliptec, ElliptecOptions(port=peer.port, timeout_s=1.5))
    device = rig.open()
    peer.pull()
    assert soon(lambda: fault_of(lambda: device.read(rig.now_ns)) == 'hwp.silent')
    device.close()
    assert fault_of(device.open) == 'hwp.silent'
    peer.start()
    device.open()
    assert 'status ok' in device.self_test(move=True)
    device.close()


def test_the_emulator_answers_another_projects_client(peer):
    """So driver and emulator do not merely share a misunderstanding."""
    client = pytest.importorskip('thorlabs_elliptec', reason='thorlabs-elliptec is not installed')
    stage = client.ELLx(serial_port=peer.port, x=14, device_serial='11400517')
    try:
        stage.home(blocking=True)
        stage.move_absolute(45.0, blocking=True)
        stage.move_relative(-60.0, blocking=True)
        stage.move_absolute(30.0, blocking=True)
        assert stage.get_position() == pytest.approx(30.0, abs=0.01)
        assert stage.firmware_version == '17'
    finally:
        stage.close()
