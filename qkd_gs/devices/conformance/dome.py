"""Conformance of a dome: its shutter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from qkd_gs.devices.conformance.late import LateConformance, LateTraits
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.dome import Dome, Shutter
from qkd_gs.devices.kinds import DOME


@dataclass(frozen=True)
class DomeTraits(LateTraits):
    """Properties of a dome.

    Attributes
    ----------
    move_s : float
        Longest time to open or close.
    """

    move_s: float = 30.0


class DomeConformance(LateConformance):
    """Checks of the `Dome` Protocol."""

    kind = DOME
    traits: ClassVar[DomeTraits] = DomeTraits()

    def make_safe(self, device: Dome, now_ns: int) -> None:
        """Close the shutter."""
        device.close_shutter(now_ns)

    def calls(self, device: Dome, now_ns: int) -> list[Callable[[], object]]:
        """Every call that needs an open device."""
        return [lambda: device.read(now_ns), lambda: device.open_shutter(now_ns)]

    def until(self, rig: Rig[Dome], device: Dome, shutter: Shutter) -> None:
        """Wait until the shutter is in a state."""
        told = rig.until(lambda: device.read(rig.now_ns).shutter is shutter, self.traits.move_s)
        assert told, f'the shutter does not get {shutter.name}'

    def test_the_shutter_opens_and_closes(self, rig: Rig[Dome], device: Dome) -> None:
        self.heard(rig, device)
        device.close_shutter(rig.now_ns)
        self.until(rig, device, Shutter.CLOSED)
        device.open_shutter(rig.now_ns)
        self.until(rig, device, Shutter.OPEN)
        device.close_shutter(rig.now_ns)
        left = rig.until(lambda: device.read(rig.now_ns).shutter is not Shutter.OPEN, self.traits.move_s)
        assert left, 'it stays open'
        self.until(rig, device, Shutter.CLOSED)

    def test_closing_ends_opening(self, rig: Rig[Dome], device: Dome) -> None:
        self.heard(rig, device)
        device.close_shutter(rig.now_ns)
        self.until(rig, device, Shutter.CLOSED)
        device.open_shutter(rig.now_ns)
        rig.advance(0.5)
        device.read(rig.now_ns)
        device.close_shutter(rig.now_ns)
        self.until(rig, device, Shutter.CLOSED)
