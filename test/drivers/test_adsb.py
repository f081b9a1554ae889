"""Receivers of aircraft positions against feeds on loopback: healthy, killed, frozen, nonsense."""

import json
import threading
import time

import pytest
from aircraft_feeds import POSITION, VELOCITY, HttpFeed, JsonFeed, SbsFeed, entry, message
from hypothesis import given
from hypothesis import strategies as st
from pty_peer import soon
from pydantic import ValidationError

from qkd_gs.devices.conformance.aircraft import AircraftConformance
from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.rig import START_NS, Rig
from qkd_gs.drivers.adsb.json_receiver import JsonOptions, JsonReceiver, json_snapshots
from qkd_gs.drivers.adsb.sbs import parse_line
from qkd_gs.drivers.adsb.sbs_receiver import SbsOptions, SbsReceiver, probe, sbs
from qkd_gs.drivers.adsb.snapshot import parse_snapshot
from qkd_gs.safety.device_watch import DeviceWatch
from qkd_gs.safety.laser.laser_safety import BeamMotion, LaserSafety
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)


class TestSbs(AircraftConformance):
    @pytest.fixture
    def rig(self):
        feed = SbsFeed()
        yield Rig(sbs, SbsOptions(port=feed.port, timeout_s=3), feed)
        feed.close()


class TestJson(AircraftConformance):
    @pytest.fixture
    def rig(self, tmp_path):
        path = tmp_path / 'aircraft.json'
        feed = JsonFeed(path)
        feed.advance(START_NS)
        return Rig(json_snapshots, JsonOptions(file=str(path), timeout_s=3), feed)


# --- messages ---


def test_a_position_and_a_velocity_have_the_units_of_aviation_converted():
    place = parse_line(POSITION, 7)
    assert (place.icao, place.latitude_deg, place.longitude_deg) == ('4CA2D3', 31.45, 121.9)
    assert place.altitude_m == pytest.approx(10058.4)
    assert not place.geometric
    moving = parse_line(VELOCITY, 7)
    assert moving.speed_m_s == pytest.approx(231.5)
    assert moving.track_deg == 271
    assert moving.climb_m_s == pytest.approx(-0.325, abs=1e-3)
    assert moving.latitude_deg is None


def test_an_empty_line_keeps_the_link_alive_and_tells_nothing():
    assert parse_line(b'\r\n', 7) is None


@pytest.mark.parametrize(
    'line',
    [
        b'hello',
        b'MSG,3,1,1,4CA2D3',
        message(icao='XYZ'),
        message(lat='95', lon='0'),
        message(lat='nan', lon='0'),
        message(alt='999999'),
        message(alt='-5000'),
        message(gs='5000'),
        b'\xff\xfe' + POSITION,
    ],
)
def test_nonsense_is_no_message(line):
    with pytest.raises(ValueError, match=r'.'):
        parse_line(line, 7)


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_a_message_or_refused(data):
    for parse in (parse_line, parse_snapshot):
        try:
            parse(data, 7)
        except ValueError:
            continue


def test_a_snapshot_tells_every_aircraft_and_how_old_its_position_is():
    listed = [entry(), entry(hex='~abc123', alt_geom=None), entry(hex='aaaaaa', lat=None, lon=None)]
    listed += [entry(hex='bbbbbb', alt_baro='ground', alt_geom=None), entry(hex='cccccc', gs='fast'), 17]
    text = json.dumps({'now': START_NS / 1e9, 'aircraft': listed}).encode()
    found = parse_snapshot(text, START_NS)
    first, other, unplaced, ground = found.reports
    assert found.refused == 2
    assert first.callsign == 'EIN123'
    assert first.stamp_ns == START_NS - 200_000_000
    assert (first.altitude_m, first.geometric) == (pytest.approx(10210.8), True)
    assert (other.icao, other.geometric) == ('~ABC123', False)
    assert unplaced.latitude_deg is None
    assert ground.on_ground
    assert ground.altitude_m is None


# --- feeds that break ---


@pytest.fixture
def feed():
    made = SbsFeed()
    yield made
    made.close()


def test_a_feed_that_sends_nonsense_only_is_as_silent_as_one_that_sends_nothing(feed):
    rig = Rig(sbs, SbsOptions(port=feed.port, timeout_s=3), feed)
    device = rig.open()
    feed.silent = True
    told = rig.until(
        lambda: (feed.send(b'rubbish\n'), fault_of(lambda: device.read(rig.now_ns)) == 'aircraft.silent')[1], 4.0
    )
    assert told
    device.close()


