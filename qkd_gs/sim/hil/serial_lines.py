"""Serial devices of the twin as a process: half-wave plate, laser and GPS receiver on pseudo-terminals, and gpsd.

``python -m qkd_gs.sim.hil.serial_lines PLACE``
"""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tty
from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.sim.hil import nmea
from qkd_gs.sim.hil.cobolt import TwinCobolt
from qkd_gs.sim.hil.ell14 import TwinEll14
from qkd_gs.sim.hil.place import AT_ONCE, GPSD_PORT, PLACE, Place, begun, serving
from qkd_gs.sim.hil.serial_device import SerialDevice
from qkd_gs.sim.remote.bus import Bus

_PERIOD_S = 0.01
_DELAY_NS = 150_000_000  # of the receiver's messages
_SECOND_NS = 10**9


class Receiver(SerialDevice):
    """GPS receiver with the twin's time, position of the site, and no PPS."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._site = place.setup().site
        self._second_ns = 0

    def receive(self, data: bytes) -> None:
        """Gpsd asks for other protocols; this receiver has none."""

    def advance(self, now_ns: int) -> None:
        """Send the messages of a second when they are due."""
        second_ns = (now_ns - _DELAY_NS) // _SECOND_NS * _SECOND_NS
        if second_ns != self._second_ns:
            self._second_ns = second_ns
            self.sent += nmea.messages(self._site, second_ns)


def terminal(name: str) -> int:
    """File descriptor of a pseudo-terminal, which is reachable under a name."""
    master, slave = pty.openpty()
    tty.setraw(master)
    tty.setraw(slave)
    os.set_blocking(master, False)
    path = PLACE / name
    path.unlink(missing_ok=True)
    path.symlink_to(os.ttyname(slave))
    return master


def gpsd(port: Path) -> subprocess.Popen[bytes]:
    """Gpsd of Debian on a serial port.

    Raises
    ------
    StationError
        It is not installed.
    """
    program = shutil.which('gpsd', path='/usr/sbin:/usr/bin:/usr/local/sbin')
    if program is None:
        raise StationError('gpsd is not installed', hint='sudo apt install gpsd')
    return subprocess.Popen([program, '-N', '-n', '-b', '-S', str(GPSD_PORT), str(port.resolve())])


def main() -> int:
    """Serve until the world ends."""
    place, _ = begun()
    PLACE.mkdir(mode=0o700, exist_ok=True)
    bus = place.connect()
    # a driver that finds a terminal expects an answer: the emulators, which take their time, come first
    made: dict[str, SerialDevice] = {'hwp': TwinEll14(bus), 'beacon': TwinCobolt(bus), 'gps': Receiver(place)}
    devices = {terminal(name): device for name, device in made.items()}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    serving(f'serial devices in {PLACE}, gpsd at port {GPSD_PORT}', AT_ONCE)
    daemon = gpsd(PLACE / 'gps')
    try:
        return _serve(place, bus, devices, daemon)
    finally:
        daemon.terminate()


def _serve(place: Place, bus: Bus, devices: dict[int, SerialDevice], daemon: subprocess.Popen[bytes]) -> int:
    """Let the devices answer as long as gpsd runs."""
    while daemon.poll() is None:
        ready, _, _ = select.select(list(devices), [], [], _PERIOD_S)
        bus.poll()
        now_ns = place.now_ns()
        for line, device in devices.items():
            device.advance(now_ns)
            if line in ready:
                device.receive(os.read(line, 1024))
                device.advance(now_ns)
            if device.sent:
                try:
                    del device.sent[: os.write(line, device.sent)]
                except BlockingIOError:
                    pass  # nobody reads it
    return 1


if __name__ == '__main__':
    try:
        raise SystemExit(main())
    except StationError as error:
        raise SystemExit(str(error)) from None
