"""What the kernel says of a process after it has opened a key folder."""

import json
import os
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest

from qkd_gs.cli import main
from qkd_gs.cli.link import keys as keys_command
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.process_memory import has_swap, may_lock

_OPEN = """
import resource, sys
from pathlib import Path
from qkd_gs.keys.folder import KeyFolder

most = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
KeyFolder(Path(sys.argv[1]))
print('open', flush=True)
sys.stdin.read()
"""


@pytest.fixture
def opened(tmp_path):
    """A process that could dump its core into its folder, with a key folder open."""
    folder = KeyFolder.create(tmp_path / 'keys').path
    core = tmp_path / 'core'
    core.mkdir()
    process = subprocess.Popen(
        [sys.executable, '-c', _OPEN, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=core,
    )
    assert process.stdout.readline() == 'open\n'
    yield process, core
    process.kill()
    process.communicate()


def test_no_core_is_dumped(opened):
    process, core = opened
    assert resource.prlimit(process.pid, resource.RLIMIT_CORE) == (0, 0)
    process.send_signal(signal.SIGQUIT)
    assert process.wait() == -signal.SIGQUIT
    assert list(core.iterdir()) == []


def test_other_processes_of_its_user_cannot_read_its_memory(opened):
    """What belongs to root although the process does not, or says so as root: its flag."""
    process, _ = opened
    if os.geteuid():
        with pytest.raises(PermissionError):
            open(f'/proc/{process.pid}/mem', 'rb').close()
        return
    reading = 'import ctypes, sys; sys.exit(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))'
    assert subprocess.run([sys.executable, '-c', reading], check=False).returncode == 1  # of a process without secrets
    asked = 'from qkd_gs.keys.process_memory import protect_memory; protect_memory(); ' + reading
    assert subprocess.run([sys.executable, '-c', asked], check=False).returncode == 0


def test_swap_is_found(tmp_path):
    swaps = tmp_path / 'swaps'
    swaps.write_text('Filename Type Size Used Priority\n', encoding='utf-8')
    assert not has_swap(swaps)
    swaps.write_text('Filename Type Size Used Priority\n/dev/sda2 partition 8388604 0 -2\n', encoding='utf-8')
    assert has_swap(swaps)
    assert has_swap(tmp_path / 'missing')


@pytest.mark.parametrize(('capabilities', 'allowed'), [('0000000000000000', False), ('0000000000004000', True)])
def test_memory_is_locked_only_with_the_right_to_all_of_it(tmp_path, monkeypatch, capabilities, allowed):
    status = tmp_path / 'status'
    status.write_text(f'Name:\tx\nCapEff:\t{capabilities}\n', encoding='utf-8')
    monkeypatch.setattr(resource, 'getrlimit', lambda which: (8 << 20, 8 << 20))
    assert may_lock(status) is allowed
    monkeypatch.setattr(resource, 'getrlimit', lambda which: (resource.RLIM_INFINITY,) * 2)
    assert may_lock(status)


def test_a_process_that_may_not_lock_says_what_to_do():
    code = (
        'import resource, logging; from qkd_gs.keys import process_memory as m\n'
        'logging.basicConfig(); m.has_swap = lambda: True; m.may_lock = lambda: False; m.protect_memory()'
    )
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert 'secrets may be swapped out' in found.stderr


def test_where_memory_may_be_locked_it_is():
    code = (
        'from qkd_gs.keys import process_memory as m\n'
        'm.has_swap = lambda: True; assert m.protect_memory() == ()\n'
        'print(next(line for line in open("/proc/self/status") if line.startswith("VmLck")).split()[1])'
    )
    if not may_lock():
        pytest.skip('this user may not lock memory')
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert int(found.stdout) > 1000  # kB


def test_a_mapped_file_is_taken_out_of_the_locked_memory(tmp_path):
    """The log of a satellite is larger than the memory."""
    np.zeros(1 << 24, np.uint8).tofile(tmp_path / 'log')
    code = (
        'import sys, numpy as np\n'
        'from qkd_gs.keys import process_memory as m\n'
        'm.has_swap = lambda: True; m.protect_memory()\n'
        'locked = lambda: int(next(l for l in open("/proc/self/status") if l.startswith("VmLck")).split()[1])\n'
        'mapped = np.memmap(sys.argv[1], np.uint8, "r", 5, (16_000_000,))\n'
        'before = locked(); m.allow_swapping(mapped); print(before - locked(), mapped.sum())'
    )
    if not may_lock():
        pytest.skip('this user may not lock memory')
    command = [sys.executable, '-c', code, str(tmp_path / 'log')]
    freed_kb, total = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(freed_kb) > 15_000
    assert total == '0'


def test_the_status_of_a_key_folder_says_what_is_missing(tmp_path, capsys, monkeypatch):
    KeyFolder.create(tmp_path / 'keys')
    monkeypatch.setattr(keys_command, 'protect_memory', lambda: ('secrets may be swapped out',))
    assert main(['keys', 'status', str(tmp_path / 'keys'), '--json']) == 0
    assert json.loads(capsys.readouterr().out)['memory'] == {'unprotected': ['secrets may be swapped out']}
