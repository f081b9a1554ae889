"""The SCPI driver against PyVISA-sim, in this process and, once, in that of the guard."""

from __future__ import annotations

from itertools import pairwise

import pytest
from guard_in_time import GuardInTime
from pydantic import ValidationError
from scpi_laser import RESOURCE, ScpiLaser

from qkd_gs.devices.conformance.beacon import BeaconConformance, BeaconTraits
from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.rig import Counterpart, Rig
from qkd_gs.devices.driver import driver
from qkd_gs.drivers.guarded_laser.beacon import GuardedBeacon
from qkd_gs.drivers.scpi.beacon import probe, scpi
from qkd_gs.drivers.scpi.control import ScpiControl
from qkd_gs.drivers.scpi.options import ScpiOptions
from qkd_gs.errors import StationError

REQUIRED = {
    'resource': RESOURCE,
    'rated_power_w': 1.5,
    'interlock_query': 'OUTP:PROT:INTL:TRIP?',
    'interlock_closed_answer': '0',
}


class Bench(Counterpart):
    """A laser, its guard and the driver, all in the time of the test."""

    def __init__(self, folder, **options):
        self.laser = ScpiLaser(folder)
        chosen = {'library': self.laser.library, 'timeout_s': 0.05, 'fault_query': 'SYST:FAUL?'}
        self.options = ScpiOptions(**REQUIRED, **(chosen | options))
        self.guard = GuardInTime(ScpiControl, self.options)
        self.rig = Rig(driver(ScpiOptions)(lambda context: GuardedBeacon(self.guard)), self.options, self)

    def advance(self, now_ns):
        self.guard.advance(now_ns)

    def silence(self):
        self.laser.silent = self.laser.deaf = True

    def open_interlock(self):
        self.laser['tripped'] = '1'

    def light(self):
        device = self.rig.open()
        self.rig.run(1.0, device.on)
        assert self.laser.lit
        return device

    def keep_on(self, device, seconds):
        """Go on commanding light, whatever comes of it."""
        self.rig.run(seconds, lambda now_ns: fault_of(lambda: device.on(now_ns)))

    def lost_as(self, device, code, seconds=0.5):
        return self.rig.until(lambda: fault_of(lambda: device.read(self.rig.now_ns)) == code, seconds)


class TestScpi(BeaconConformance):
    traits = BeaconTraits(age_s=0.15, silent_s=1.0, on_s=1.0, off_s=0.1, watchdog_s=0.25)

    @pytest.fixture
    def rig(self, tmp_path):
        return Bench(tmp_path).rig


class TestScpiOfALaserThatCannotTellItsPower(TestScpi):
    @pytest.fixture
    def rig(self, tmp_path):
        return Bench(tmp_path, power_query=None, fault_query=None).rig


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.rig.close()


def test_the_first_command_ever_switches_off(bench):
    bench.laser['light'] = 'ON'
    bench.rig.open()
    assert bench.laser.commands[0] == 'OUTP OFF'
    assert not bench.laser.lit


def test_powers_are_told_in_the_unit_of_the_laser():
    assert ScpiOptions(**REQUIRED).power_message(0.05) == 'SOUR:POW 0.05'
    milliwatts = ScpiOptions(**REQUIRED, power_unit='mW', power_command='POW {power}mW')
    assert milliwatts.power_message(0.05) == 'POW 50mW'


def test_a_refused_power_means_no_light(tmp_path):
    bench = Bench(tmp_path, power_unit='mW')  # 50 is more than the 1.5 that the laser takes
    device = bench.rig.open()
    bench.keep_on(device, 0.5)
    assert 'OUTP ON' not in bench.laser.commands
    assert fault_of(lambda: device.read(bench.rig.now_ns)) == 'beacon.refused'
    bench.rig.close()


def test_every_ramp_begins_at_the_start_power(bench):
    device = bench.light()
    powers = [float(one.split()[1]) for one in bench.laser.commands if one.startswith('SOUR:POW ')]
    assert (powers[0], powers[-1]) == (0.05, 1.0)
    assert max(b - a for a, b in pairwise(powers)) < 0.2
    assert bench.laser.commands.index('SOUR:POW 0.05') < bench.laser.commands.index('OUTP ON')
    device.off(bench.rig.now_ns)
    bench.rig.advance(0.2)
    before = len(bench.laser.commands)
    bench.rig.run(0.1, device.on)
    assert next(one for one in bench.laser.commands[before:] if one.startswith('SOUR:POW ')) == 'SOUR:POW 0.05'


def test_settings_come_before_the_light_and_are_checked(tmp_path):
    bench = Bench(tmp_path, setup_commands=('SOUR:FUNC POW',), expected_answers={'SOUR:FUNC?': 'POW'})
    bench.light()
    commands = bench.laser.commands
    assert commands.index('SOUR:FUNC POW') < commands.index('SOUR:FUNC?') < commands.index('OUTP ON')
    bench.rig.close()


def test_a_laser_that_is_set_otherwise_is_refused(tmp_path):
    bench = Bench(tmp_path, expected_answers={'SOUR:FUNC?': 'POW'})
    device = bench.rig.open()
    bench.keep_on(device, 0.3)
    assert 'OUTP ON' not in bench.laser.commands
    assert fault_of(lambda: device.read(bench.rig.now_ns)) == 'beacon.setting'
    bench.rig.close()


def test_another_laser_is_refused(tmp_path):
    bench = Bench(tmp_path, serial_number='999')
    device = bench.rig.open()
    assert bench.lost_as(device, 'beacon.other')
    bench.rig.close()


def test_errors_of_before_are_forgotten(bench):
    bench.laser.report('hot')
    bench.light()


