"""Conformance of a half-wave-plate driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, nan, pi, radians, remainder
from typing import ClassVar

import pytest

from qkd_gs.devices.conformance.checks import DeviceConformance, Traits, fault_of
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.hwp import HwpRotator
from qkd_gs.devices.kinds import HWP


@dataclass(frozen=True)
class HwpTraits(Traits):
    """Properties of a half-wave-plate driver.

    Attributes
    ----------
    resolution_rad : float
        Greatest difference of a reading from the commanded angle, at rest.
    move_s : float
        Time of the longest move, a quarter turn.
    stop_s : float
        Time to stop.
    either_way : bool
        The rotator turns through its zero mark without limit, so it can go the shorter way modulo pi.
    """

    age_s: float = 0.2
    resolution_rad: float = radians(0.1)
    move_s: float = 10.0
    stop_s: float = 1.0
    either_way: bool = True


class HwpConformance(DeviceConformance):
    """Checks of the `HwpRotator` Protocol."""

    kind = HWP
    traits: ClassVar[HwpTraits] = HwpTraits()

    def make_safe(self, device: HwpRotator, now_ns: int) -> None:
        """Stop."""
        device.stop(now_ns)

    def calls(self, device: HwpRotator, now_ns: int) -> list[Callable[[], object]]:
        """Every call that needs an open device."""
        return [lambda: device.read(now_ns), lambda: device.move(now_ns, 0.5)]

    def go(self, rig: Rig[HwpRotator], device: HwpRotator, angle_rad: float) -> None:
        """Move to an angle and wait until the rotator stands there."""
        device.move(rig.now_ns, angle_rad)
        assert rig.until(lambda: self.is_at(rig, device, angle_rad), self.traits.move_s), 'it does not arrive'

    def is_at(self, rig: Rig[HwpRotator], device: HwpRotator, angle_rad: float) -> bool:
        """Whether the rotator stands at an angle modulo pi."""
        reading = device.read(rig.now_ns)
        return not reading.moving and abs(remainder(reading.angle_rad - angle_rad, pi)) <= self.traits.resolution_rad

    @pytest.mark.parametrize('angle_deg', [10, 80, 100, 170, -30, 370])
    def test_it_goes_to_an_angle_and_reads_it_in_rad_below_pi(
        self, rig: Rig[HwpRotator], device: HwpRotator, angle_deg: float
    ) -> None:
        self.go(rig, device, radians(angle_deg))
        assert 0 <= device.read(rig.now_ns).angle_rad < pi

    def test_it_goes_the_shorter_way(self, rig: Rig[HwpRotator], device: HwpRotator) -> None:
        if not self.traits.either_way:
            pytest.skip('the rotator has a limited travel')
        self.go(rig, device, radians(175))
        before, travel = device.read(rig.now_ns).angle_rad, 0.0
        device.move(rig.now_ns, radians(5))
        for _ in range(round(self.traits.move_s / 0.02)):
            angle = device.read(rig.advance(0.02)).angle_rad
            travel, before = travel + abs(remainder(angle - before, pi)), angle
        assert self.is_at(rig, device, radians(5))
        assert travel == pytest.approx(radians(10), abs=radians(1))

    def test_it_reports_that_it_moves(self, rig: Rig[HwpRotator], device: HwpRotator) -> None:
        self.go(rig, device, 0.0)
        device.move(rig.now_ns, pi / 2)
        assert rig.until(lambda: device.read(rig.now_ns).moving, self.traits.move_s)
        assert rig.until(lambda: self.is_at(rig, device, pi / 2), self.traits.move_s)

    @pytest.mark.parametrize('angle_rad', [nan, inf, -inf])
    def test_an_angle_that_is_not_finite_is_refused(
        self, rig: Rig[HwpRotator], device: HwpRotator, angle_rad: float
    ) -> None:
        self.go(rig, device, 0.3)
        assert fault_of(lambda: device.move(rig.now_ns, angle_rad)) == 'hwp.command'
        rig.advance(0.5)
        assert self.is_at(rig, device, 0.3)

    def test_stop_ends_a_move(self, rig: Rig[HwpRotator], device: HwpRotator) -> None:
        self.go(rig, device, 0.0)
        device.move(rig.now_ns, pi / 2)
        assert rig.until(lambda: device.read(rig.now_ns).moving, self.traits.move_s)
        device.stop(rig.now_ns)
        device.stop(rig.now_ns)
        stands = rig.until(lambda: not device.read(rig.now_ns).moving, self.traits.stop_s)
        assert stands, 'it does not stop'
        stopped = device.read(rig.now_ns)
        later = device.read(rig.advance(1.0))
        assert later.angle_rad == pytest.approx(stopped.angle_rad, abs=self.traits.resolution_rad)
        assert not self.is_at(rig, device, pi / 2)
