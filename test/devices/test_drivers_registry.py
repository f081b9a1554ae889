"""Drivers by name: those that come along, a third party's, and what is said of those that are not there."""

import json
import sys
from dataclasses import fields, replace
from importlib.metadata import EntryPoint
from math import inf, nan, radians
from types import ModuleType

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.cli import main
from qkd_gs.devices import registry
from qkd_gs.devices.devices_file import load_devices, load_options
from qkd_gs.devices.driver import driver
from qkd_gs.devices.kinds import KINDS, MOUNT
from qkd_gs.devices.mount import MountCommand, check_set_point
from qkd_gs.devices.registry import GROUP, installed, make_device, self_test
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.settings.loader import Section, load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path


@pytest.fixture(scope='module')
def station():
    return load_yaml(share_path('config', 'station.yaml'), StationSettings)


@pytest.fixture
def site():
    return load_site('shanghai')


class AcmeOptions(Section):
    port: str
    baud: int = 9600
    broken: bool = False


def devices_file(tmp_path, **drivers):
    path = tmp_path / 'devices.yaml'
    path.write_text(yaml.safe_dump({kind: {'driver': drivers.get(kind, drivers['others'])} for kind in KINDS}))
    return path


class Acme:
    """A third party's mount."""

    def __init__(self, context):
        self.context, self.calls = context, []

    def open(self):
        self.calls.append('open')
        if self.context.options.broken:
            raise DeviceFault('mount.silent', 'nobody answers')

    def enable(self, now_ns): ...

    def command(self, now_ns, command): ...

    def read(self, now_ns): ...

    def stop(self, now_ns): ...

    def close(self):
        self.calls.append('close')

    def self_test(self):
        return f'serial 17 at {self.context.options.port}'


@pytest.fixture
def acme(monkeypatch):
    """Installed as a package with entry points would be; its drivers made so far."""
    module, made = ModuleType('acme_driver'), []

    @driver(AcmeOptions)
    def make(context):
        made.append(Acme(context))
        return made[-1]

    module.make = make
    module.function = make.make
    module.empty = driver(AcmeOptions)(lambda context: object())
    monkeypatch.setitem(sys.modules, 'acme_driver', module)
    points = [
        *(EntryPoint(f'{kind}.acme', 'acme_driver:make', GROUP) for kind in KINDS),
        EntryPoint('mount.moved', 'acme_driver:gone', GROUP),
        EntryPoint('mount.lost', 'acme_has_no_such_module:make', GROUP),
        EntryPoint('mount.plain', 'acme_driver:function', GROUP),
        EntryPoint('mount.empty', 'acme_driver:empty', GROUP),
        EntryPoint('nonsense', 'acme_driver:make', GROUP),
    ]
    monkeypatch.setattr(registry, 'entry_points', lambda group: points if group == GROUP else [])
    registry._entry_points.cache_clear()
    yield made
    registry._entry_points.cache_clear()


def test_the_simulated_ones_come_along():
    devices = load_devices('sim')
    assert devices.simulated
    for kind in KINDS:
        assert 'sim' in installed(kind)


@pytest.mark.parametrize(
    ('driver', 'told'), [('none', 'no driver has been chosen'), ('acne', "'acne' is not installed")]
)
def test_a_driver_that_is_not_there_is_told_by_file_and_device(tmp_path, driver, told):
    path = devices_file(tmp_path, others='sim', hwp=driver)
    with pytest.raises(StationError) as error:
        load_devices(str(path))
    assert str(error.value).startswith(f'{path}: hwp: ')
    assert told in str(error.value)
    assert '(installed: ' in str(error.value)
    assert 'qkd-gs devices' in str(error.value)


def test_a_mixture_of_simulated_and_real_devices_is_refused(tmp_path, acme):
    with pytest.raises(StationError, match='simulated and real devices in one station'):
        load_devices(str(devices_file(tmp_path, others='sim', gps='acme')))
    assert not load_devices(str(devices_file(tmp_path, others='acme'))).simulated


@pytest.mark.parametrize(
    'text', ['mount: {driver: sim}', 'mount: {driver: "S I M"}', '[]', 'spectrometer: {driver: sim}']
)
def test_a_file_that_does_not_fit_is_told_by_key(tmp_path, text):
    path = tmp_path / 'devices.yaml'
    path.write_text(text)
    with pytest.raises(StationError, match=r'devices\.yaml'):
        load_devices(str(path))


OPTIONS = AcmeOptions(port='/dev/ttyUSB0')


def test_a_third_partys_driver_gets_its_options(acme, station, site):
    device = make_device(MOUNT, 'acme', station, site, OPTIONS)
    assert device.context.options.port == '/dev/ttyUSB0'
    assert device.context.link is None
    assert installed('mount')['acme'] == 'acme_driver:make'
    assert 'nonsense' not in installed('mount')


