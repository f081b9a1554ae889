"""Devices that the supervisor reads by itself: whatever a driver raises, they are lost, and opened again."""

import pytest

from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.safety.device_watch import DeviceWatch

SECOND = 10**9


class Device:
    def __init__(self, errors):
        self.errors, self.closed = errors, 0

    def open(self):
        self.raised('open')

    def read(self):
        self.raised('read')

    def close(self):
        self.closed += 1
        self.raised('close')

    def raised(self, call):
        if call in self.errors:
            raise self.errors[call]


@pytest.mark.parametrize(
    ('error', 'words'),
    [
        (DeviceFault('weather.silent', 'nothing for 5 s'), 'weather.silent: nothing for 5 s'),
        (
            StationError('pyserial is missing', hint='pip install pyserial'),
            'pyserial is missing (pip install pyserial)',
        ),
        (KeyError('rain'), "KeyError: 'rain'"),
        (UnicodeDecodeError('utf-8', b'\xff', 0, 1, 'invalid start byte'), 'UnicodeDecodeError: '),
    ],
)
@pytest.mark.parametrize('call', ['make', 'open', 'read', 'close'])
def test_a_device_whose_driver_raises_anything_is_lost_and_opened_again(error, words, call):
    made, told, readings = [], [], []

    def make():
        if call == 'make' and not made:
            made.append(None)
            raise error
        first = not made
        made.append(Device({'read': DeviceFault('weather.gone', 'no line')} | {call: error} if first else {}))
        return made[-1]

    def read(device, now_ns):
        device.read()
        readings.append(now_ns)

    watch = DeviceWatch(make, read, told.append)
    watch.step(0, 0)
    assert len(told) == 1
    assert told[0].startswith('weather.gone' if call == 'close' else words)
    assert watch.fault == told[0]
    assert watch.device is None
    watch.step(SECOND // 4, SECOND // 4)
    assert len(made) == 1  # not yet
    watch.step(SECOND, SECOND)
    assert readings == [SECOND]
    assert len(told) == 1
