"""The Cobolt emulator of the package hardwarelibrary on a serial line.

Changed: the power follows at once instead of by a thread, and is zero while the laser is off (the emulator goes on
showing the last one); the interlock reads 0 when it is closed, as in Cobolt's manuals.  Added, since the emulator lacks
them: firmware, fault and state.
"""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.drivers.extras import need
from qkd_gs.sim.hil.serial_device import SerialDevice
from qkd_gs.sim.remote.bus import Bus

_REPEAT_NS = 50_000_000  # the twin's laser goes off when it is not told for longer


def _port() -> Any:
    """The emulator of the package, with the changes."""
    # hardwarelibrary cannot be imported where there is no libusb: the one of libusb-package, loaded first, is taken
    need('usb.backend.libusb1', 'hil').get_backend(find_library=need('libusb_package', 'hil').find_library)
    base: Any = need('hardwarelibrary.sources.cobolt', 'hil').CoboltDevice.DebugSerialPort

    class Port(base):  # type: ignore[misc]
        def process_command(self, name: str, params: Any, end_point: Any) -> Any:
            if name == 'SET_POWER':
                self.requestedPower = float(params['value'])
                return 'OK\r\n'
            if name == 'GET_POWER':
                return {'power': self.requestedPower if self.isOn else 0.0}
            return super().process_command(name, params, end_point)

    return Port()


class Cobolt(SerialDevice):
    """A laser.

    Parameters
    ----------
    extras : bool
        It knows the commands that the emulator of the package lacks.

    Attributes
    ----------
    laser : object
        The emulator.
    fault : int
    warming, stuck : bool
        It warms up; it does not go off.
    """

    def __init__(self, autostart: int = 0, extras: bool = True) -> None:
        super().__init__()
        self.laser = _port()
        self.laser.open()
        self.laser.autostart, self.laser.interlock = autostart, 0
        self.extras, self.fault, self.warming, self.stuck = extras, 0, False, False
        self.commands: list[str] = []
        self._buffer = b''

    @property
    def lit(self) -> bool:
        """Whether it emits."""
        return bool(self.laser.isOn)

    def receive(self, data: bytes) -> None:
        """Answer the commands that are complete."""
        *lines, self._buffer = (self._buffer + data).split(b'\r')
        for line in lines:
            command = line.decode('ascii')
            self.commands.append(command)
            self.say(self._answer(command))
            if self.laser.interlock or self.fault:
                self.laser.isOn = 0

    def _answer(self, command: str) -> str:
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
        return str(self.laser.readData(self.laser.bytesAvailable()).decode('ascii'))


class TwinCobolt(Cobolt):
    """A laser whose light is the twin's beacon."""

    def __init__(self, bus: Bus) -> None:
        super().__init__()
        self._bus, self._was_lit, self._told_ns = bus, False, 0
        bus.listen('beacon/state', BeaconReading, self._take)

    def _take(self, reading: BeaconReading) -> None:
        self.laser.interlock = 0 if reading.interlock_closed else 1
        if self.laser.interlock:
            self.laser.isOn = 0

    def advance(self, now_ns: int) -> None:
        """Tell the twin whether the laser emits."""
        lit = self.lit
        if lit != self._was_lit or (lit and now_ns - self._told_ns > _REPEAT_NS):
            self._bus.send('beacon/on', lit, now_ns)
            self._told_ns = now_ns
        self._was_lit = lit
        self.commands.clear()
