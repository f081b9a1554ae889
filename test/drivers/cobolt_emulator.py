"""The Cobolt emulator of the package hardwarelibrary on a serial line.

Changed: the power follows at once instead of by a thread, and is zero while the laser is off (the emulator goes on
showing the last one); the interlock reads 0 when it is closed, as in Cobolt's manuals.  Added, since the emulator lacks
them: firmware, fault and state.
"""

from contextlib import redirect_stdout
from io import StringIO

from hardwarelibrary.sources.cobolt import CoboltDevice
from serial_emulators import SerialDevice


class _Port(CoboltDevice.DebugSerialPort):
    def process_command(self, name, params, end_point):
        if name == 'SET_POWER':
            self.requestedPower = float(params['value'])
            return 'OK\r\n'
        if name == 'GET_POWER':
            return {'power': self.requestedPower if self.isOn else 0.0}
        return super().process_command(name, params, end_point)


class Cobolt(SerialDevice):
    def __init__(self, autostart=0, extras=True):
        super().__init__()
        self.laser = _Port()
        self.laser.open()
        self.laser.autostart, self.laser.interlock = autostart, 0
        self.extras, self.fault, self.warming, self.stuck = extras, 0, False, False
        self.commands = []
        self._buffer = b''

    @property
    def lit(self):
        return bool(self.laser.isOn)

    def receive(self, data):
        *lines, self._buffer = (self._buffer + data).split(b'\r')
        for line in lines:
            command = line.decode('ascii')
            self.commands.append(command)
            self.say(self._answer(command))
            if self.laser.interlock or self.fault:
                self.laser.isOn = 0

    def _answer(self, command):
        if command == 'l0' and self.stuck:
            return 'OK\r\n'
        if self.extras and command in ('f?', 'cf', 'gom?', 'ver?'):
            if command == 'cf':
                self.fault = 0
            state = 3 if self.warming else 4 if self.lit else 0
            answers = {'f?': self.fault, 'cf': 'OK', 'gom?': state, 'ver?': '3.15'}
            return f'{answers[command]}\r\n'
        with redirect_stdout(StringIO()):  # it prints what it does not know
            self.laser.writeData(command.encode('ascii') + b'\r')
        if not self.laser.bytesAvailable():
            return 'Syntax error: illegal command\r\n'
        return self.laser.readData(self.laser.bytesAvailable()).decode('ascii')
