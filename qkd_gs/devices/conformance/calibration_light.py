"""Conformance of a calibration light."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest

from qkd_gs.devices.calibration_light import CalibrationLight
from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.late import LateConformance, LateTraits
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.kinds import CALIBRATION_LIGHT


@dataclass(frozen=True)
class CalibrationLightTraits(LateTraits):
    """Properties of a calibration light.

    Attributes
    ----------
    switch_s : float
        Longest time until it is told to be off, or steadily on.
    step : float
        Greatest difference of a brightness from that ordered.
    """

    switch_s: float = 10.0
    step: float = 0.01


class CalibrationLightConformance(LateConformance):
    """Checks of the `CalibrationLight` Protocol."""

    kind = CALIBRATION_LIGHT
    traits: ClassVar[CalibrationLightTraits] = CalibrationLightTraits()

    def make_safe(self, device: CalibrationLight, now_ns: int) -> None:
        """Switch off."""
        device.off(now_ns)

    def calls(self, device: CalibrationLight, now_ns: int) -> list[Callable[[], object]]:
        """Every call that needs an open device."""
        return [lambda: device.read(now_ns), lambda: device.on(now_ns, 0.5)]

    def shines(self, rig: Rig[CalibrationLight], device: CalibrationLight, brightness: float) -> None:
        """Switch on and wait for the steady light."""

        def steady() -> bool:
            reading = device.read(rig.now_ns)
            return reading.lit and reading.ready and abs(reading.brightness - brightness) <= self.traits.step

        device.on(rig.now_ns, brightness)
        assert rig.until(steady, self.traits.switch_s), f'it does not shine with {brightness}'

    def is_dark(self, rig: Rig[CalibrationLight], device: CalibrationLight) -> None:
        """Wait until it is told to be off."""
        assert rig.until(lambda: not device.read(rig.now_ns).lit, self.traits.switch_s), 'it stays on'
        assert not device.read(rig.now_ns).ready

    def test_it_is_dark_after_open(self, rig: Rig[CalibrationLight], device: CalibrationLight) -> None:
        self.heard(rig, device)
        self.is_dark(rig, device)

    def test_it_shines_as_told_and_goes_off(self, rig: Rig[CalibrationLight], device: CalibrationLight) -> None:
        self.heard(rig, device)
        self.shines(rig, device, 1.0)
        self.shines(rig, device, 0.4)
        device.off(rig.now_ns)
        device.off(rig.now_ns)
        self.is_dark(rig, device)
        assert device.read(rig.now_ns).brightness == 0

    @pytest.mark.parametrize('brightness', [0.0, -0.1, 1.01, float('nan')])
    def test_another_brightness_is_refused(
        self, rig: Rig[CalibrationLight], device: CalibrationLight, brightness: float
    ) -> None:
        self.heard(rig, device)
        self.is_dark(rig, device)
        assert fault_of(lambda: device.on(rig.now_ns, brightness)) == 'calibration_light.command'
        rig.advance(0.5)
        assert not device.read(rig.now_ns).lit

    def test_close_switches_it_off(self, rig: Rig[CalibrationLight], device: CalibrationLight) -> None:
        self.heard(rig, device)
        self.shines(rig, device, 0.4)
        device.close()
        again = rig.open()
        self.heard(rig, again)
        self.is_dark(rig, again)

    def test_a_light_that_a_dead_process_has_left_on_goes_off(
        self, rig: Rig[CalibrationLight], device: CalibrationLight
    ) -> None:
        """The driver that has switched it on is never called again."""
        self.heard(rig, device)
        self.shines(rig, device, 0.4)
        again = rig.open()
        self.heard(rig, again)
        self.is_dark(rig, again)
