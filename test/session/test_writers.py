"""A session is complete when the last of its writers has closed its files, or has died."""

import fcntl
import subprocess
import sys

import pytest

from qkd_gs.session.writers import wait_until_written, writing

WRITE = (
    'import sys; from pathlib import Path; from qkd_gs.session.writers import writing; '
    'held = writing(Path(sys.argv[1])); print("held", flush=True); sys.stdin.read()'
)


def is_written(folder):
    with open(folder / '.writers', 'ab') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@pytest.fixture
def writer(tmp_path):
    process = subprocess.Popen(
        [sys.executable, '-c', WRITE, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == 'held\n'
    yield process
    process.kill()
    process.communicate()


def test_a_session_nobody_writes_is_not_waited_for(tmp_path):
    wait_until_written(tmp_path)
    writing(tmp_path).close()
    wait_until_written(tmp_path)


def test_all_writers_are_waited_for(tmp_path, writer):
    with writing(tmp_path):
        assert is_written(tmp_path)
    assert is_written(tmp_path)
    writer.communicate('')  # it ends as asked
    wait_until_written(tmp_path)


def test_a_writer_that_was_killed_is_not_waited_for(tmp_path, writer):
    assert is_written(tmp_path)
    writer.kill()
    wait_until_written(tmp_path)
