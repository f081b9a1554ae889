"""Servers of observatory equipment that others wrote, in processes of their own on loopback: INDI and Alpaca."""

import http.client
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from qkd_gs.devices.conformance.rig import START_NS, Counterpart, Rig
from qkd_gs.errors import DeviceFault


def free_port():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


class Server(Counterpart):
    """A process group; station time of the tests goes by as real time does, and never faster.

    While the machine stalls, station time stands still: were it to catch up, a driver's time-out would pass in an
    instant of real time, in which no server can answer.
    """

    LAG_S = 0.02

    def __init__(self, command, folder, port, start_ns=START_NS):
        self.port, self._command = port, command
        self._environment = dict(os.environ, HOME=str(folder))
        self._environment.pop('PYTHONPATH', None)
        self._folder = folder
        self._zero_ns = time.monotonic_ns() - start_ns
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            env=self._environment,
            start_new_session=True,
        )
        end_s = time.monotonic() + 60
        while time.monotonic() < end_s:
            with suppress(OSError), socket.create_connection(('127.0.0.1', self.port), 1):
                if self.serves():
                    return
            assert self.process.poll() is None, f'{self._command[0]} has ended'
            select.select([], [], [], 0.02)
        raise AssertionError(f'{self._command[0]} does not listen')

    def serves(self):
        """Whether it answers its clients already."""
        return True

    def advance(self, now_ns):
        left_s = (now_ns - (time.monotonic_ns() - self._zero_ns)) * 1e-9
        if left_s > 0:
            select.select([], [], [], left_s)
        elif left_s < -self.LAG_S:
            self._zero_ns += round((-left_s - self.LAG_S) * 1e9)

    def restart_clock(self, now_ns):
        """Station time goes on from `now_ns` as of now."""
        self._zero_ns = time.monotonic_ns() - now_ns

    def _signal(self, number):
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def silence(self):
        self._signal(signal.SIGSTOP)

    def thaw(self):
        self._signal(signal.SIGCONT)

    def kill(self):
        self._signal(signal.SIGKILL)
        self.process.wait()


class Polled(Rig):
    """Reads its devices all the time, as a node does."""

    def run(self, seconds, step):
        def read(now_ns):
            step(now_ns)
            for device in self._opened:
                with suppress(DeviceFault):
                    device.read(now_ns)

        return super().run(seconds, read)


def indi(folder, *drivers):
    """An INDI server with some of its simulators."""
    lacking = [name for name in ('indiserver', *drivers) if shutil.which(name) is None]
    if lacking:
        pytest.skip(f'{", ".join(lacking)} not installed (Debian: indi-bin)')
    port = free_port()
    fifo = f'/tmp/indi-{port}'
    return Server(['indiserver', '-p', str(port), '-u', fifo, *drivers], folder, port)


# of a driver on a busy machine, and until it must have told that nobody answers
INDI_TIMEOUT_S, INDI_SILENT_S = 4.0, 6.0
ALPACA_TIMEOUT_S, ALPACA_SILENT_S = 12.0, 16.0


class AlpacaServer(Server):
    """It listens before it answers."""

    def serves(self):
        asked = http.client.HTTPConnection('127.0.0.1', self.port, timeout=10)
        try:
            asked.request('GET', '/api/v1/dome/0/connected')
            asked.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            asked.close()
        return True


_CONFIGURED = """import sys
from pathlib import Path
from alpaca_simulators.config import Config
Config.CONFIG_DIR = Path(sys.argv.pop(1))
from alpaca_simulators.run_simulator import main
main()"""


def alpaca(folder, **values):
    """The Alpaca simulators of PyPI's alpaca-simulators.

    Parameters
    ----------
    values
        Of the simulators' own configuration, that each of its lines ``NAME: ...`` shall have.
    """
    command = Path(sys.executable).with_name('alpaca-simulators')
    if not command.exists():
        pytest.skip('alpaca-simulators not installed (make setup)')
    port, begins = free_port(), [str(command)]
    if values:
        text = Path(find_spec('alpaca_simulators').origin).with_name('config').joinpath('template.yaml').read_text()
        for name, value in values.items():
            text = re.sub(rf'\b{name}: .*', f'{name}: {value}', text)
        (folder / 'config.yaml').write_text(text)
        begins = [sys.executable, '-c', _CONFIGURED, str(folder)]
    return AlpacaServer([*begins, '--host', '127.0.0.1', '--port', str(port)], folder, port)


@contextmanager
def alpaca_rig(server, driver, options):
    """Rig of a driver at a server that other tests use too."""
    rig = Polled(driver, options(port=server.port, timeout_s=ALPACA_TIMEOUT_S), server)
    server.restart_clock(rig.now_ns)
    yield rig
    rig.close()
    server.thaw()
