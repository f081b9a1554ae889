"""The Cobolt driver against hardwarelibrary's emulator: control, guard, and every way out of a lit laser."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import serial
from cobolt_emulator import Cobolt
from guard_in_time import GuardInTime
from pty_peer import PtyPeer, soon

from qkd_gs.devices.conformance.beacon import BeaconConformance, BeaconTraits
from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.rig import Counterpart, Rig
from qkd_gs.devices.driver import driver
from qkd_gs.drivers.cobolt.beacon import cobolt
from qkd_gs.drivers.cobolt.control import CoboltControl
from qkd_gs.drivers.cobolt.options import CoboltOptions
from qkd_gs.drivers.guarded_laser.beacon import GuardedBeacon
from qkd_gs.errors import StationError

if 'serial_emulators' not in serial.protocol_handler_packages:
    serial.protocol_handler_packages.append('serial_emulators')

OPTIONS = CoboltOptions(port='emulator://cobolt', rated_power_w=1.5, serial_number='123456')


class Bench(Counterpart):
    """An emulated laser, its guard and the driver, all in the time of the test."""

    def __init__(self, options=OPTIONS, **how):
        self.laser = Cobolt(**how)
        self.laser.plug_into('cobolt')
        self.guard = GuardInTime(CoboltControl, options)
        self.rig = Rig(driver(CoboltOptions)(lambda context: GuardedBeacon(self.guard)), options, self)

    @property
    def lit(self):
        return self.laser.lit

    def advance(self, now_ns):
        self.guard.advance(now_ns)

    def silence(self):
        self.laser.silent = True

    def open_interlock(self):
        self.laser.laser.interlock = 1

    def light(self):
        device = self.rig.open()
        self.rig.run(1.0, device.on)
        assert self.lit
        return device


class TestCobolt(BeaconConformance):
    traits = BeaconTraits(age_s=0.15, silent_s=1.0, on_s=1.0, off_s=0.1, watchdog_s=0.25)

    @pytest.fixture
    def rig(self):
        return Bench().rig


class TestCoboltWithTheCommandsOfTheEmulatorAlone(TestCobolt):
    """A laser without firmware, fault and state."""

    @pytest.fixture
    def rig(self):
        return Bench(extras=False).rig


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.rig.close()


def test_the_first_command_ever_switches_off(bench):
    bench.laser.laser.isOn = 1
    bench.rig.open()
    assert bench.laser.commands[0] == 'l0'
    assert not bench.lit


def test_the_power_rises_by_a_ramp_from_the_start_power(bench):
    bench.light()
    powers = [float(one[2:]) for one in bench.laser.commands if one.startswith('p ')]
    assert powers[0] == OPTIONS.start_power_w
    assert powers[-1] == 1.0
    assert powers == sorted(powers)
    assert max(b - a for a, b in pairwise(powers)) < 0.2
    assert bench.laser.commands.index('p 0.0500') < bench.laser.commands.index('l1')


def test_a_laser_that_warms_up_is_not_ramped(bench):
    device = bench.rig.open()
    bench.laser.warming = True
    bench.rig.run(2.0, device.on)
    assert bench.laser.laser.requestedPower < 0.2
    bench.laser.warming = False
    bench.rig.run(1.5, device.on)
    assert bench.laser.laser.requestedPower == 1.0


def test_every_ramp_begins_at_the_start_power(bench):
    device = bench.light()
    device.off(bench.rig.now_ns)
    bench.rig.advance(0.2)
    before = len(bench.laser.commands)
    bench.rig.run(0.1, device.on)
    assert next(one for one in bench.laser.commands[before:] if one.startswith('p ')) == 'p 0.0500'


def lost_within(bench, device, code, seconds=2.0):
    begin_ns = bench.rig.now_ns
    assert bench.rig.until(lambda: fault_of(lambda: device.read(bench.rig.now_ns)) == code, seconds)
    return (bench.rig.now_ns - begin_ns) * 1e-9


@pytest.mark.parametrize(
    ('number', 'code'), [(1, 'beacon.temperature'), (4, 'beacon.power_timeout'), (9, 'beacon.laser_fault')]
)
def test_a_fault_of_the_laser_switches_off_and_is_reported(bench, number, code):
    device = bench.light()
    bench.laser.fault = number
    assert lost_within(bench, device, code) < 0.3
    assert not bench.lit
    assert fault_of(lambda: device.on(bench.rig.now_ns)) == code


def test_an_interlock_fault_stays_until_a_person_clears_it(bench):
    device = bench.light()
    bench.laser.laser.interlock, bench.laser.fault = 1, 3
    bench.rig.advance(0.3)
    assert not bench.lit
    bench.laser.laser.interlock = 0
    bench.rig.advance(0.3)
    assert fault_of(lambda: device.on(bench.rig.now_ns)) == 'beacon.interlock'
    bench.laser.fault = 0
    bench.rig.advance(0.3)
    bench.rig.run(0.5, device.on)
    assert bench.lit


def test_an_interlock_fault_may_be_cleared_by_the_driver():
    bench = Bench(OPTIONS.model_copy(update={'clear_interlock_fault': True}))
    device = bench.light()
    bench.laser.laser.interlock, bench.laser.fault = 1, 3
    bench.rig.advance(0.3)
    bench.laser.laser.interlock = 0
    bench.rig.advance(0.3)
    assert not bench.lit
    assert 'cf' not in bench.laser.commands
    bench.rig.run(0.5, device.on)
    assert bench.lit
    bench.rig.close()


def test_autostart_is_refused_or_switched_off():
    bench = Bench(autostart=1)
    device = bench.rig.open()
    lost_within(bench, device, 'beacon.autostart')
    bench.rig.close()
    bench = Bench(OPTIONS.model_copy(update={'disable_autostart': True}), autostart=1)
    bench.light()
    assert bench.laser.laser.autostart == 0
    bench.rig.close()


def test_another_laser_is_refused():
    bench = Bench(OPTIONS.model_copy(update={'serial_number': '999'}))
    device = bench.rig.open()
    lost_within(bench, device, 'beacon.other')
    bench.rig.close()


def test_a_laser_that_does_not_switch_off_is_reported(bench):
    device = bench.light()
    bench.laser.stuck = True
    device.off(bench.rig.now_ns)
    assert lost_within(bench, device, 'beacon.stuck_on') < 0.6
    assert bench.laser.commands[-20:].count('l0') >= 2  # it goes on trying


def test_too_much_power_switches_off(bench):
    device = bench.light()
    bench.rig.run(1.5, device.on)
    bench.laser.laser.requestedPower = 1.4
    bench.rig.run(0.1, lambda now_ns: fault_of(lambda: device.on(now_ns)))
    assert lost_within(bench, device, 'beacon.power') < 0.3
    assert not bench.lit


def test_a_silent_laser_is_told_to_switch_off_all_the_same(bench):
    """Only its answers are lost: the command arrives."""
    device = bench.light()
    answer, bench.laser.say = bench.laser.say, lambda text: None
    bench.rig.run(0.3, lambda now_ns: fault_of(lambda: device.on(now_ns)))
    assert not bench.lit
    assert fault_of(lambda: device.read(bench.rig.now_ns)) == 'beacon.silent'
    bench.laser.say = answer
    bench.rig.run(1.0, lambda now_ns: fault_of(lambda: device.on(now_ns)))
    assert not bench.lit
    assert fault_of(lambda: device.read(bench.rig.now_ns)) == 'beacon.silent'


def test_a_laser_that_was_unplugged_is_switched_off_as_soon_as_it_is_back(bench):
    device = bench.light()
    bench.laser.unplugged = True
    assert lost_within(bench, device, 'beacon.silent') < 0.3
    assert bench.lit  # nothing can reach it, and it has no watchdog of its own
    bench.rig.advance(1.0)
    before = len(bench.laser.commands)
    bench.laser.unplugged = False
    bench.rig.advance(0.3)
    assert bench.laser.commands[before] == 'l0'
    assert not bench.lit
    assert 'l1' not in bench.laser.commands[before:]


def test_nonsense_from_the_laser_switches_off(bench):
    device = bench.light()
    bench.laser.sent[:0] = b'\xfe\x00?\r\n'
    bench.rig.run(0.1, lambda now_ns: fault_of(lambda: device.on(now_ns)))
    assert not bench.lit
    lost_within(bench, device, 'beacon.garbled')


def test_more_power_than_the_laser_has_is_refused(bench):
    with pytest.raises(StationError, match=r'1 W is more than the rated 0\.5 W'):
        Rig(cobolt, OPTIONS.model_copy(update={'rated_power_w': 0.5})).make()


# --- processes: the laser behind a pseudo-terminal, its guard, and the program that gives the orders ---

PROGRAM = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have switched it off
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.drivers.cobolt.beacon import cobolt
from qkd_gs.drivers.cobolt.options import CoboltOptions
device = Rig(cobolt, CoboltOptions(port=sys.argv[1], rated_power_w=1, timeout_s=1, watchdog_s=1)).open()
print(device._guard._process.pid, flush=True)
while True:
    device.on(time.time_ns())
    device.read(time.time_ns())
    time.sleep(0.02)
"""


