"""INDI drivers against INDI's own simulators, and the client against what a server may send."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from observatory_servers import INDI_SILENT_S, INDI_TIMEOUT_S, indi
from pty_peer import soon

from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.dome import DomeConformance, DomeTraits
from qkd_gs.devices.conformance.hwp import HwpConformance, HwpTraits
from qkd_gs.devices.conformance.late import LateTraits
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.conformance.weather import WeatherConformance
from qkd_gs.devices.dome import Shutter
from qkd_gs.drivers.indi.client import IndiClient, number_of
from qkd_gs.drivers.indi.device import IndiOptions
from qkd_gs.drivers.indi.dome import indi_dome
from qkd_gs.drivers.indi.rotator import IndiRotatorOptions, indi_rotator
from qkd_gs.drivers.indi.weather import indi_weather
from qkd_gs.errors import DeviceFault


def rig_of(folder, simulator, name, made, options=IndiOptions):
    server = indi(folder, simulator)
    return Rig(made, options(port=server.port, device=name, timeout_s=INDI_TIMEOUT_S), server)


@pytest.fixture
def serve(tmp_path):
    made = []

    def make(*arguments, **more):
        rig = rig_of(tmp_path, *arguments, **more)
        rig.counterpart.restart_clock(rig.now_ns)
        made.append(rig)
        return rig

    yield make
    for rig in made:
        rig.close()
        rig.counterpart.kill()


class TestWeather(WeatherConformance):
    traits = LateTraits(silent_s=INDI_SILENT_S, first_s=30.0, recent_s=3.0)

    @pytest.fixture
    def rig(self, serve):
        return serve('indi_simulator_weather', 'Weather Simulator', indi_weather)


class TestDome(DomeConformance):
    traits = DomeTraits(move_s=40, first_s=30.0, silent_s=INDI_SILENT_S)

    @pytest.fixture
    def rig(self, serve):
        return serve('indi_simulator_dome', 'Dome Simulator', indi_dome)


class TestRotator(HwpConformance):
    traits = HwpTraits(silent_s=INDI_SILENT_S, age_s=1.0, resolution_rad=0.01, move_s=40, stop_s=10.0, either_way=False)

    @pytest.fixture
    def rig(self, serve):
        return serve('indi_simulator_rotator', 'Rotator Simulator', indi_rotator, options=IndiRotatorOptions)


def test_rain_of_the_simulator_is_told_and_is_unsafe(serve):
    rig = serve('indi_simulator_weather', 'Weather Simulator', indi_weather)
    device = rig.open()
    assert rig.until(lambda: device.read(rig.now_ns).stamp_ns > 0, 10.0)
    assert device.read(rig.now_ns).safe
    device._client.send('WEATHER_CONTROL', {'Precip': 5.0, 'Wind': 36.0})
    device._client.switch('WEATHER_REFRESH', 'REFRESH')
    assert rig.until(lambda: device.read(rig.now_ns).rain_mm_h == 5.0, 10.0)
    reading = device.read(rig.now_ns)
    assert reading.safe is False
    assert reading.wind_m_s == pytest.approx(10.0)


def test_a_server_that_is_killed_is_told_and_serves_again_after_its_restart(serve):
    rig = serve('indi_simulator_dome', 'Dome Simulator', indi_dome)
    device = rig.open()
    assert rig.until(lambda: device.read(rig.now_ns).shutter is not Shutter.UNKNOWN, 10.0)
    rig.counterpart.kill()
    assert rig.until(lambda: fault_of(lambda: device.read(rig.now_ns)) == 'dome.silent', INDI_SILENT_S)
    rig.counterpart.start()
    rig.counterpart.restart_clock(rig.now_ns)
    device.close()
    device.open()
    assert rig.until(lambda: device.read(rig.now_ns).shutter is not Shutter.UNKNOWN, 10.0)


def test_a_name_that_the_server_does_not_know_is_told(serve):
    rig = serve('indi_simulator_dome', 'Roof', indi_dome)
    device = rig.open()
    assert rig.until(lambda: fault_of(lambda: device.read(rig.now_ns)) == 'dome.silent', INDI_SILENT_S)


# --- the client ---


@pytest.fixture
def peer():
    server = socket.create_server(('127.0.0.1', 0))
    client = IndiClient('dome', '127.0.0.1', server.getsockname()[1], 'Roof "1"')
    client.open()
    end, _ = server.accept()
    yield client, end
    client.close()
    end.close()
    server.close()


def test_properties_are_told_in_pieces_changed_and_deleted(peer):
    client, end = peer
    assert soon(lambda: client.step(1) or end.recv(100, socket.MSG_PEEK))
    assert b'device="Roof &quot;1&quot;"' in end.recv(1000)
    text = (
        b'<defNumberVector device="Roof &quot;1&quot;" name="A" state="Ok"><defNumber name="X"> -1:30 </defNumber>'
        b'</defNumberVector><defNumberVector device="Other" name="B" state="Ok"/>'
        b'<setNumberVector device="Roof &quot;1&quot;" name="A" state="Busy"><oneNumber name="Y">2</oneNumber>'
        b'</setNumberVector>'
    )
    for k in range(0, len(text), 11):
        end.sendall(text[k : k + 11])
        client.step(2)
    assert soon(lambda: client.step(3) or ('A' in client.properties and client.properties['A'].state == 'Busy'))
    assert client.properties['A'].number('X') == -1.5
    assert client.properties['A'].number('Y') == 2
    assert list(client.properties) == ['A']
    end.sendall(b'<delProperty device="Roof &quot;1&quot;" name="A"/>')
    assert soon(lambda: client.step(4) or not client.properties)


def test_a_long_connection_keeps_no_old_messages(peer):
    client, end = peer
    message = b'<setNumberVector device="Roof &quot;1&quot;" name="A" state="Ok"/>' * 500
    end.sendall(message)
    assert soon(lambda: client.step(1) or client.heard_ns == 1)
    assert len(client._root) <= 1


def test_what_is_no_indi_is_told(peer):
    client, end = peer
    end.sendall(b'HTTP/1.0 400 Bad < request')

    def told():
        return fault_of(lambda: client.step(1)) == 'dome.silent'

    assert soon(told)


@given(st.text(max_size=20))
def test_a_text_is_a_number_or_is_refused(text):
    try:
        number_of(text)
    except ValueError:
        return


@pytest.mark.parametrize(('text', 'value'), [('12.5', 12.5), ('-0:30:00', -0.5), ('10 30', 10.5), ('1;30;36', 1.51)])
def test_numbers_of_indi(text, value):
    assert number_of(text) == pytest.approx(value)


def test_a_property_that_is_not_there_is_refused(peer):
    client, _ = peer
    with pytest.raises(DeviceFault, match='has no property'):
        client.switch('DOME_SHUTTER', 'SHUTTER_CLOSE')
