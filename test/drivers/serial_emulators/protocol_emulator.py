"""Handler of pyserial for ``emulator://NAME``; see the package."""

import serial
from serial.serialutil import SerialBase

from serial_emulators import DEVICES


class Serial(SerialBase):
    def open(self):
        self._device = DEVICES.get(self.portstr.partition('://')[2])
        if self._device is None or self._device.unplugged:
            raise serial.SerialException('no such device')
        self.is_open = True

    def _plugged(self):
        if self._device.unplugged:
            raise serial.SerialException('device disconnected')
        return self._device

    def _reconfigure_port(self):
        pass

    def read(self, size=1):
        device = self._plugged()
        data = bytes(device.sent[:size])
        del device.sent[:size]
        return data

    def write(self, data):
        device = self._plugged()
        if not device.silent:
            device.receive(bytes(data))
        return len(data)

    def reset_input_buffer(self):
        self._plugged().sent.clear()

    def close(self):
        self.is_open = False
