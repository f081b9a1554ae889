"""The CiA-402 driver against drives in a process of their own, on a multicast bus."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cia402_twin import TwinProcess
from pty_peer import soon

from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.drivers.cia402.mount import cia402
from qkd_gs.drivers.cia402.options import Cia402Options, DriveOptions

PROGRAM = """
import sys, time
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.mount import MountCommand
from qkd_gs.drivers.cia402.mount import cia402
from qkd_gs.drivers.cia402.options import Cia402Options
device = Rig(cia402, Cia402Options.model_validate_json(sys.argv[1])).open()
device.enable(time.time_ns())
while device.read(time.time_ns()).mode.name != 'HOLD':
    time.sleep(0.01)
k = 0
while True:
    now_ns = time.time_ns()
    k += 1
    device.command(now_ns, MountCommand(now_ns, 1.0 if k % 800 < 400 else -1.0, 0.5))
    device.read(now_ns)
    time.sleep(0.01)
"""


@pytest.fixture
def group():
    return f'239.74.163.{os.getpid() % 250 + 2}'


@pytest.fixture
def process(group):
    process = TwinProcess(group)
    yield process
    process.thaw()
    process.kill()


def on_bus(group):
    drive = {'following_error_deg': 10.0}
    return Cia402Options(
        interface='udp_multicast',
        channel=group,
        bus={'fd': False, 'hop_limit': 0},
        azimuth=DriveOptions(node_id=1, **drive),
        elevation=DriveOptions(node_id=2, **drive),
        guard_s=0.3,
        timeout_s=1.0,
    )


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGSTOP])
def test_the_drives_stop_when_the_program_is_killed_or_hangs(process, group, number):
    environment = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[3])}
    program = subprocess.Popen([sys.executable, '-c', PROGRAM, on_bus(group).model_dump_json()], env=environment)
    try:
        assert soon(lambda: process.told.endswith('moving'))
        program.send_signal(number)
        assert soon(lambda: process.told.endswith('not guarded standing'))
    finally:
        program.kill()
        program.wait()


def test_drives_that_hang_or_restart_are_told(process, group):
    rig = Rig(cia402, on_bus(group))
    device = rig.open()
    assert 'serial 1001' in device.self_test()
    process.freeze()
    assert soon(lambda: fault_of(lambda: device.read(time.time_ns())) == 'mount.silent')
    device.close()
    assert fault_of(device.open) == 'mount.silent'
    process.thaw()
    assert soon(lambda: not fault_of(device.open))
    process.kill()
    assert soon(lambda: fault_of(lambda: device.read(time.time_ns())) == 'mount.silent')
    device.close()
    process.start()
    device.open()
    assert 'moved by' in device.self_test(move=True)
    device.close()