@pytest.fixture
def peer(tmp_path):
    peer = PtyPeer('cobolt', tmp_path)
    yield peer
    peer.thaw()
    peer.pull()


@pytest.fixture
def program(peer):
    """A program that keeps the laser lit."""
    environment = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, '-c', PROGRAM, peer.port], stdout=subprocess.PIPE, text=True, env=environment
    )
    process.guard = int(process.stdout.readline())
    assert soon(lambda: peer.lit)
    yield process
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT])
def test_the_laser_goes_off_when_its_program_is_killed_or_hangs(peer, program, number):
    program.send_signal(number)
    assert soon(lambda: not peer.lit)


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_the_laser_goes_off_when_its_guard_is_killed_or_hangs(peer, program, number):
    os.kill(program.guard, number)
    assert soon(lambda: not peer.lit)


def test_the_guard_ends_with_its_program(peer, program):
    program.kill()
    assert soon(lambda: not Path(f'/proc/{program.guard}').exists() or _is_zombie(program.guard))


def _is_zombie(pid):
    return ') Z ' in Path(f'/proc/{pid}/stat').read_text(encoding='ascii')


def test_a_frozen_laser_is_reported(peer):
    rig = Rig(cobolt, CoboltOptions(port=peer.port, rated_power_w=1, timeout_s=1))
    device = rig.open()
    assert 'interlock closed' in device.self_test()
    peer.freeze()
    assert soon(lambda: fault_of(lambda: device.read(rig.now_ns)) == 'beacon.silent')
    rig.close()


def test_a_pulled_cable_is_reported_and_the_laser_can_be_opened_again(peer):
    rig = Rig(cobolt, CoboltOptions(port=peer.port, rated_power_w=1, timeout_s=1))
    device = rig.open()
    peer.pull()
    assert soon(lambda: fault_of(lambda: device.read(rig.now_ns)) == 'beacon.silent')
    device.close()
    assert fault_of(device.open) == 'beacon.silent'
    peer.start()
    device.open()
    assert 'went off' in device.self_test(move=True)
    assert not peer.lit
    rig.close()
