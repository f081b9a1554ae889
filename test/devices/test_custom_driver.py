"""The driver of examples/custom_driver.py passes the conformance suite, and its options come from a devices file."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from qkd_gs.devices.conformance.hwp import HwpConformance
from qkd_gs.devices.conformance.rig import Rig

EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / 'examples' / 'custom_driver.py'))


class TestRotator(HwpConformance):
    @pytest.fixture
    def rig(self):
        with EXAMPLE['Emulator']() as emulator:
            yield Rig(EXAMPLE['rotator'], emulator.options, emulator)


def test_it_runs_as_written(capsys):
    EXAMPLE['main']()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == ' 30.00 deg, at rest'
    assert lines[-1] == 'after close(): hwp.closed: the device is not open'
