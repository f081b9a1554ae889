"""The gpsd driver, against messages in a test's time, and against gpsd itself."""

from __future__ import annotations

import time

import pytest
from gpsd_feeds import SECOND_NS, FeedInTime, GpsFake
from pty_peer import soon

from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.gps import GpsConformance, GpsTraits
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.driver import driver
from qkd_gs.drivers.gnss.gpsd_protocol import fix_of, parse
from qkd_gs.drivers.gnss.gpsd_receiver import GpsdOptions, GpsdReceiver, gpsd


def rig_of(feed, **options):
    chosen = GpsdOptions(**options)
    made = driver(GpsdOptions)(lambda context: GpsdReceiver(context.options, context.site, feed.connect))
    return Rig(made, chosen, feed)


class TestGpsd(GpsConformance):
    traits = GpsTraits(silent_s=2.1)

    @pytest.fixture
    def rig(self):
        return rig_of(FeedInTime())


@pytest.fixture
def feed():
    return FeedInTime()


@pytest.fixture
def rig(feed):
    rig = rig_of(feed)
    yield rig
    rig.close()


def fixed(rig):
    device = rig.open()
    assert rig.until(lambda: device.read(rig.now_ns).satellites > 0, 3.0)
    return device


def told_within(rig, device, code):
    begin_ns = rig.now_ns
    assert rig.until(lambda: fault_of(lambda: device.read(rig.now_ns)) == code, 4.0), f'{code} is not reported'
    return (rig.now_ns - begin_ns) * 1e-9


def test_a_fix_has_the_values_of_the_message(rig):
    reading = fixed(rig).read(rig.now_ns)
    assert (reading.latitude_deg, reading.longitude_deg, reading.altitude_m) == (31.1263, 121.5424, 25.0)
    assert reading.satellites == 11
    assert reading.pps_utc_ns == (rig.now_ns - FeedInTime.DELAY_NS) // SECOND_NS * SECOND_NS


def test_a_lost_fix_keeps_its_messages_and_tells_no_position(rig, feed):
    device = fixed(rig)
    feed.lose_fix()
    rig.advance(1.5)
    reading = device.read(rig.now_ns)
    assert reading.satellites == 0
    assert reading.latitude_deg != reading.latitude_deg
    feed.mode, feed.used = 3, 7
    rig.advance(1.2)
    assert device.read(rig.now_ns).satellites == 7


@pytest.mark.parametrize('seconds', [1, -1, 2, 1024 * 7 * 86400, -1024 * 7 * 86400])
def test_a_jump_of_the_second_is_told_and_stays_told(rig, feed, seconds):
    device = fixed(rig)
    feed.shift_s = seconds
    assert told_within(rig, device, 'gps.time_jump') <= 1.1
    feed.shift_s = 0
    rig.advance(3.0)
    assert fault_of(lambda: device.read(rig.now_ns)) == 'gps.time_jump'


def test_a_jump_back_by_less_than_a_second_is_told_by_the_second_message(rig, feed):
    device = fixed(rig)
    feed.shift_s = -0.8
    assert 1.1 < told_within(rig, device, 'gps.time_jump') <= 2.1


def test_one_late_message_is_no_jump(rig, feed):
    device = fixed(rig)
    feed.silent = True
    rig.run(1.0, device.read)
    second_ns = rig.now_ns // SECOND_NS * SECOND_NS
    late_ns = second_ns + 8 * SECOND_NS // 10
    rig.run((late_ns - rig.now_ns) * 1e-9, device.read)
    feed.silent = False
    for message in feed.messages(second_ns):
        feed.send(**message)
    rig.run(3.0, device.read)
    assert device.read(rig.now_ns).satellites


def test_a_time_that_is_wrong_from_the_beginning_is_told(feed, rig):
    feed.shift_s = -17
    told_within(rig, rig.open(), 'gps.time_offset')


def test_wrong_leap_seconds_are_told(rig, feed):
    device = fixed(rig)
    feed.leap_seconds = 16
    assert told_within(rig, device, 'gps.leap_seconds') <= 1.1


def test_a_receiver_that_is_not_at_the_site_is_told(rig, feed):
    device = fixed(rig)
    feed.lon += 0.01
    assert told_within(rig, device, 'gps.position') <= 1.1


def test_a_daemon_that_ends_is_told_at_the_next_reading(rig, feed):
    device = fixed(rig)
    feed.cut()
    assert fault_of(lambda: device.read(rig.now_ns)) == 'gps.silent'
    device.close()
    device.open()
    assert rig.until(lambda: device.read(rig.now_ns).satellites > 0, 3.0)


