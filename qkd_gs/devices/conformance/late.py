"""Conformance of devices whose first reading comes some time after they were opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from qkd_gs.devices.conformance.checks import DeviceConformance, Traits
from qkd_gs.devices.conformance.rig import Rig


@dataclass(frozen=True)
class LateTraits(Traits):
    """Properties of such a device.

    Attributes
    ----------
    first_s : float
        Time to the first reading.
    recent_s : float
        Age of a reading at most.
    """

    first_s: float = 10.0
    recent_s: float = 2.0


class LateConformance(DeviceConformance):
    """Checks of readings that begin late."""

    traits: ClassVar[LateTraits] = LateTraits()

    def heard(self, rig: Rig[Any], device: Any) -> None:
        """Wait for the first reading."""
        assert rig.until(lambda: device.read(rig.now_ns).stamp_ns > 0, self.traits.first_s), 'nothing is heard'

    def test_it_can_be_opened_again_after_close(self, rig: Rig[Any], device: Any) -> None:
        device.close()
        self.heard(rig, rig.open())

    def test_stamps_are_recent_and_never_go_back(self, rig: Rig[Any], device: Any) -> None:
        self.heard(rig, device)
        before_ns = 0
        for _ in range(30):
            now_ns = rig.advance(0.05)
            stamp_ns = device.read(now_ns).stamp_ns
            assert now_ns - self.traits.recent_s * 1e9 <= stamp_ns <= now_ns
            assert stamp_ns >= before_ns
            before_ns = stamp_ns

    def test_silence_is_a_fault(self, rig: Rig[Any], device: Any) -> None:
        self.heard(rig, device)
        super().test_silence_is_a_fault(rig, device)
