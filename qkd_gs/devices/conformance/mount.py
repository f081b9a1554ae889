"""Conformance of a mount driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, isfinite, nan, radians
from typing import Any, ClassVar

import pytest

from qkd_gs.devices.conformance.checks import DeviceConformance, Traits, fault_of
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.kinds import MOUNT
from qkd_gs.devices.mount import Mount, MountCommand, MountMode, MountReading

_RATE_RAD_S = radians(0.5)  # of a set-point path that every tracking mount follows


@dataclass(frozen=True)
class MountTraits(Traits):
    """Properties of a mount driver.

    Attributes
    ----------
    age_s : float
        Greatest age of a reading.
    enable_s, stop_s : float
        Time to release the brakes, and to brake to a stop from 0.5 deg/s.
    following_rad : float
        Greatest following error at 0.5 deg/s, after `settle_s`.
    rate_rad_s : float
        Greatest error of a reported rate.
    """

    age_s: float = 0.2
    enable_s: float = 3.0
    stop_s: float = 2.0
    settle_s: float = 2.0
    following_rad: float = 1e-3
    rate_rad_s: float = 2e-3


class MountConformance(DeviceConformance):
    """Checks of the `Mount` Protocol."""

    kind = MOUNT
    traits: ClassVar[MountTraits] = MountTraits()

    def make_safe(self, device: Mount, now_ns: int) -> None:
        """Stop."""
        device.stop(now_ns)

    def calls(self, device: Mount, now_ns: int) -> list[Callable[[], object]]:
        """Every call that needs an open device."""
        command = MountCommand(now_ns, 0.0, 0.5)
        return [
            lambda: device.read(now_ns),
            lambda: device.enable(now_ns),
            lambda: device.command(now_ns, command),
        ]

    def enabled(self, rig: Rig[Mount], device: Mount) -> MountReading:
        """Enable the drives; reading at standstill."""
        device.enable(rig.now_ns)
        assert rig.until(lambda: device.read(rig.now_ns).mode is MountMode.HOLD, self.traits.enable_s), 'not enabled'
        return device.read(rig.now_ns)

    def follow(self, rig: Rig[Mount], device: Mount, start: MountReading, seconds: float) -> None:
        """Command both axes away from where they are at 0.5 deg/s, a set-point every 10 ms."""
        begin_ns = rig.now_ns

        def step(now_ns: int) -> None:
            device.command(now_ns, path(begin_ns, start, now_ns + 10_000_000))

        rig.run(seconds, step)

    def at_rest(self, reading: MountReading) -> bool:
        """Whether the axes stand still."""
        return max(abs(reading.az_rate_rad_s), abs(reading.el_rate_rad_s)) < self.traits.rate_rad_s

    def test_drives_are_off_until_they_are_enabled(self, rig: Rig[Mount], device: Mount) -> None:
        reading = device.read(rig.advance(0.1))
        assert reading.mode is MountMode.OFF
        assert fault_of(lambda: device.command(rig.now_ns, MountCommand(rig.now_ns, 0.0, 0.5))) == 'mount.off'

    def test_readings_are_encoder_angles_in_rad_within_the_travel(self, rig: Rig[Mount], device: Mount) -> None:
        reading, settings = device.read(rig.advance(0.1)), rig.station.mount
        for angle, axis in ((reading.az_rad, settings.azimuth), (reading.el_rad, settings.elevation)):
            assert radians(axis.min_deg) - 0.01 <= angle <= radians(axis.max_deg) + 0.01
        assert isfinite(reading.az_rate_rad_s)
        assert self.at_rest(reading)

    def test_enabled_drives_hold_where_they_are(self, rig: Rig[Mount], device: Mount) -> None:
        before = device.read(rig.advance(0.1))
        self.enabled(rig, device)
        after = device.read(rig.advance(1.0))
        assert after.mode is MountMode.HOLD
        assert after.az_rad == pytest.approx(before.az_rad, abs=self.traits.following_rad)
        assert after.el_rad == pytest.approx(before.el_rad, abs=self.traits.following_rad)

    def test_it_follows_timed_set_points(self, rig: Rig[Mount], device: Mount) -> None:
        start = self.enabled(rig, device)
        begin_ns = rig.now_ns
        self.follow(rig, device, start, self.traits.settle_s + 1)
        reading = device.read(rig.now_ns)
        goal = path(begin_ns, start, reading.stamp_ns)
        assert reading.mode is MountMode.TRACK
        assert reading.az_rad == pytest.approx(goal.az_rad, abs=self.traits.following_rad)
        assert reading.el_rad == pytest.approx(goal.el_rad, abs=self.traits.following_rad)
        assert reading.az_rate_rad_s == pytest.approx(goal.az_rate_rad_s, abs=self.traits.rate_rad_s)
        assert reading.el_rate_rad_s == pytest.approx(goal.el_rate_rad_s, abs=self.traits.rate_rad_s)

    def test_set_points_beyond_the_travel_are_refused(self, rig: Rig[Mount], device: Mount) -> None:
        start = self.enabled(rig, device)
        here = MountCommand(rig.now_ns, start.az_rad, start.el_rad)
        azimuth, elevation = rig.station.mount.azimuth, rig.station.mount.elevation
        changes: tuple[dict[str, Any], ...] = (
            {'az_rad': radians(azimuth.max_deg) + 0.01},
            {'az_rad': radians(azimuth.min_deg) - 0.01},
            {'el_rad': radians(elevation.max_deg) + 0.01},
            {'el_rad': radians(elevation.min_deg) - 0.01},
        )
        for change in changes:
            self._refused(rig, device, replace(here, **change), 'mount.limit')
        assert device.read(rig.advance(0.5)).az_rad == pytest.approx(start.az_rad, abs=self.traits.following_rad)

    @pytest.mark.parametrize('value', [nan, inf, -inf])
    @pytest.mark.parametrize('name', ['az_rad', 'el_rad', 'az_rate_rad_s', 'el_rate_rad_s', 'el_acc_rad_s2'])
    def test_set_points_that_are_not_finite_are_refused(
        self, rig: Rig[Mount], device: Mount, name: str, value: float
    ) -> None:
        start = self.enabled(rig, device)
        change: dict[str, Any] = {name: value}
        here = MountCommand(rig.now_ns, start.az_rad, start.el_rad)
        self._refused(rig, device, replace(here, **change), 'mount.command')

    @pytest.mark.parametrize('name', ['az_rate_rad_s', 'el_rate_rad_s', 'az_acc_rad_s2', 'el_acc_rad_s2'])
    def test_absurd_rates_are_refused(self, rig: Rig[Mount], device: Mount, name: str) -> None:
        start = self.enabled(rig, device)
        for value in (1e30, -1e4):
            change: dict[str, Any] = {name: value}
            here = MountCommand(rig.now_ns, start.az_rad, start.el_rad)
            self._refused(rig, device, replace(here, **change), 'mount.command')

    def _refused(self, rig: Rig[Mount], device: Mount, command: MountCommand, code: str) -> None:
        assert fault_of(lambda: device.command(rig.now_ns, command)) == code
        assert device.read(rig.advance(0.05)).mode is MountMode.HOLD

    def test_it_brakes_without_set_points(self, rig: Rig[Mount], device: Mount) -> None:
        self.follow(rig, device, self.enabled(rig, device), 1.0)
        rig.advance(rig.station.mount.watchdog_s + self.traits.stop_s)
        self._stands(rig, device)

    def test_stop_brakes_and_holds(self, rig: Rig[Mount], device: Mount) -> None:
        self.follow(rig, device, self.enabled(rig, device), 1.0)
        device.stop(rig.now_ns)
        device.stop(rig.now_ns)
        rig.advance(self.traits.stop_s)
        self._stands(rig, device)

    def _stands(self, rig: Rig[Mount], device: Mount) -> None:
        first = device.read(rig.now_ns)
        later = device.read(rig.advance(0.5))
        assert later.mode is MountMode.HOLD
        assert self.at_rest(later)
        assert later.az_rad == pytest.approx(first.az_rad, abs=self.traits.following_rad)

    def test_it_follows_again_after_a_stop(self, rig: Rig[Mount], device: Mount) -> None:
        self.follow(rig, device, self.enabled(rig, device), 0.5)
        device.stop(rig.now_ns)
        rig.advance(self.traits.stop_s)
        self.follow(rig, device, device.read(rig.now_ns), 1.0)
        assert device.read(rig.now_ns).mode is MountMode.TRACK

    def test_close_engages_the_brakes(self, rig: Rig[Mount], device: Mount) -> None:
        self.enabled(rig, device)
        device.close()
        rig.advance(1.0)
        again = rig.open()
        assert again.read(rig.advance(0.1)).mode is MountMode.OFF

    def test_a_fault_of_the_drives_is_reported_and_cleared_by_enable(self, rig: Rig[Mount], device: Mount) -> None:
        self.enabled(rig, device)
        rig.counterpart.fail()
        assert rig.until(lambda: device.read(rig.now_ns).mode is MountMode.FAULT, 2.0), 'the fault is not reported'
        assert device.read(rig.now_ns).fault.startswith('mount.')
        here = MountCommand(rig.now_ns, 0.0, 0.5)
        assert fault_of(lambda: device.command(rig.now_ns, here)) == 'mount.off'
        assert self.enabled(rig, device).fault == ''


def path(begin_ns: int, start: MountReading, at_ns: int) -> MountCommand:
    """Set-point of a path that leaves `start` at `begin_ns` with 0.5 deg/s, towards smaller azimuth and up."""
    since_s = (at_ns - begin_ns) * 1e-9
    return MountCommand(
        at_ns,
        start.az_rad - _RATE_RAD_S * since_s,
        start.el_rad + _RATE_RAD_S * since_s,
        -_RATE_RAD_S,
        _RATE_RAD_S,
    )
