"""Weather station and dome of the monitor, with drivers that raise what they should not."""

from types import SimpleNamespace

import pytest

from qkd_gs.devices.dome import DomeReading, Shutter
from qkd_gs.devices.weather import WeatherReading
from qkd_gs.nodes.runtime import surroundings as module
from qkd_gs.nodes.runtime.surroundings import Surroundings
from qkd_gs.safety.enclosure import Demand
from qkd_gs.settings.enclosure import EnclosureSettings
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

SECOND = 10**9
STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings).model_copy(
    update={'enclosure': EnclosureSettings()}
)


class Sensor:
    def __init__(self):
        self.error = None

    def open(self):
        pass

    def close(self):
        pass

    def read(self, now_ns):
        if self.error is not None:
            raise self.error
        return WeatherReading(now_ns, True, 0.0, 2.0, 3.0, 0.1, 0.5)


class Roof:
    def __init__(self):
        self.shutter, self.error = Shutter.OPEN, None

    def open(self):
        pass

    def close(self):
        pass

    def read(self, now_ns):
        return DomeReading(now_ns, self.shutter)

    def close_shutter(self, now_ns):
        if self.error is not None:
            raise self.error
        self.shutter = Shutter.CLOSED


@pytest.fixture
def around(monkeypatch):
    devices = {'weather': Sensor(), 'dome': Roof()}
    node = SimpleNamespace(devices=SimpleNamespace(chosen=lambda: dict.fromkeys(devices)))
    monkeypatch.setattr(module, 'device_of', lambda node, kind, station: devices[kind.name])
    made = Surroundings(node, STATION, SimpleNamespace())
    now = [0]

    def codes(seconds):
        for _ in range(seconds * 20):
            now[0] += SECOND // 20
            status = made.step(now[0], now[0], Demand(in_pass=True))
        return [limit.code for limit in status.limits]

    return SimpleNamespace(codes=codes, **devices)


def test_a_weather_station_whose_driver_raises_is_not_known_and_the_shutter_closes(around):
    assert around.codes(1) == []
    around.weather.error = KeyError('rain')
    assert around.codes(1) == ['weather.unknown']
    assert around.dome.shutter is Shutter.OPEN  # for ten seconds
    assert 'weather.unknown' in around.codes(12)
    assert around.dome.shutter is Shutter.CLOSED


def test_a_dome_whose_driver_raises_when_it_is_ordered_is_told_and_ordered_again(around):
    around.codes(1)
    around.weather.error, around.dome.error = KeyError('rain'), OSError(5, 'Input/output error')
    around.codes(14)
    assert around.dome.shutter is Shutter.OPEN
    around.dome.error = None
    around.codes(3)
    assert around.dome.shutter is Shutter.CLOSED
