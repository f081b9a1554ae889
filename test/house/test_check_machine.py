"""What is missing on a machine is said in one sentence, with what to do."""

import importlib.util
import platform
import re
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'tools' / 'check_machine.py'


@pytest.fixture
def check_machine():
    spec = importlib.util.spec_from_file_location('check_machine', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_machine_that_runs_the_tests_will_do(check_machine):
    assert check_machine.complaint() is None


@pytest.mark.parametrize(
    ('break_it', 'says'),
    [
        (lambda patch: patch.setattr(sys, 'version_info', (3, 10, 0)), 'Python 3.10 will not do'),
        (lambda patch: patch.setattr(sys, 'version_info', (3, 14, 0)), 'Python 3.14 will not do'),
        (lambda patch: patch.setattr(platform, 'machine', lambda: 'aarch64'), 'no ROS 2 wheels for linux on aarch64'),
        (lambda patch: patch.setitem(sys.modules, 'ensurepip', None), 'apt install .*python3-venv'),
        (
            lambda patch: patch.setattr(sysconfig, 'get_path', lambda name: '/nowhere'),
            'Python.h.*apt install .*python3-dev',
        ),
        (lambda patch: patch.setattr(shutil, 'which', lambda tool: None), 'no compiler.*apt install build-essential'),
    ],
)
def test_one_sentence_says_what_is_missing(check_machine, monkeypatch, break_it, says):
    with monkeypatch.context() as patch:
        break_it(patch)
        complaint = check_machine.complaint()
    assert complaint is not None
    assert '\n' not in complaint
    assert re.search(says, complaint)
