"""`qkd-gs devices --discover` and the self-test, on emulated devices."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import serial
import yaml
from cia402_twin import TwinProcess
from cobolt_emulator import Cobolt
from ell14_emulator import Ell14
from pty_peer import PtyPeer
from ublox_emulator import Ublox

from qkd_gs.cli import main
from qkd_gs.devices.devices_file import load_devices, load_options
from qkd_gs.devices.discovery import devices_text, discover, write_devices
from qkd_gs.devices.kinds import KINDS
from qkd_gs.devices.registry import installed, load_driver
from qkd_gs.errors import StationError

if 'serial_emulators' not in serial.protocol_handler_packages:
    serial.protocol_handler_packages.append('serial_emulators')


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch):
    monkeypatch.setattr('qkd_gs.cli.station.devices.usual_addresses', list)
    monkeypatch.setattr('qkd_gs.cli.station.devices.serial_ports', lambda: {'/dev/ttyUSB9': ''})


@pytest.fixture
def ports():
    """Three serial devices and their addresses."""
    devices = {'hwp': Ell14(), 'beacon': Cobolt(), 'gps': Ublox()}
    return devices, {kind: device.plug_into(f'found-{kind}') for kind, device in devices.items()}


def test_what_answers_is_recognized_by_its_driver(ports):
    _, addresses = ports
    found = {one.kind: one for one in discover(addresses.values())}
    assert {kind: one.driver for kind, one in found.items()} == {'hwp': 'elliptec', 'beacon': 'cobolt', 'gps': 'ublox'}
    assert found['hwp'].options == {'port': addresses['hwp'], 'serial_number': '11400517'}
    assert found['beacon'].options == {'port': addresses['beacon'], 'serial_number': '123456'}
    assert 'ZED-F9T' in found['gps'].said


def test_asking_moves_nothing_and_emits_no_light(ports):
    devices, addresses = ports
    discover(addresses.values())
    assert set(devices['hwp'].requests) <= {'in'}
    assert not [one for one in devices['beacon'].commands if not one.endswith('?') and len(one) < 8]
    assert not devices['beacon'].lit
    assert devices['gps'].rates == {}


def test_a_port_where_nothing_answers_is_nothing(ports):
    silent = Ell14()
    silent.silent = True
    gone = Ell14()
    addresses = [silent.plug_into('silent'), gone.plug_into('gone'), '127.0.0.1:1', 'can:virtual:nobody']
    gone.unplugged = True
    assert discover(addresses) == []


def test_the_file_names_what_is_missing_when_it_is_loaded(ports, tmp_path):
    _, addresses = ports
    path = tmp_path / 'found.yaml'
    write_devices(path, discover(addresses.values()))
    chosen = yaml.safe_load(path.read_text(encoding='utf-8'))
    assert list(chosen) == list(KINDS)
    assert chosen['mount'] == {'driver': 'none'}
    with pytest.raises(StationError, match='no driver has been chosen'):
        load_devices(str(path))
    with pytest.raises(StationError, match=r'beacon\.options\.rated_power_w: Field required'):
        load_options(str(path), ('beacon',))
    assert load_options(str(path), ('hwp',))['hwp'].serial_number == '11400517'
    with pytest.raises(StationError, match='exists already'):
        write_devices(path, [])


def test_a_second_device_of_a_kind_is_a_comment(ports):
    _, addresses = ports
    text = devices_text(discover([addresses['hwp'], Ell14(serial_number='11400999').plug_into('second')]))
    assert '# another hwp at emulator://second: elliptec' in text
    assert yaml.safe_load(text)['hwp']['options']['serial_number'] == '11400517'


def test_the_command_writes_the_file(ports, tmp_path, capsys):
    _, addresses = ports
    path = tmp_path / 'found.yaml'
    arguments = ['devices', '--discover', str(path), '--at', addresses['hwp'], '--at', addresses['beacon']]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert 'hwp: elliptec at emulator://found-hwp: ELL14 serial 11400517' in said
    assert 'not asked, since anything may be there: /dev/ttyUSB9' in said
    assert main(arguments) == 2
    assert 'exists already' in capsys.readouterr().err
    path.unlink()
    assert main([*arguments, '--json']) == 0
    told = json.loads(capsys.readouterr().out)
    ours = [one['kind'] for one in told if one['address'] in addresses.values()]  # cameras of this machine answer, too
    assert ours == ['hwp', 'beacon']


def test_the_self_test_ends_with_pass_and_fail(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('COLUMNS', '400')
    peer = PtyPeer('ell14', tmp_path)
    try:
        devices = {kind: {'driver': 'none'} for kind in KINDS}
        devices['hwp'] = {'driver': 'elliptec', 'options': {'port': peer.port, 'timeout_s': 1.5}}
        devices['beacon'] = {'driver': 'cobolt', 'options': {'port': str(tmp_path / 'nowhere'), 'rated_power_w': 1}}
        path = tmp_path / 'devices.yaml'
        path.write_text(yaml.safe_dump(devices), encoding='utf-8')
        lines = ['']
        for _ in range(20):  # on a busy machine the emulator may answer too late
            assert main(['devices', '--devices', str(path)]) == 0
            lines = capsys.readouterr().out.splitlines()
            if lines[-1].startswith('1 of 2'):
                break
        assert lines[-1] == '1 of 2 devices pass; fail: beacon'
        assert any('status ok' in line and 'pass' in line for line in lines)
        assert any('beacon.silent' in line and 'FAIL' in line for line in lines)
        assert main(['devices', '--devices', str(path), '--move', '--json']) == 0
        rows = {row['device']: row for row in json.loads(capsys.readouterr().out)}
        assert 'after a move to 10 deg' in rows['hwp']['self_test']
        assert rows['hwp']['passed'] is True
        assert rows['mount']['passed'] is None
    finally:
        peer.pull()


def test_servers_are_found_by_host_and_port():
    command = [sys.executable, '-m', 'qkd_gs.drivers.tag_stream.sender', '--listen', '127.0.0.1:0']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().strip()
        (found,) = discover([address])
        assert (found.kind, found.driver, found.options['serial_number']) == ('tdc', 'tag_stream', 'S1')
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_drives_are_found_on_a_bus():
    group = f'239.74.164.{os.getpid() % 250 + 2}'
    drives = TwinProcess(group)
    try:
        (found,) = discover([f'can:udp_multicast:{group}'])
        assert (found.kind, found.driver) == ('mount', 'cia402')
        assert found.options['azimuth'] == {'node_id': 1, 'serial_number': 1001, 'counts_per_turn': 2**26}
        assert found.options['elevation']['node_id'] == 2
    finally:
        drives.kill()


OPTIONAL = [
    ('hwp', 'elliptec', 'serial', 'serial', '/dev/ttyUSB0'),
    ('beacon', 'cobolt', 'serial', 'serial', '/dev/ttyUSB0'),
    ('beacon', 'scpi', 'pyvisa', 'visa', 'TCPIP::127.0.0.1::1::SOCKET'),
    ('beacon', 'scpi', 'pyvisa_py.protocols.rpc', 'visa', 'TCPIP::127.0.0.1::1::SOCKET'),
    ('gps', 'ublox', 'serial', 'serial', '/dev/ttyUSB0'),
    ('mount', 'cia402', 'can', 'can', 'can:socketcan:can0'),
]


@pytest.mark.parametrize(('kind', 'name', 'module', 'extra', 'address'), OPTIONAL)
def test_a_missing_library_is_a_sentence_that_names_the_extra(kind, name, module, extra, address, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    assert name in installed(kind)
    loaded = load_driver(kind, name)
    assert loaded.options.model_json_schema()['properties']
    with pytest.raises(StationError, match=rf"'{module}' is not installed \(pip install \"qkd_gs\[{extra}\]\"\)"):
        loaded.probe(address)
