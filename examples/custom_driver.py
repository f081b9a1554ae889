"""A complete driver: a half-wave-plate rotator that speaks a line protocol over TCP.

Run it with `.venv/bin/python examples/custom_driver.py`: it starts an emulator of the rotator, makes the driver as the
station would, moves the HWP and prints what happens.  CONTRIBUTING.md walks through the file;
`test/devices/test_custom_driver.py` runs the conformance suite on it.

In a package of your own the driver becomes known to the station by an entry point in its pyproject.toml::

    [project.entry-points."qkd_gs.drivers"]
    "hwp.example" = "your_package.rotator:rotator"

and is chosen in a devices file::

    hwp: {driver: example, options: {host: 192.168.1.20, port: 4001}}
"""

from __future__ import annotations

import socketserver
import threading
from math import degrees, isfinite, pi, radians
from socket import create_connection

from pydantic import Field

from qkd_gs.devices.conformance.rig import Counterpart, Rig
from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.devices.hwp import HwpReading, HwpRotator
from qkd_gs.devices.open_state import OpenState
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.loader import Section

# --- the driver ---


class RotatorOptions(Section):
    """Options of the driver in a devices file."""

    host: str = Field(description='address of the controller')
    port: int = Field(4001, ge=1, le=65535, description='TCP port of the controller')
    timeout_s: float = Field(0.5, gt=0, le=5, description='time to wait for an answer')


class Rotator:
    """Implements `HwpRotator`: one line out, one line back; angles in deg on the wire, in rad in the Protocol."""

    def __init__(self, options: RotatorOptions) -> None:
        self._options = options
        self._state = OpenState('hwp')

    def open(self) -> None:
        """Connect; raises ``hwp.silent`` if nobody answers."""
        try:
            self._socket = create_connection((self._options.host, self._options.port), self._options.timeout_s)
        except OSError as error:
            raise DeviceFault('hwp.silent', f'{self._options.host}:{self._options.port}: {error}') from error
        self._lines = self._socket.makefile('rw', encoding='ascii', newline='\n')
        self._state.is_open = True

    def move(self, now_ns: int, angle_rad: float) -> None:
        """Go to an angle by the shorter way modulo pi."""
        self._state.require()
        if not isfinite(angle_rad):
            raise DeviceFault('hwp.command', f'angle {angle_rad} is not a number')
        self._ask(f'MOVE {degrees(angle_rad % pi):.4f}')

    def read(self, now_ns: int) -> HwpReading:
        """Angle, and whether the HWP moves."""
        self._state.require()
        angle_deg, moving = self._ask('READ').split()
        return HwpReading(now_ns, radians(float(angle_deg)) % pi, moving == '1')

    def stop(self, now_ns: int) -> None:
        """Stop at once."""
        if self._state.is_open:
            self._ask('STOP')

    def close(self) -> None:
        """Stop and disconnect."""
        if self._state.is_open:
            self._state.is_open = False
            try:
                self._ask('STOP')
            except DeviceFault:
                pass  # it does not answer any more; nothing else can be done
            self._lines.close()
            self._socket.close()

    def self_test(self) -> str:
        """Line of `qkd-gs devices`."""
        return self._ask('ID')

    def _ask(self, line: str) -> str:
        try:
            self._lines.write(line + '\n')
            self._lines.flush()
            answer = self._lines.readline().strip()
        except OSError as error:
            raise DeviceFault('hwp.silent', f'no answer to {line!r}: {error}') from error
        if not answer.startswith('OK'):
            raise DeviceFault('hwp.silent' if not answer else 'hwp.refused', f'{line!r} was answered {answer!r}')
        return answer[2:].strip()


@driver(RotatorOptions)
def rotator(context: DriverContext[RotatorOptions]) -> HwpRotator:
    """Driver ``hwp.example``."""
    return Rotator(context.options)


# --- its counterpart in tests: an emulator of the controller, with a clock of its own ---


class Emulator(Counterpart):
    """Controller on a TCP port of this machine; turns at 20 deg/s as its time is advanced."""

    SPEED_DEG_S = 20.0

    def __enter__(self) -> Emulator:
        self.angle_deg = self.goal_deg = 0.0
        self._now_ns: int | None = None
        self._answers = True
        emulator = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    if emulator._answers:
                        self.wfile.write(emulator.answer(line.decode('ascii').split()).encode('ascii') + b'\n')

        self._server = socketserver.ThreadingTCPServer(('127.0.0.1', 0), Session)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def options(self) -> RotatorOptions:
        """Options that connect a driver to this emulator."""
        host, port = self._server.server_address[:2]
        return RotatorOptions(host=str(host), port=int(port), timeout_s=2.0)  # it shares a busy process

    def answer(self, words: list[str]) -> str:
        """Answer to a line."""
        if words[0] == 'MOVE':
            self.goal_deg = self.angle_deg + (float(words[1]) - self.angle_deg + 90) % 180 - 90
        elif words[0] == 'STOP':
            self.goal_deg = self.angle_deg
        elif words[0] == 'READ':
            return f'OK {self.angle_deg % 180:.4f} {int(self.angle_deg != self.goal_deg)}'
        elif words[0] == 'ID':
            return 'OK example rotator, serial 17'
        return 'OK'

    def advance(self, now_ns: int) -> None:
        """Turn towards the goal."""
        step_deg = self.SPEED_DEG_S * (now_ns - (self._now_ns or now_ns)) * 1e-9
        left_deg = self.goal_deg - self.angle_deg
        self.angle_deg = (
            self.goal_deg if abs(left_deg) <= step_deg else self.angle_deg + step_deg * (left_deg > 0 or -1)
        )
        self._now_ns = now_ns

    def silence(self) -> None:
        """Stop answering."""
        self._answers = False


def main() -> None:
    """Move the emulated rotator to 30 deg with the driver."""
    with Emulator() as emulator:
        rig = Rig(rotator, emulator.options, emulator)
        device = rig.open()
        device.move(rig.now_ns, radians(30))
        for _ in range(6):
            reading = device.read(rig.advance(0.3))
            print(f'{degrees(reading.angle_rad):6.2f} deg, {"moving" if reading.moving else "at rest"}')
        rig.close()
        try:
            device.move(rig.now_ns, 0.0)
        except DeviceFault as fault:
            print(f'after close(): {fault}')


if __name__ == '__main__':
    main()
