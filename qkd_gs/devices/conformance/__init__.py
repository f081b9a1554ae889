"""Conformance tests of the device Protocols: a suite per kind that any driver passes by naming its factory.

A test module of a driver subclasses the suite of its kind, and has a fixture `rig` with the driver, its options and
the counterpart that it talks to (emulator, server, simulated plant)::

    from qkd_gs.devices.conformance.hwp import HwpConformance, HwpTraits
    from qkd_gs.devices.conformance.rig import Counterpart, Rig

    class TestRotator(HwpConformance):
        traits = HwpTraits(resolution_rad=1e-4)

        @pytest.fixture
        def rig(self):
            with Emulator() as emulator:
                yield Rig(acme.rotator, acme.RotatorOptions(port=emulator.port), emulator)

Nothing sleeps: station time is `Rig.now_ns`, and `Counterpart.advance` lets the counterpart follow it.  A check that a
counterpart cannot provoke is skipped.
"""

import pytest

for _module in (
    'checks',
    'late',
    'mount',
    'camera',
    'beacon',
    'hwp',
    'gps',
    'tdc',
    'aircraft',
    'weather',
    'dome',
    'focuser',
    'calibration_light',
):
    pytest.register_assert_rewrite(f'{__name__}.{_module}')