@pytest.mark.parametrize(
    ('error', 'code'),
    [('hot', 'beacon.laser_fault'), ('invented', 'beacon.laser_fault'), ('command_error', 'beacon.refused')],
)
def test_an_error_in_the_queue_switches_off_and_is_reported(bench, error, code):
    device = bench.light()
    bench.laser.report(error)
    assert bench.lost_as(device, code, 0.3)
    assert not bench.laser.lit
    assert fault_of(lambda: device.on(bench.rig.now_ns)) == code


def test_a_fault_of_the_laser_switches_off_and_is_reported(bench):
    device = bench.light()
    bench.laser['faults'] = '16'
    assert bench.lost_as(device, 'beacon.laser_fault', 0.3)
    assert not bench.laser.lit


def test_a_closed_interlock_lets_light_again(bench):
    device = bench.light()
    bench.open_interlock()
    bench.keep_on(device, 0.3)
    assert not bench.laser.lit
    bench.laser['tripped'] = '0'
    bench.rig.advance(0.3)
    assert not bench.laser.lit
    bench.rig.run(0.5, device.on)
    assert bench.laser.lit


def test_an_unknown_answer_about_the_interlock_is_an_open_one(bench):
    device = bench.light()
    bench.laser['tripped'] = '0.5'
    bench.keep_on(device, 0.3)
    assert not bench.laser.lit
    assert not device.read(bench.rig.now_ns).interlock_closed


def test_too_much_power_switches_off(bench):
    device = bench.light()
    bench.rig.run(1.5, device.on)
    bench.laser.factor = 1.4
    bench.keep_on(device, 0.2)
    assert bench.lost_as(device, 'beacon.power', 0.2)
    assert not bench.laser.lit


def test_a_laser_that_does_not_switch_off_is_reported(bench):
    device = bench.light()
    bench.laser.stuck = True
    device.off(bench.rig.now_ns)
    assert bench.lost_as(device, 'beacon.stuck_on', 0.6)
    assert bench.laser.commands[-20:].count('OUTP OFF') >= 2  # it goes on trying


def test_a_silent_laser_is_told_to_switch_off_all_the_same(bench):
    device = bench.light()
    bench.laser.silent = True
    bench.keep_on(device, 0.1)
    assert not bench.laser.lit
    assert fault_of(lambda: device.read(bench.rig.now_ns)) == 'beacon.silent'
    bench.laser.silent = False
    bench.keep_on(device, 0.5)
    assert not bench.laser.lit


def test_an_unplugged_laser_is_switched_off_as_soon_as_it_is_back(bench):
    device = bench.light()
    bench.laser.unplug()
    assert bench.lost_as(device, 'beacon.silent', 0.3)
    bench.rig.advance(0.5)
    before = len(bench.laser.commands)
    assert bench.laser.lit  # nothing can reach it, and it has no watchdog of its own
    bench.laser.plug()
    bench.rig.advance(0.3)
    assert bench.laser.commands[before] == 'OUTP OFF'
    assert not bench.laser.lit
    assert 'OUTP ON' not in bench.laser.commands[before:]


@pytest.mark.parametrize('garbage', [b'\xfe\x00', b'0,"No error"\n', b'\n', b'0\n'])
def test_nonsense_from_the_laser_switches_off(bench, garbage):
    device = bench.light()
    for _ in range(5):  # whichever question it hits
        bench.laser.garbage = garbage
        bench.keep_on(device, 0.02)
    assert not bench.laser.lit
    assert fault_of(lambda: device.read(bench.rig.now_ns)) in ('beacon.garbled', 'beacon.laser_fault')


def test_nothing_at_the_resource_is_reported_when_it_is_opened(tmp_path):
    bench = Bench(tmp_path)
    bench.laser.unplug()
    assert fault_of(bench.rig.open) == 'beacon.silent'


def test_more_power_than_the_laser_has_is_refused(bench):
    with pytest.raises(StationError, match=r'1 W is more than the rated 0\.5 W'):
        Rig(scpi, bench.options.model_copy(update={'rated_power_w': 0.5})).make()


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ({'off_command': 'OUTP OFF; OUTP ON'}, 'not one SCPI message'),
        ({'light_query': 'OUTP'}, 'no question'),
        ({'on_command': 'OUTP?'}, 'a question, where a setting belongs'),
        ({'power_command': 'SOUR:POW 1'}, 'does not have {power} once'),
        ({'setup_commands': ['OUTP ON']}, 'also off_command or one of setup_commands'),
        ({'power_query': 'OUTP?'}, 'the question for two things'),
        ({'expected_answers': {'SYST:AUT': '0'}}, 'no question'),
    ],
)
def test_commands_that_cannot_be_meant_are_refused(options, said):
    with pytest.raises(ValidationError, match=said):
        ScpiOptions(**REQUIRED, **options)


def test_asking_who_is_there_changes_nothing(bench):
    bench.laser['light'] = 'ON'
    found = probe(RESOURCE, bench.laser.library)
    assert found.options == {'resource': RESOURCE, 'serial_number': '123456'}
    assert bench.laser.commands == ['*IDN?']
    bench.laser.silent = True
    assert probe(RESOURCE, bench.laser.library) is None
    assert probe('/dev/ttyUSB0') is None


def test_the_guard_process_drives_the_laser(bench):
    """PyVISA-sim runs in the process of the guard, with a laser of its own."""
    rig = Rig(scpi, bench.options.model_copy(update={'power_query': None, 'timeout_s': 1.0}))
    device = rig.open()
    said = device.self_test(move=True)
    rig.close()
    assert 'serial_number 123456' in said
    assert 'interlock closed; lit and went off' in said
