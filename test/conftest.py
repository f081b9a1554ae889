"""Settings of all tests, and how they are divided among processes that run at the same time."""

import gc
import os
import shutil
import signal
import tempfile

import pytest
from hypothesis import settings

# The same examples on every run, and no deadline: a first call may compile a numba kernel.
settings.register_profile('project', deadline=None, derandomize=True)
settings.load_profile('project')

MEMORY = '/dev/shm'
ROOM_BYTES = 6 * 2**30  # the sessions of all workers, several times over

STATIONS = 'nodes/graph/'  # whole stations, one at a time
WAITING = ('drivers/indi/', 'drivers/gige/', 'drivers/alpaca/test_alpaca.', 'drivers/test_rotctl')  # for their servers
# A worker takes a file at a time, all stations as one file and all that wait as another; these first, so that nobody is
# left with a long one at the end.
LONGEST = (
    STATIONS,
    *WAITING,
    'cli/test_simulate',
    'nodes/',
    'drivers/',
    'recording/test_repair',
    'house/test_jit',
    'test_examples',
)

gc.disable()  # hardly any object of a collection of tests ever dies


def pytest_configure(config):
    """Signals as in the foreground, and folders in memory where there is room.

    A durable store mostly waits for its disk.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's `&` has them ignored, by every child, too
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    chosen = config.option.basetemp or 'TMPDIR' in os.environ
    if chosen or not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ROOM_BYTES:
        return
    os.environ['TMPDIR'] = tempfile.tempdir = MEMORY


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    """An error that a signal of the test's own has hidden is told: an interrupt would end the worker instead."""
    try:
        return (yield)
    except KeyboardInterrupt as interrupt:
        if isinstance(interrupt.__context__, Exception):
            raise interrupt.__context__ from None
        raise


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Two more than there are processors: stations wait for their passes, drivers for their devices."""
    return len(os.sched_getaffinity(0)) + 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """By file."""
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid):
            if any(part in nodeid for part in WAITING):
                return 'waiting'
            return STATIONS if STATIONS in nodeid else super()._split_scope(nodeid)

    return Files(config, log)


def pytest_collection_modifyitems(config, items):
    if hasattr(config, 'workerinput'):
        items.sort(key=lambda item: next((k for k, part in enumerate(LONGEST) if part in item.nodeid), len(LONGEST)))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish():
    """What was imported and collected stays to the end: the garbage collector need not look at it again and again."""
    gc.freeze()
    gc.enable()
