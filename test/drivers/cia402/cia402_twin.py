"""The drives of `qkd_gs.sim.hil.servo_drives` for tests.

In memory for tests in a test's time (`TwinBus`), or as a process on a multicast bus: ``python cia402_twin.py GROUP``.
"""

import os
import signal
import subprocess
import sys
import time
from collections import deque

import can

from qkd_gs.sim.hil.drive_objects import COUNTS  # noqa: F401  for the tests
from qkd_gs.sim.hil.servo_drives import Twin, for_the_drives


class TwinBus:
    """The driver's end of a bus in memory.  Frames wait for the next step of time, or for the driver to wait."""

    def __init__(self, twin_of=Twin, **how):
        self._to_driver, self._to_twin, self.gone = deque(), deque(), False
        self.twin = twin_of(self._to_driver.append, **how)
        self.sent = []

    def open(self):
        if self.gone:
            raise can.CanError('no such interface')
        self._to_driver.clear()
        return self

    def recv(self, timeout):
        self._check()
        if not self._to_driver and timeout:
            self._deliver()
            if not self._to_driver:  # the driver lets time pass
                self.twin.pass_time(timeout)
        return self._to_driver.popleft() if self._to_driver else None

    def send(self, message):
        self._check()
        self.sent.append(message)
        self._to_twin.append(message)

    def _check(self):
        if self.gone:
            raise can.CanError('the adapter was pulled')

    def _deliver(self):
        while self._to_twin:
            self.twin.receive(self._to_twin.popleft())

    def advance(self, now_ns):
        self._deliver()
        self.twin.advance(now_ns)

    def shutdown(self):
        pass


def serve(group):
    bus = can.Bus(interface='udp_multicast', channel=group, fd=False, hop_limit=0)
    twin = Twin(bus.send)
    told = None
    sys.stdout.write('ready\n')
    sys.stdout.flush()
    while True:
        message = bus.recv(0.002)
        while message is not None:
            if for_the_drives(message.arbitration_id):
                twin.receive(message)
            message = bus.recv(0)
        twin.advance(time.time_ns())
        now = ' '.join(','.join(drive.quick_stops) or '-' for drive in twin.drives) + (
            ' moving' if any(drive.velocity for drive in twin.drives) else ' standing'
        )
        if now != told:
            told = now
            sys.stdout.write(now + '\n')
            sys.stdout.flush()


class TwinProcess:
    """The drives in a process of their own, for tests."""

    def __init__(self, group):
        self._group = group
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, __file__, self._group], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == 'ready\n'
        os.set_blocking(self.process.stdout.fileno(), False)
        self._told = ''

    @property
    def told(self):
        """Reasons of the quick stops of both drives, and whether they move."""
        while line := self.process.stdout.readline():
            self._told = line.strip()
        return self._told

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


if __name__ == '__main__':
    serve(sys.argv[1])
