"""The calibration light of a running station and the HWP that turns in it; the test plays device and node."""

from math import pi, radians
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.devices.calibration_light import CalibrationLightReading, Cover
from qkd_gs.errors import DeviceFault
from qkd_gs.nodes.clients import station_device as module
from qkd_gs.nodes.clients.station_light import StationHwp, StationLight
from qkd_gs.pointing.hwp import HwpFollower
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
SECOND = 10**9


class Light:
    """A device that was left on."""

    def __init__(self):
        self.brightness, self.opened, self.fault = 0.7, 0, None

    def open(self):
        self.opened += 1

    def on(self, now_ns, brightness):
        self.brightness = brightness

    def off(self, now_ns):
        self.brightness = 0.0

    def read(self, now_ns):
        if self.fault is not None:
            raise DeviceFault('calibration_light.silent', self.fault)
        return CalibrationLightReading(now_ns, self.brightness > 0, self.brightness, True, Cover.NONE)

    def close(self):
        self.off(0)


class Node:
    """A node with a calibration light, or without."""

    def __init__(self, chosen=('calibration_light',)):
        self.devices = SimpleNamespace(chosen=lambda: dict.fromkeys(chosen))
        self.clock = SimpleNamespace(steady_ns=lambda: self.now_ns)
        self.now_ns, self.warning, self.published = SECOND, '', []

    def publisher(self, kind, topic):
        assert topic == 'hwp/polarization_angle'
        return SimpleNamespace(publish=self.published.append)


@pytest.fixture
def light(monkeypatch):
    device, node = Light(), Node()
    monkeypatch.setattr(module, 'device_of', lambda node, kind, station: device)
    made = StationLight(node, STATION)

    def read():
        node.now_ns += SECOND
        made.read(node.now_ns)
        return device.brightness

    return SimpleNamespace(made=made, device=device, node=node, read=read)


def test_a_light_that_nobody_has_ordered_goes_off(light):
    assert light.read() == 0.0
    light.device.brightness = 0.3  # somebody has pressed its button
    assert light.read() == 0.0


def test_it_shines_until_it_is_ordered_off(light):
    light.read()
    light.made.shine(light.node.now_ns, 0.5)
    assert light.read() == 0.5
    assert light.made.seen.lit
    light.made.shine(light.node.now_ns, 0.0)
    assert light.read() == 0.0
    light.made.shine(light.node.now_ns, 0.5)
    light.made.close()
    assert light.device.brightness == 0.0


def test_one_that_was_lost_comes_back_dark(light):
    light.read()
    light.made.shine(light.node.now_ns, 0.5)
    light.device.fault = 'cable pulled'
    light.read()
    assert light.made.seen is None
    assert 'cable pulled' in light.made.trouble
    light.device.fault, light.device.brightness = None, 0.5  # it has shone on
    for _ in range(5):
        light.read()
    assert light.device.opened == 2
    assert light.device.brightness == 0.0
    assert not light.made.trouble


def test_an_order_that_is_refused_is_told(light):
    light.read()

    def refused(now_ns, brightness):
        raise DeviceFault('calibration_light.silent', 'has not answered yet')

    light.device.on = refused
    light.made.shine(light.node.now_ns, 0.5)
    assert 'has not answered yet' in light.node.warning


def test_a_station_without_one_has_none():
    made = StationLight(Node(chosen=()), STATION)
    assert not made.exists
    made.read(SECOND)
    made.shine(SECOND, 0.5)
    made.close()
    assert (made.seen, made.trouble) == (None, '')


@given(st.floats(-pi, pi), st.sampled_from([1, -1]), st.floats(-40, 40))
def test_the_hwp_goes_to_the_angle_that_is_ordered(hwp_rad, parity, zero_deg):
    """By the polarization angle that its node follows, with whatever zero both know."""
    node, hwp = Node(), STATION.hwp.model_copy(update={'parity': parity, 'zero_deg': zero_deg})
    StationHwp(node).turn(SECOND, hwp_rad, hwp)
    (message,) = node.published
    follower = HwpFollower(radians(zero_deg), 40_000_000, parity, 20_000_000)
    turned = follower.step(SECOND, message.polarization_angle_rad, message.polarization_rate_rad_s).angle_rad
    assert message.follow
    assert abs((turned - hwp_rad + pi / 2) % pi - pi / 2) < 1e-9


def test_the_hwp_is_let_go_once():
    node = Node()
    hwp = StationHwp(node)
    hwp.turn(SECOND, None, STATION.hwp)
    hwp.turn(SECOND, 0.3, STATION.hwp)
    hwp.turn(SECOND + 1, 0.3, STATION.hwp)  # it is told twenty times a second
    hwp.turn(2 * SECOND, None, STATION.hwp)
    hwp.turn(2 * SECOND, None, STATION.hwp)
    assert [message.follow for message in node.published] == [True, False]
