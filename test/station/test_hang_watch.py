"""A process that hangs is found by what the kernel says of it, and one that is only late, busy or held is not."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from itertools import count
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.share import share_path
from qkd_gs.station.hang_watch import SAY_WHERE, HangWatch

LOOKS = 20
WORKS = {
    'loop': 'while True: time.sleep(0.1); print(flush=True)',
    'lock': 'lock = threading.Lock(); lock.acquire(); lock.acquire()',
    'timers': (
        'lock = threading.Lock(); lock.acquire()\n'
        'def keep():\n ctypes.CDLL(None).prctl(15, b"dds.ev.0"); lock.acquire()\n'
        'threading.Thread(target=keep, daemon=True).start()\n'
        'while True: time.sleep(0.001); print(flush=True)'
    ),
    'computes': 'while True: pass',
    'waits for a thread that computes': (
        'def work():\n while True: pass\n'
        'sys.setswitchinterval(1e9)\nworker = threading.Thread(target=work); worker.start(); worker.join()'
    ),
}


class Kernel:
    """A folder with what the kernel says of one process; its last thread keeps the timers of DDS."""

    def __init__(self, folder, timers=True):
        self.folder, self.sent = folder, []
        self.switches, self.cpu, self.state, self.debugger, self.threads = 5, 300, 'S', 0, ('S',)
        self.timers_switches, self.timers_state = 7, 'S'
        self.said = []
        self.watch = HangWatch(lambda name, words: self.said.append(words), folder, self.send, timers)

    def send(self, pid, number):
        self.sent.append(number)
        if number == SAY_WHERE and self.state != 'T':
            self.switches += 2  # it wakes, to write

    def write(self, pid=7):
        place = self.folder / str(pid)
        place.mkdir(exist_ok=True)
        (place / 'stat').write_text(f'7 (a) b) {self.state} ' + ' '.join(['0'] * 10) + f' {self.cpu} 1 0 0\n')
        threads = [('a: b', self.state, self.switches)]
        threads += [('dds (1) R', state, 1) for state in self.threads]
        threads += [('dds.ev.0', self.timers_state, self.timers_switches)] if self.timers_state else []
        for number, (name, state, switches) in enumerate(threads, pid):
            thread = place / 'task' / str(number)
            thread.mkdir(parents=True, exist_ok=True)
            (thread / 'comm').write_text(f'{name}\n')
            (thread / 'stat').write_text(f'{number} ({name}) {state} 0 0\n')
            (thread / 'status').write_text(
                f'Name:\t{name}\nState:\t{state} (x)\nTracerPid:\t{self.debugger}\nvoluntary_ctxt_switches:\t3\n'
                f'nonvoluntary_ctxt_switches:\t{switches}\n'
            )

    def look(self, now_s, pid=7):
        self.write(pid)
        self.watch.step(now_s, {'mount': pid})

    def looks(self, count, begin_s=0.0):
        for number in range(count):
            self.look(begin_s + number)

    @property
    def killed(self):
        return signal.SIGKILL in self.sent


@pytest.fixture
def kernel(tmp_path):
    return Kernel(tmp_path)


@pytest.mark.parametrize('state', ['S', 'T'])
def test_a_main_thread_that_does_not_run_is_told_asked_and_killed(kernel, state):
    kernel.state = state
    kernel.looks(LOOKS + 1)  # the first two find out how it was
    assert not kernel.killed
    assert kernel.sent == [SAY_WHERE]
    assert kernel.said[0].endswith('the process is killed in 10 s, unless it goes on')
    kernel.looks(3, LOOKS + 1)
    assert kernel.sent == [SAY_WHERE, signal.SIGKILL]
    kernel.switches += 1  # it runs once more, to end
    kernel.state = 'Z'
    kernel.looks(3, LOOKS + 4)
    assert len(kernel.said) == 2


def test_one_that_runs_once_in_a_while_is_left_alone(kernel):
    for now_s in range(10 * LOOKS):
        kernel.switches += now_s % (LOOKS - 2) == 0
        kernel.look(float(now_s))
    assert not kernel.killed
    assert 'goes on' in kernel.said


@pytest.mark.parametrize(
    'busy',
    [
        {'state': 'R'},  # computes, or waits for a processor
        {'state': 'D'},  # for the disk
        {'threads': ('S', 'R')},
        {'threads': ('D', 'S')},
    ],
)
def test_one_that_is_busy_is_left_alone(kernel, busy):
    vars(kernel).update(busy)
    kernel.looks(10 * LOOKS)
    assert kernel.sent == []


def test_one_whose_threads_compute_between_the_looks_is_left_alone(kernel):
    for now_s in range(10 * LOOKS):
        kernel.cpu += 25
        kernel.look(float(now_s))
    assert kernel.sent == []


def test_a_debugger_is_named_once_and_its_process_left_alone(kernel):
    kernel.state, kernel.debugger = 't', 4711
    kernel.looks(10 * LOOKS)
    assert kernel.sent == []
    assert kernel.said == ['is held by a debugger (process 4711) and left alone']


@given(st.lists(st.floats(min_value=1.0, max_value=1e5), min_size=1, max_size=LOOKS))
def test_a_pause_of_the_machine_is_no_hang(tmp_path_factory, pauses_s):
    """However long nobody was given a processor, a look counts once."""
    kernel, now_s = Kernel(tmp_path_factory.mktemp('proc')), 0.0
    for pause_s in pauses_s:
        kernel.look(now_s)
        now_s += pause_s
    assert not kernel.killed


def turning(kernel, now_s, timers):
    """A look at a process whose main thread turns its loop, and whose timers wake or not."""
    kernel.switches += 10
    kernel.timers_switches += timers
    kernel.look(float(now_s))


def test_timers_that_do_not_wake_are_told_and_the_process_is_killed(kernel):
    for now_s in range(LOOKS + 1):
        turning(kernel, now_s, timers=False)
    assert kernel.sent == [SAY_WHERE, signal.SIGKILL]
    assert kernel.said == [
        'hangs: its DDS sleeps and does not wake; the process is killed in 10 s, unless it goes on',
        'hangs: its DDS sleeps and does not wake; killed',
    ]


def test_timers_that_wake_once_in_a_while_are_left_alone(kernel):
    for now_s in range(10 * LOOKS):
        turning(kernel, now_s, timers=now_s % (LOOKS - 2) == 0)
    assert not kernel.killed
    assert 'goes on' in kernel.said


@pytest.mark.parametrize('state', ['R', 'D', 'T', 't'])
def test_timers_that_wait_for_a_processor_the_disk_or_a_debugger_are_left_alone(kernel, state):
    kernel.timers_state = state
    for now_s in range(10 * LOOKS):
        turning(kernel, now_s, timers=False)
    assert kernel.sent == []


def test_a_thread_that_has_ended_is_no_hang(kernel):
    for now_s in range(LOOKS - 2):
        turning(kernel, now_s, timers=False)
    kernel.timers_state = ''  # DDS is shut down
    shutil.rmtree(kernel.folder / '7' / 'task' / '9')
    for now_s in range(LOOKS, 3 * LOOKS):
        turning(kernel, now_s, timers=False)
    assert not kernel.killed


def test_with_another_profile_nobody_knows_when_the_timers_wake(tmp_path, monkeypatch):
    monkeypatch.setenv('FASTRTPS_DEFAULT_PROFILES_FILE', 'another.xml')
    kernel = Kernel(tmp_path, timers=None)
    for now_s in range(10 * LOOKS):
        turning(kernel, now_s, timers=False)
    assert kernel.sent == []


def test_the_stations_profile_wakes_them_far_more_often_than_they_are_waited_for():
    profile = ElementTree.parse(share_path('config', 'fastdds.xml')).getroot()
    (period,) = (one for one in profile.iter() if one.tag.endswith('leaseAnnouncement'))
    period_s = sum(int(part.text) * {'sec': 1, 'nanosec': 1e-9}[part.tag.split('}')[1]] for part in period)
    assert 0 < period_s < LOOKS / 10


def test_looks_in_quick_succession_count_once(kernel):
    for number in range(1000):
        kernel.look(number * 0.01)
    assert kernel.sent == []


def test_another_process_begins_anew(kernel):
    kernel.looks(LOOKS)
    kernel.look(float(LOOKS), pid=8)
    kernel.look(LOOKS + 1.0, pid=8)
    assert not kernel.killed


@contextmanager
def process_that(does):
    """A process of its own that does so, with another thread that wakes now and then as those of DDS do."""
    code = f'import ctypes, faulthandler, signal, sys, threading, time\nfaulthandler.register({int(SAY_WHERE)})\n'
    code += 'threading.Thread(target=lambda: [time.sleep(0.3) for _ in iter(int, 1)], daemon=True).start()\n'
    code += f'print(flush=True)\n{WORKS[does]}\n'
    command = [sys.executable, '-c', code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def looks_at(process):
    """Look again and again; yields what was said so far."""
    said = []
    watch = HangWatch(lambda _, words: said.append(words))
    for number in count():
        watch.step(2.0 * number, {'node': process.pid})
        yield said


@pytest.mark.parametrize('stopped', [False, True])
def test_a_real_process_that_hangs_is_killed(stopped):
    with process_that('loop' if stopped else 'lock') as process:
        if stopped:
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        looks = looks_at(process)
        said = next(said for said in looks if said)
        if not stopped:
            assert any('File "<string>"' in line for line in process.stderr)  # it tells where
        next(looks for _ in looks if process.poll() is not None)
        assert process.wait() == -signal.SIGKILL
        assert said[-1] == 'hangs: its main thread ' + (
            'is stopped by a signal; killed' if stopped else 'sleeps and does not wake; killed'
        )


def test_a_real_process_whose_timers_hang_is_killed():
    with process_that('timers') as process:
        said = next(said for said in looks_at(process) if not process.stdout.readline())  # its loop turns no more
        assert process.wait() == -signal.SIGKILL
        assert said[-1] == 'hangs: its DDS sleeps and does not wake; killed'


@pytest.mark.parametrize('does', ['loop', 'computes', 'waits for a thread that computes'])
def test_a_real_process_that_works_is_left_alone(does):
    with process_that(does) as process:
        for _, said in zip(range(LOOKS + 5), looks_at(process), strict=False):
            assert said == []
            if does == 'loop':
                process.stdout.readline()  # its loop has turned
        assert process.poll() is None


def test_a_process_that_has_ended_is_forgotten():
    with subprocess.Popen(['true']) as process:
        process.wait()
    said = []
    watch = HangWatch(lambda _, words: said.append(words))
    for now_s in range(2 * LOOKS):
        watch.step(float(now_s), {'node': process.pid})
    assert said == []