def test_a_message_in_pieces_is_one_message(feed):
    rig = Rig(sbs, SbsOptions(port=feed.port), feed)
    device = rig.open()
    rig.advance(0.1)
    feed.silent = True
    device.read(rig.now_ns)
    for k in range(0, len(VELOCITY), 7):
        feed.send(VELOCITY[k : k + 7])
        told = device.read(rig.advance(0.01)).reports
    assert [one.speed_m_s for one in told] == [pytest.approx(231.5)]
    device.close()


def test_a_feed_that_is_not_there_is_told_at_once():
    feed = SbsFeed()
    feed.cut()
    device = SbsReceiver(SbsOptions(port=feed.port))
    device.open()
    assert soon(lambda: fault_of(lambda: device.read(time.time_ns())) == 'aircraft.silent')
    device.close()


def test_a_clock_that_is_ahead_is_told(tmp_path):
    feed = JsonFeed(tmp_path / 'aircraft.json')
    feed.offset_s = 3.0
    feed.advance(START_NS)
    rig = Rig(json_snapshots, JsonOptions(file=str(feed.path)), feed)
    device = rig.open()
    assert fault_of(lambda: device.read(rig.now_ns)) == 'aircraft.clock'


def test_snapshots_come_over_http_and_its_errors_are_told():
    server = HttpFeed()
    device = JsonReceiver(JsonOptions(url=server.url))
    try:
        server.body = json.dumps({'now': time.time(), 'aircraft': [entry()]}).encode()
        device.open()
        assert soon(lambda: device.read(time.time_ns()).reports)
        server.status = 404
        assert soon(lambda: fault_of(lambda: device.read(time.time_ns())) == 'aircraft.silent')
    finally:
        device.close()
        server.close()


@pytest.mark.parametrize(
    'options',
    [{}, {'file': 'a', 'url': 'http://127.0.0.1/b'}, {'url': 'http://radar.example/a'}, {'url': 'ftp://1.2.3.4'}],
)
def test_a_source_that_could_hold_up_the_station_is_refused(options):
    with pytest.raises(ValidationError):
        JsonOptions(**options)
    with pytest.raises(ValidationError):
        SbsOptions(host='radar.example')


def test_the_probe_knows_a_feed_by_its_messages(feed):
    assert probe('/dev/ttyUSB0') is None
    stop = []

    def serve():
        while not stop:
            feed.advance(time.time_ns())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert probe(f'127.0.0.1:{feed.port}').options == {'host': '127.0.0.1', 'port': feed.port}
    finally:
        stop.append(1)
        thread.join()


# --- from the feed to the permit ---


def watched(make, laser):
    return DeviceWatch(make, lambda device, now_ns: laser.heard(now_ns, device.read(now_ns)), laser.lost)


def test_the_light_goes_off_when_the_feed_is_killed_and_comes_back_with_it():
    feeds = [SbsFeed()]
    laser = LaserSafety(STATION, load_site('shanghai'))
    watch = watched(lambda: SbsReceiver(SbsOptions(port=feeds[-1].port, timeout_s=3)), laser)
    now_ns = START_NS

    def codes(seconds):
        nonlocal now_ns
        for _ in range(round(seconds * 20)):
            now_ns += 50_000_000
            feeds[-1].advance(now_ns)
            watch.step(now_ns, now_ns)
        return [limit.code for limit in laser.step(now_ns, BeamMotion(0.0, 1.2))]

    assert codes(0.05) == ['laser.aircraft_unknown']
    assert codes(3.0) == []
    feeds[-1].cut()
    assert codes(0.1) == ['laser.aircraft_unknown']
    assert 'closed' in watch.fault
    assert codes(5.0) == ['laser.aircraft_unknown']
    feeds.append(SbsFeed())
    assert codes(12.0) == []
    assert not watch.fault
    feeds[-1].silence()  # frozen: connected, nothing comes
    assert codes(1.5) == []
    assert codes(2.0) == ['laser.aircraft_unknown']
    watch.close()
    feeds[-1].close()


def test_an_aircraft_of_the_feed_darkens_the_beam_and_is_named(feed):
    laser = LaserSafety(STATION, load_site('shanghai'))
    watch = watched(lambda: SbsReceiver(SbsOptions(port=feed.port)), laser)
    feed.silent = True
    now_ns = START_NS
    for data in (b'', b'', message(1, flight='EIN123'), message(3, alt='33000', lat='31.1263', lon='121.5424')):
        now_ns += 50_000_000
        feed.send(data)
        feed.advance(now_ns)
        watch.step(now_ns, now_ns)
    told = []
    for _ in range(10):
        now_ns += 50_000_000
        watch.step(now_ns, now_ns)
        told = laser.step(now_ns, BeamMotion(1.0, 1.57))
    assert [limit.code for limit in told] == ['laser.aircraft']
    assert 'EIN123' in told[0].words
    watch.close()