def test_a_receiver_that_was_pulled_from_gpsd_is_told_at_once(rig, feed):
    device = fixed(rig)
    feed.send(**{'class': 'DEVICE', 'path': '/dev/gps0', 'activated': 0})
    assert fault_of(lambda: device.read(rig.now_ns)) == 'gps.silent'


def test_several_receivers_are_refused_unless_one_is_named(feed):
    other = {'class': 'TPV', 'device': '/dev/gps1', 'mode': 3, 'time': '2001-01-01T00:00:00Z', 'lat': 0, 'lon': 0}
    for options, code in (({}, 'gps.ambiguous'), ({'device': '/dev/gps0'}, '')):
        rig = rig_of(feed, **options)
        device = fixed(rig)
        feed.send(**other)
        assert fault_of(lambda device=device, rig=rig: device.read(rig.now_ns)) == code
        rig.close()


def test_lines_that_are_no_messages_are_passed_over(rig, feed):
    device = fixed(rig)
    for end in feed._ends:
        end.sendall(b'\xff\xfe\n[1, 2]\n{"class": 7}\n{"class"')
        end.sendall(b': "TPV", "mode": "x", "time": 12, "lat": null}\n')
    device.read(rig.now_ns)


def test_the_clock_of_the_machine_is_compared_with_the_pps(rig, feed):
    device = fixed(rig)
    feed.send(**{'class': 'PPS', 'real_sec': 7, 'real_nsec': 0, 'clock_sec': 6, 'clock_nsec': 999_987_500})
    device.read(rig.now_ns)
    assert device.health()['system_clock_minus_pps_us'] == '-12.5'


def test_satellites_are_counted_where_gpsd_does_not_count_them():
    sky = parse(b'{"class":"SKY","satellites":[{"PRN":1,"used":true},{"PRN":2,"used":false},{"PRN":3,"used":true}]}')
    assert fix_of({'class': 'TPV', 'mode': 3}, sky, 1e-7).satellites == 2
    assert fix_of({'class': 'TPV', 'mode': 3}, None, 1e-7).satellites == 4
    assert fix_of({'class': 'TPV', 'mode': 1}, sky, 1e-7).satellites == 0


# --- gpsd itself ---


@pytest.fixture
def fake(tmp_path):
    made = []

    def make(**how):
        made.append(GpsFake(tmp_path, **how))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def opened(fake):
    options = GpsdOptions(port=fake.port, max_offset_s=3600, max_jump_s=100, timeout_s=10)
    device = Rig(gpsd, options).make()
    assert soon(lambda: not fault_of(device.open))
    assert soon(lambda: device.read(time.time_ns()).satellites > 0)
    return device


def test_gpsd_tells_a_fix(fake):
    device = opened(fake(cycle_s=0.2))
    assert soon(lambda: device.read(time.time_ns()).altitude_m == 33)
    reading = device.read(time.time_ns())
    assert reading.latitude_deg == pytest.approx(31.1263)
    assert reading.longitude_deg == pytest.approx(121.5424)
    assert abs(reading.pps_utc_ns - reading.stamp_ns) < 3600e9
    assert device.health()['gpsd']
    assert 'NMEA' in device.health()['receiver']
    device.close()


def test_gpsd_tells_a_lost_fix(fake):
    device = opened(fake(lost=range(20, 120)))
    assert soon(lambda: device.read(time.time_ns()).satellites == 0)
    device.close()


def test_gpsd_tells_a_time_that_jumps(fake):
    device = opened(fake(jump=(20, 1000)))
    assert soon(lambda: fault_of(lambda: device.read(time.time_ns())) == 'gps.time_jump')
    device.close()


def test_gpsd_that_is_killed_is_told_and_can_be_opened_again(fake):
    daemon = fake(cycle_s=0.2)
    device = opened(daemon)
    daemon.kill()
    assert soon(lambda: fault_of(lambda: device.read(time.time_ns())) == 'gps.silent')
    device.close()
    daemon.start()
    assert soon(lambda: not fault_of(device.open))
    assert soon(lambda: device.read(time.time_ns()).satellites > 0)
    device.close()


def test_gpsd_that_hangs_is_told(fake):
    daemon = fake(cycle_s=0.2)
    device = opened(daemon)
    daemon.freeze()
    later_ns = time.time_ns() + 11 * SECOND_NS
    device.read(time.time_ns())
    assert fault_of(lambda: device.read(later_ns)) == 'gps.silent'
    device.close()
