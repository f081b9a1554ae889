"""`qkd-gs devices --discover`: servers of many devices, and Alpaca servers that answer a datagram on loopback."""

import json
import shutil
import socket
import threading
from contextlib import suppress

import pytest
from observatory_servers import Server, alpaca, free_port, indi

from qkd_gs.devices.devices_file import load_options
from qkd_gs.devices.discovery import discover, write_devices
from qkd_gs.devices.registry import load_driver
from qkd_gs.drivers.addresses import alpaca_servers
from qkd_gs.drivers.alpaca.probe import probe


def found_at(port):
    """What is found at a port; on a busy machine a server may answer too late for the first questions."""
    for _ in range(20):
        if found := discover([f'127.0.0.1:{port}']):
            return found
    return []


@pytest.fixture
def ended():
    servers = []
    yield servers
    for server in servers:
        server.kill()


def test_devices_behind_indi_are_found_by_what_they_can_do(tmp_path, ended):
    drivers = [
        f'indi_simulator_{name}' for name in ('telescope', 'gps', 'weather', 'dome', 'rotator', 'focus', 'lightpanel')
    ]
    ended.append(server := indi(tmp_path, *drivers))
    found = {}
    while len(found) < len(drivers):  # each tells of itself as soon as it has started
        found = {one.kind: one for one in found_at(server.port)}
    assert set(found) == {'mount', 'gps', 'weather', 'dome', 'hwp', 'focuser', 'calibration_light'}
    assert {one.driver for one in found.values()} == {'indi'}
    assert found['dome'].options == {'host': '127.0.0.1', 'port': server.port, 'device': 'Dome Simulator'}
    path = tmp_path / 'found.yaml'
    write_devices(path, found.values())
    assert load_options(str(path), ('mount',))['mount'].device == 'Telescope Simulator'


def test_devices_behind_alpaca_are_found_by_their_kind(tmp_path, ended):
    ended.append(server := alpaca(tmp_path))
    found = {}
    while len(found) < 7:  # on a busy machine it may answer too late
        found = {one.kind: one for one in probe(f'127.0.0.1:{server.port}')}
    assert set(found) == {'mount', 'guiding_camera', 'weather', 'dome', 'hwp', 'focuser', 'calibration_light'}
    options = found['weather'].options
    assert options['conditions'] is options['safety_monitor'] is True
    load_driver('weather', 'alpaca').options.model_validate(options)


def test_devices_are_found_by_the_management_interface(monkeypatch):
    """The simulators lack it; names are those of https://ascom-standards.org/api."""
    told = [
        {'DeviceName': 'Roof', 'DeviceType': 'Dome', 'DeviceNumber': 2, 'UniqueID': 'a'},
        {'DeviceName': 'Rain', 'DeviceType': 'SafetyMonitor', 'DeviceNumber': 1, 'UniqueID': 'b'},
        {'DeviceName': 'Lamp', 'DeviceType': 'CoverCalibrator', 'DeviceNumber': 0, 'UniqueID': 'c'},
        'nonsense',
    ]
    monkeypatch.setattr('qkd_gs.drivers.alpaca.probe._value', lambda connection, path: told)
    roof, rain, lamp = probe('127.0.0.1:11111')
    assert (lamp.kind, lamp.options['number']) == ('calibration_light', 0)
    assert (roof.kind, roof.options['number'], roof.said) == ('dome', 2, 'Alpaca, Roof')
    assert (rain.kind, rain.options['safety_monitor'], rain.options['conditions']) == ('weather', True, False)
    assert probe('/dev/ttyUSB0') == []


def test_rotctld_is_found_and_is_asked_for_nothing_but_its_position_and_name(tmp_path, ended):
    if shutil.which('rotctld') is None:
        pytest.skip('rotctld not installed (Debian: libhamlib-utils)')
    port = free_port()
    ended.append(Server(['rotctld', '-m', '1', '-T', '127.0.0.1', '-t', str(port)], tmp_path, port))
    (found,) = found_at(port)
    assert (found.kind, found.driver, found.said) == ('mount', 'rotctl', 'rotctld, Dummy rotator')
    assert found.options == {'host': '127.0.0.1', 'port': port}


class Listener:
    """A UDP socket on loopback that answers every datagram with what it is told to."""

    def __init__(self, *answers):
        self.heard, self._answers = [], answers
        self._line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._line.bind(('127.0.0.1', 0))
        self.port = self._line.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        data, where = self._line.recvfrom(1024)
        self.heard.append(data)
        for answer in self._answers:
            self._line.sendto(answer, where)

    def close(self):
        with suppress(OSError):
            self._line.sendto(b'', ('127.0.0.1', self.port))
        self._thread.join()
        self._line.close()


def test_alpaca_servers_answer_a_datagram():
    listener = Listener(b'{"AlpacaPort": 11111}', b'nonsense', b'[]', json.dumps({'AlpacaPort': 'x'}).encode())
    try:
        assert alpaca_servers(['127.0.0.1'], listener.port) == ['127.0.0.1:11111']
        assert listener.heard == [b'alpacadiscovery1']
    finally:
        listener.close()


def test_nobody_answers_a_datagram():
    assert alpaca_servers(['127.0.0.1'], free_port()) == []
