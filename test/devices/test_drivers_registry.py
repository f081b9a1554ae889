"""Drivers by name: those that come along, a third party's, and what is said of those that are not there."""

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
from qkd_gs.devices.mount import MountCommand, check_set_point
from qkd_gs.devices.registry import (
    GROUP,
    KINDS,
    DeviceChoice,
    DriverContext,
    installed,
    load_devices,
    make_device,
    self_test,
)
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path


@pytest.fixture(scope='module')
def station():
    return load_yaml(share_path('config', 'station.yaml'), StationSettings)


@pytest.fixture
def context(station):
    return DriverContext('mount', station, load_site('shanghai'), {'port': '/dev/ttyUSB0'})


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
        if self.context.options.get('broken'):
            raise DeviceFault('mount.silent', 'nobody answers')

    def close(self):
        self.calls.append('close')

    def self_test(self):
        return f'serial 17 at {self.context.options["port"]}'


@pytest.fixture
def acme(monkeypatch):
    """Installed as a package with entry points would be; its drivers made so far."""
    module, made = ModuleType('acme_driver'), []

    def make(context):
        made.append(Acme(context))
        return made[-1]

    module.make = make
    monkeypatch.setitem(sys.modules, 'acme_driver', module)
    points = [
        *(EntryPoint(f'{kind}.acme', 'acme_driver:make', GROUP) for kind in KINDS),
        EntryPoint('mount.moved', 'acme_driver:gone', GROUP),
        EntryPoint('mount.lost', 'acme_has_no_such_module:make', GROUP),
        EntryPoint('nonsense', 'acme_driver:make', GROUP),
    ]
    monkeypatch.setattr(registry, 'entry_points', lambda group: points if group == GROUP else [])
    return made


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
    assert 'installed: sim' in str(error.value)
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


def test_a_third_partys_driver_gets_its_options(acme, context):
    device = make_device(DeviceChoice(driver='acme'), context)
    assert device.context.options['port'] == '/dev/ttyUSB0'
    assert device.context.link is None
    assert installed('mount')['acme'] == 'acme_driver:make'
    assert 'nonsense' not in installed('mount')


@pytest.mark.parametrize('driver', ['moved', 'lost'])
def test_a_driver_that_cannot_be_loaded_is_named(acme, context, driver):
    with pytest.raises(StationError, match=f"^driver '{driver}' of mount cannot be loaded: "):
        make_device(DeviceChoice(driver=driver), context)


def test_a_driver_that_is_no_more_installed_is_told(context):
    with pytest.raises(StationError, match=r"^driver 'acme' is not installed \(installed: sim\)"):
        make_device(DeviceChoice(driver='acme'), context)


def test_self_test_opens_and_closes(acme, context, station):
    assert self_test(DeviceChoice(driver='acme'), context) == {'found': True, 'self_test': 'serial 17 at /dev/ttyUSB0'}
    assert acme[-1].calls == ['open', 'close']
    broken = DriverContext('mount', station, context.site, {'broken': True})
    told = self_test(DeviceChoice(driver='acme'), broken)
    assert not told['found']
    assert 'nobody answers' in told['self_test']
    assert acme[-1].calls == ['open', 'close']


def test_the_command_lists_them_and_tests_those_that_are_chosen(acme, tmp_path, capsys):
    path = devices_file(tmp_path, others='acme', mount='lost', tdc='none')
    text = yaml.safe_load(path.read_text())
    for kind in KINDS:
        text[kind]['options'] = {'port': 'usb'}
    path.write_text(yaml.safe_dump(text))
    status = main(['devices', '--devices', str(path)])
    told = capsys.readouterr()
    if status == 0:  # a driver that cannot be loaded may be a row of the table or the end of the command
        assert 'serial 17 at usb' in told.out
    else:
        assert (status, told.err.count('\n')) == (2, 1)
        assert 'cannot be loaded' in told.err


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
