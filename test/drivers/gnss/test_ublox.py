"""The u-blox driver against messages that pyubx2 has built."""

from __future__ import annotations

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st
from pyubx2 import GET, POLL, UBXMessage, UBXReader
from ublox_emulator import SECOND_NS, Ublox

from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.gps import GpsConformance, GpsTraits
from qkd_gs.devices.conformance.rig import Counterpart, Rig
from qkd_gs.drivers.gnss import ubx
from qkd_gs.drivers.gnss.ublox_receiver import UbloxOptions, ublox

if 'serial_emulators' not in serial.protocol_handler_packages:
    serial.protocol_handler_packages.append('serial_emulators')


class Receiver(Counterpart):
    def __init__(self):
        self.ublox = Ublox()
        self.options = UbloxOptions(port=self.ublox.plug_into('ublox'))

    def advance(self, now_ns):
        self.ublox.advance(now_ns)

    def silence(self):
        self.ublox.silent = True

    def lose_fix(self):
        self.ublox.fixed = False


def rig_of(**options):
    receiver = Receiver()
    return Rig(ublox, receiver.options.model_copy(update=options), receiver)


class TestUblox(GpsConformance):
    traits = GpsTraits(silent_s=2.1)

    @pytest.fixture
    def rig(self):
        return rig_of()


@pytest.fixture
def rig():
    rig = rig_of()
    yield rig
    rig.close()


def fixed(rig):
    device = rig.open()
    assert rig.until(lambda: device.read(rig.now_ns).satellites > 0, 3.0)
    return device


def test_a_fix_has_the_values_of_the_message(rig):
    device = fixed(rig)
    reading = device.read(rig.now_ns)
    assert (reading.latitude_deg, reading.longitude_deg) == pytest.approx((31.1263, 121.5424), abs=1e-7)
    assert (reading.altitude_m, reading.satellites, reading.time_accuracy_s) == (25.0, 17, 23e-9)
    assert reading.pps_utc_ns == rig.now_ns // SECOND_NS * SECOND_NS  # though the solution is 37 ns before the second
    health = device.health()
    assert (health['model'], health['firmware'], health['serial_number']) == ('ZED-F9T', 'TIM 2.20', 'deadbeef01')
    assert health['pps_quantization_ns'] == '-2.345'
    assert health['survey_in'] == 'done, 300 s, 1.23 m'
    assert health['leap_seconds'] == '18'


@pytest.mark.parametrize('seconds', [1, -1])
def test_a_jump_of_the_second_is_told(rig, seconds):
    device = fixed(rig)
    rig.counterpart.ublox.shift_s = seconds
    assert rig.until(lambda: fault_of(lambda: device.read(rig.now_ns)) == 'gps.time_jump', 1.1)


def test_leap_seconds_that_no_satellite_has_told_are_not_compared(rig):
    rig.counterpart.ublox.leap_seconds, rig.counterpart.ublox.leap_source = 16, 0
    device = fixed(rig)
    assert device.health()['leap_seconds'] == 'not received yet'
    rig.counterpart.ublox.leap_source = 2
    assert rig.until(lambda: fault_of(lambda: device.read(rig.now_ns)) == 'gps.leap_seconds', 2.1)


def test_messages_that_an_older_receiver_refuses_are_done_without(rig):
    rig.counterpart.ublox.refused = {ubx.NAV_SVIN, ubx.TIM_SVIN, ubx.TIM_TP, ubx.NAV_TIMELS}
    fixed(rig)


def test_a_receiver_without_position_and_time_is_refused(rig):
    rig.counterpart.ublox.refused = {ubx.NAV_PVT}
    assert fault_of(rig.open) == 'gps.refused'


def test_another_receiver_is_refused():
    assert fault_of(rig_of(serial_number='0000000000').open) == 'gps.other'


def test_a_pulled_cable_is_told_and_the_receiver_can_be_opened_again(rig):
    device = fixed(rig)
    rig.counterpart.ublox.unplugged = True
    assert fault_of(lambda: device.read(rig.now_ns)) == 'gps.silent'
    device.close()
    assert fault_of(device.open) == 'gps.silent'
    rig.counterpart.ublox.unplugged = False
    device.open()
    assert rig.until(lambda: device.read(rig.now_ns).satellites > 0, 3.0)


def test_frames_are_found_between_nmea_noise_and_broken_frames():
    good = UBXMessage(0x0D, 1, GET, qErr=77).serialize()
    broken = bytearray(good)
    broken[10] ^= 1
    noise = b'$GPGGA,1*00\r\n\xb5\xb5\x62' + bytes(broken) + b'\xb5\x62\x01\x07\xff\xff'
    stream = ubx.UbxStream()
    data = noise + good + noise + good + bytes(2100)  # a head in noise may claim up to 2 kB
    found = [message for start in range(0, len(data), 7) for message in stream.feed(data[start : start + 7])]
    assert [kind for kind, _ in found] == [ubx.TIM_TP, ubx.TIM_TP]
    assert ubx.parse_pulse_error_s(found[0][1]) == pytest.approx(77e-12)
    assert stream.broken >= 2


@given(st.sampled_from([ubx.MON_VER, ubx.SEC_UNIQID, ubx.CFG_MSG]), st.binary(max_size=8))
def test_frames_are_those_of_another_implementation(kind, payload):
    ours = ubx.frame(kind, payload)
    assert UBXReader.parse(ubx.frame(ubx.MON_VER), msgmode=POLL).identity == 'MON-VER'
    assert ours[-2:] == UBXMessage(*kind, GET, payload=payload).serialize()[-2:]
    assert ubx.UbxStream().feed(ours) == [(kind, payload)]


def test_a_date_that_is_none_is_passed_over():
    payload = bytearray(92)
    payload[11] = 7  # claims to be valid
    assert ubx.parse_pvt(bytes(payload)) is None
    assert ubx.parse_pvt(bytes(91)) is None
