"""Conformance of a beacon driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan
from typing import ClassVar

import pytest

from qkd_gs.devices.beacon import Beacon
from qkd_gs.devices.conformance.checks import DeviceConformance, Traits, fault_of
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.kinds import BEACON


@dataclass(frozen=True)
class BeaconTraits(Traits):
    """Properties of a beacon driver.

    Attributes
    ----------
    on_s, off_s : float
        Time until a reading shows that the laser was switched on or off.
    watchdog_s : float
        Time without ``on()`` after which the laser switches off.
    power_share : float
        Greatest relative error of the reported power against `station.beacon.power_w`, at full power.
    """

    age_s: float = 0.2
    on_s: float = 1.0
    off_s: float = 0.2
    watchdog_s: float = 1.0
    power_share: float = 0.5


class BeaconConformance(DeviceConformance):
    """Checks of the `Beacon` Protocol."""

    kind = BEACON
    traits: ClassVar[BeaconTraits] = BeaconTraits()

    def make_safe(self, device: Beacon, now_ns: int) -> None:
        """Switch the laser off."""
        device.off(now_ns)

    def calls(self, device: Beacon, now_ns: int) -> list[Callable[[], object]]:
        """Every call that needs an open device."""
        return [lambda: device.read(now_ns), lambda: device.on(now_ns)]

    def switch_on(self, rig: Rig[Beacon], device: Beacon) -> None:
        """Repeat ``on()`` until the laser emits at full power."""
        rig.run(self.traits.on_s, device.on)
        assert device.read(rig.now_ns).emitting

    def test_it_is_off_after_opening(self, rig: Rig[Beacon], device: Beacon) -> None:
        reading = device.read(rig.advance(0.1))
        assert not reading.emitting
        assert isnan(reading.power_w) or reading.power_w == pytest.approx(0, abs=1e-3)
        assert reading.interlock_closed

    def test_on_emits_its_power_in_w(self, rig: Rig[Beacon], device: Beacon) -> None:
        self.switch_on(rig, device)
        reading = device.read(rig.now_ns)
        rated_w = rig.station.beacon.power_w
        assert isnan(reading.power_w) or reading.power_w == pytest.approx(rated_w, rel=self.traits.power_share)

    def test_off_switches_off_at_once(self, rig: Rig[Beacon], device: Beacon) -> None:
        self.switch_on(rig, device)
        device.off(rig.now_ns)
        assert not device.read(rig.advance(self.traits.off_s)).emitting
        assert not device.read(rig.advance(self.traits.on_s)).emitting

    def test_it_switches_off_without_repeated_on(self, rig: Rig[Beacon], device: Beacon) -> None:
        self.switch_on(rig, device)
        assert not device.read(rig.advance(self.traits.watchdog_s + self.traits.off_s)).emitting

    def test_close_switches_off(self, rig: Rig[Beacon], device: Beacon) -> None:
        self.switch_on(rig, device)
        device.close()
        again = rig.open()
        assert not again.read(rig.advance(self.traits.off_s)).emitting

    def test_an_open_interlock_switches_off_and_refuses_light(self, rig: Rig[Beacon], device: Beacon) -> None:
        self.switch_on(rig, device)
        rig.counterpart.open_interlock()
        reading = device.read(rig.advance(self.traits.off_s))
        assert not reading.emitting
        assert not reading.interlock_closed
        assert fault_of(lambda: device.on(rig.now_ns)) == 'beacon.interlock'
        assert not device.read(rig.advance(self.traits.off_s)).emitting
