"""Conformance of a focuser driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest

from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.late import LateConformance, LateTraits
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.focuser import Focuser
from qkd_gs.devices.kinds import FOCUSER


@dataclass(frozen=True)
class FocuserTraits(LateTraits):
    """Properties of a focuser driver.

    Attributes
    ----------
    distance_steps : int
        A move that takes long enough to be seen and halted.
    move_s : float
        Longest time of such a move.
    stop_s : float
        Time to stop.
    tolerance_steps : int
        Greatest difference of a reading from the commanded position, at rest.
    """

    distance_steps: int = 2000
    move_s: float = 30.0
    stop_s: float = 2.0
    tolerance_steps: int = 1


class FocuserConformance(LateConformance):
    """Checks of the `Focuser` Protocol."""

    kind = FOCUSER
    traits: ClassVar[FocuserTraits] = FocuserTraits()

    def make_safe(self, device: Focuser, now_ns: int) -> None:
        """Halt."""
        device.halt(now_ns)

    def calls(self, device: Focuser, now_ns: int) -> list[Callable[[], object]]:
        """Every call that needs an open device."""
        return [lambda: device.read(now_ns), device.travel, lambda: device.move(now_ns, 0)]

    def is_at(self, rig: Rig[Focuser], device: Focuser, position: int) -> bool:
        """Whether the focuser stands at a position."""
        reading = device.read(rig.now_ns)
        return not reading.moving and abs(reading.position - position) <= self.traits.tolerance_steps

    def go(self, rig: Rig[Focuser], device: Focuser, position: int) -> None:
        """Move and wait for the end."""
        device.move(rig.now_ns, position)
        assert rig.until(lambda: self.is_at(rig, device, position), self.traits.move_s), 'it does not arrive'

    def places(self, rig: Rig[Focuser], device: Focuser) -> tuple[int, int]:
        """Two positions within the travel, `distance_steps` apart; the focuser stands at the first of them."""
        self.heard(rig, device)
        low, high = device.travel()
        here = device.read(rig.now_ns).position
        there = here + self.traits.distance_steps
        if there > high:
            there = here - self.traits.distance_steps
        assert low <= there <= high, f'the travel of {low} to {high} steps is too short for distance_steps'
        return here, there

    def test_it_goes_to_a_position_and_back(self, rig: Rig[Focuser], device: Focuser) -> None:
        here, there = self.places(rig, device)
        self.go(rig, device, there)
        self.go(rig, device, here)

    def test_it_reports_that_it_moves(self, rig: Rig[Focuser], device: Focuser) -> None:
        _, there = self.places(rig, device)
        device.move(rig.now_ns, there)
        assert rig.until(lambda: device.read(rig.now_ns).moving, self.traits.move_s)
        assert rig.until(lambda: self.is_at(rig, device, there), self.traits.move_s)

    @pytest.mark.parametrize('outside', [-1, 1])
    def test_a_position_outside_the_travel_is_refused(self, rig: Rig[Focuser], device: Focuser, outside: int) -> None:
        here, _ = self.places(rig, device)
        low, high = device.travel()
        wrong = low - 1 if outside < 0 else high + 1
        assert fault_of(lambda: device.move(rig.now_ns, wrong)) == 'focuser.command'
        rig.advance(0.5)
        assert self.is_at(rig, device, here)

    def test_halt_ends_a_move(self, rig: Rig[Focuser], device: Focuser) -> None:
        _, there = self.places(rig, device)
        device.move(rig.now_ns, there)
        assert rig.until(lambda: device.read(rig.now_ns).moving, self.traits.move_s)
        device.halt(rig.now_ns)
        device.halt(rig.now_ns)
        assert rig.until(lambda: not device.read(rig.now_ns).moving, self.traits.stop_s)
        stopped = device.read(rig.now_ns).position
        rig.advance(self.traits.stop_s)
        assert abs(device.read(rig.now_ns).position - stopped) <= self.traits.tolerance_steps
        assert not self.is_at(rig, device, there)

    def test_a_later_position_replaces_the_first(self, rig: Rig[Focuser], device: Focuser) -> None:
        here, there = self.places(rig, device)
        device.move(rig.now_ns, there)
        assert rig.until(lambda: device.read(rig.now_ns).moving, self.traits.move_s)
        self.go(rig, device, here)