def options_file(tmp_path, mount):
    path = tmp_path / 'devices.yaml'
    devices = {kind: {'driver': 'acme', 'options': {'port': 'usb'}} for kind in KINDS}
    path.write_text(yaml.safe_dump(devices | {'mount': mount}, sort_keys=False))
    return path


def test_options_are_read_into_the_drivers_own_class(acme, tmp_path):
    path = options_file(tmp_path, {'driver': 'acme', 'options': {'port': 'usb', 'baud': 115200}})
    options = load_options(str(path))
    assert options['mount'] == AcmeOptions(port='usb', baud=115200)
    assert options['hwp'] == AcmeOptions(port='usb')
    assert list(load_options('sim', ('gps',))) == ['gps']


@pytest.mark.parametrize(
    ('mount', 'told'),
    [
        ({'driver': 'acme'}, 'mount.options: '),
        ({'driver': 'acme', 'options': {'baud': 9600}}, 'mount.options.port: '),
        ({'driver': 'acme', 'options': {'port': 'usb', 'baud': 'fast'}}, 'mount.options.baud: '),
        ({'driver': 'acme', 'options': {'port': 'usb', 'prot': 1}}, 'mount.options.prot is not known'),
        ({'driver': 'sim', 'options': {'port': 'usb'}}, 'mount.options.port is not known'),
    ],
)
def test_an_option_that_does_not_fit_is_refused_by_file_and_key(acme, tmp_path, mount, told):
    path = options_file(tmp_path, mount)
    with pytest.raises(StationError) as error:
        load_options(str(path))
    assert str(error.value).startswith(f'{path}:')
    assert told in str(error.value)


@pytest.mark.parametrize('name', ['moved', 'lost'])
def test_a_driver_that_cannot_be_loaded_is_named(acme, station, site, name):
    with pytest.raises(StationError, match=f"^driver '{name}' of mount cannot be loaded: "):
        make_device(MOUNT, name, station, site, OPTIONS)


@pytest.mark.parametrize(('name', 'told'), [('plain', 'is not a Driver'), ('empty', 'lacks methods of Mount')])
def test_what_is_no_driver_of_its_kind_is_refused(acme, station, site, name, told):
    with pytest.raises(StationError, match=told):
        make_device(MOUNT, name, station, site, OPTIONS)


def test_a_driver_that_is_no_longer_installed_is_reported(station, site):
    with pytest.raises(
        StationError, match=r"^driver 'acme' is not installed \(installed: alpaca, cia402, indi, rotctl, sim\)"
    ):
        make_device(MOUNT, 'acme', station, site, OPTIONS)


def test_self_test_opens_and_closes(acme, station, site):
    assert self_test(MOUNT, 'acme', station, site, OPTIONS) == {'found': True, 'self_test': 'serial 17 at /dev/ttyUSB0'}
    assert acme[-1].calls == ['open', 'close']
    result = self_test(MOUNT, 'acme', station, site, AcmeOptions(port='usb', broken=True))
    assert not result['found']
    assert 'nobody answers' in result['self_test']
    assert acme[-1].calls == ['open', 'close']


def test_the_command_lists_options_and_a_driver_that_cannot_be_loaded(acme, tmp_path, capsys):
    path = options_file(tmp_path, {'driver': 'lost'})
    assert main(['devices', '--devices', str(path), '--json']) == 0
    rows = {row['device']: row for row in json.loads(capsys.readouterr().out)}
    assert 'cannot be loaded' in rows['mount']['self_test']
    assert rows['mount']['found'] is False
    assert rows['mount']['options']['acme']['required'] == ['port']
    assert main(['devices', '--devices', str(path)]) == 0
    assert 'mount.acme: baud (integer, default 9600)' in capsys.readouterr().out


# --- what no driver lets through ---


def fault_of(command):
    settings = load_yaml(share_path('config', 'station.yaml'), StationSettings).mount
    try:
        check_set_point(settings, command)
    except DeviceFault as fault:
        return fault
    return None


@given(st.floats(-400, 400), st.floats(-90, 180))
def test_set_points_beyond_the_travel(az_deg, el_deg):
    fault = fault_of(MountCommand(0, radians(az_deg), radians(el_deg)))
    beyond = [abs(az_deg) - 270, -3 - el_deg, el_deg - 93]
    if max(beyond) > 1e-9:
        assert fault.code == 'mount.limit'
        assert ('azimuth' if beyond[0] > 1e-9 else 'elevation') in str(fault)
    elif max(beyond) < -1e-9:
        assert fault is None


@pytest.mark.parametrize('name', [field.name for field in fields(MountCommand)][1:])
@pytest.mark.parametrize('value', [nan, inf, -inf])
def test_set_points_that_are_no_numbers(name, value):
    fault = fault_of(replace(MountCommand(0, 0.1, 0.2), **{name: value}))
    assert fault.code == 'mount.command'
