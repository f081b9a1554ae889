"""Cameras on GigE Vision for the tests: Aravis' fake camera in a process of its own, where it is installed."""

import fcntl
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from qkd_gs.devices.conformance.rig import START_NS, Counterpart
from qkd_gs.drivers.gige.options import GigeOptions
from qkd_gs.drivers.gige.session import find

ADDRESS = '127.0.0.1'


def patient(**options):
    """Options for images whose camera runs in this process, which a busy machine may hold up for more than a second."""
    return GigeOptions(address=ADDRESS, **options).model_copy(update={'timeout_s': 10.0})


def the_only_camera():
    """Lock of this machine: the protocol has one port for cameras, which one process can have."""
    lock = open(Path(tempfile.gettempdir()) / 'qkd_gs-test-gvcp.lock', 'w')  # noqa: SIM115  closed by the caller
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


class ArvFakeCamera(Counterpart):
    """``arv-fake-gv-camera`` of Debian's aravis-tools; station time goes as real time does."""

    def __init__(self):
        program = shutil.which('arv-fake-gv-camera-0.8')
        if program is None:
            pytest.skip('arv-fake-gv-camera-0.8 is not installed (Debian: aravis-tools)')
        self._command = [program, '-i', ADDRESS, '-s', 'SN0001']
        self._begun_s = 0.0
        self.start()

    def start(self):
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while find(ADDRESS, None) is None:
            assert self.process.poll() is None, 'the camera has ended'

    def advance(self, now_ns):
        if not self._begun_s:
            self._begun_s = time.monotonic() - (now_ns - START_NS) * 1e-9
        ahead_s = (now_ns - START_NS) * 1e-9 - (time.monotonic() - self._begun_s)
        if ahead_s > 0:
            time.sleep(ahead_s)

    def resume(self):
        """Station time has stood still while something else was waited for."""
        self._begun_s = 0.0

    def silence(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()
