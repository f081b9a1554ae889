"""A serial device in a process of its own, on a pseudo-terminal: ``python pty_peer.py ell14 LINK``.

LINK becomes a symbolic link to the terminal.  The process may be killed (a pulled cable) or stopped (a hanging device).
"""

import os
import pty
import select
import signal
import subprocess
import sys
import time
import tty
from pathlib import Path


def make(kind):
    if kind == 'ell14':
        from ell14_emulator import Ell14

        return Ell14()
    from cobolt_emulator import Cobolt

    return Cobolt()


def serve(device, link):
    master, slave = pty.openpty()
    tty.setraw(master)
    tty.setraw(slave)
    path = Path(link)
    path.unlink(missing_ok=True)
    path.symlink_to(os.ttyname(slave))
    tell('ready')
    lit = False
    while True:
        if select.select([master], [], [], 0.005)[0]:
            device.receive(os.read(master, 1024))
        device.advance(time.time_ns())
        if device.sent:
            os.write(master, device.sent)
            device.sent.clear()
        if getattr(device, 'lit', False) != lit:
            lit = device.lit
            tell('on' if lit else 'off')


def tell(word):
    sys.stdout.write(word + '\n')
    sys.stdout.flush()


class PtyPeer:
    """The process, for tests."""

    def __init__(self, kind, folder):
        self._kind, self.port = kind, str(folder / 'port')
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, __file__, self._kind, self.port], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == 'ready\n'
        os.set_blocking(self.process.stdout.fileno(), False)
        self._lit = False

    @property
    def lit(self):
        """Whether a laser emits."""
        while word := self.process.stdout.readline():
            self._lit = word == 'on\n'
        return self._lit

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def pull(self):
        Path(self.port).unlink(missing_ok=True)  # as udev does; the next terminal that is opened gets the same number
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def soon(condition, seconds=30):
    """Wait for a condition of another process; the limit is for a test that fails."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        if condition():
            return True
        select.select([], [], [], 0.01)
    return False


if __name__ == '__main__':
    serve(make(sys.argv[1]), sys.argv[2])
