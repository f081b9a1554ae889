"""Conformance of a GPS driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qkd_gs.devices.conformance.checks import DeviceConformance, Traits
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.gps import Gps
from qkd_gs.devices.kinds import GPS

_SECOND_NS = 10**9


@dataclass(frozen=True)
class GpsTraits(Traits):
    """Properties of a GPS driver.

    Attributes
    ----------
    fix_s : float
        Time to the first fix.
    accuracy_s : float
        Greatest reported accuracy of the PPS pulse with a fix.
    own_clock : bool
        The counterpart has a clock of its own, which goes on while the machine stalls: seconds may be missed.
    """

    age_s: float = 1.5
    fix_s: float = 5.0
    accuracy_s: float = 1e-6
    own_clock: bool = False


class GpsConformance(DeviceConformance):
    """Checks of the `Gps` Protocol."""

    kind = GPS
    traits: ClassVar[GpsTraits] = GpsTraits()

    def fixed(self, rig: Rig[Gps], device: Gps) -> None:
        """Wait for a fix."""
        assert rig.until(lambda: device.read(rig.now_ns).satellites > 0, self.traits.fix_s), 'no fix'

    def test_a_fix_has_position_and_accuracy_in_their_units(self, rig: Rig[Gps], device: Gps) -> None:
        self.fixed(rig, device)
        reading = device.read(rig.now_ns)
        assert -90 <= reading.latitude_deg <= 90
        assert -180 <= reading.longitude_deg <= 360
        assert -500 <= reading.altitude_m <= 9000
        assert 0 < reading.time_accuracy_s <= self.traits.accuracy_s

    def test_stamps_are_recent_and_never_go_back(self, rig: Rig[Gps], device: Gps) -> None:
        self.fixed(rig, device)
        super().test_stamps_are_recent_and_never_go_back(rig, device)

    def test_silence_is_a_fault(self, rig: Rig[Gps], device: Gps) -> None:
        self.fixed(rig, device)
        super().test_silence_is_a_fault(rig, device)

    def test_every_second_has_its_pps_pulse(self, rig: Rig[Gps], device: Gps) -> None:
        self.fixed(rig, device)
        seconds = []
        for _ in range(50):
            reading = device.read(rig.advance(0.1))
            assert reading.pps_utc_ns % _SECOND_NS == 0
            if not self.traits.own_clock:
                assert 0 <= reading.stamp_ns - reading.pps_utc_ns < 2 * _SECOND_NS
            seconds.append(reading.pps_utc_ns // _SECOND_NS)
        if self.traits.own_clock:
            assert seconds == sorted(seconds)
            assert len(set(seconds)) > 2
            return
        assert set(seconds) == set(range(seconds[0], seconds[-1] + 1))
        assert seconds[-1] - seconds[0] in (4, 5)

    def test_a_lost_fix_is_reported(self, rig: Rig[Gps], device: Gps) -> None:
        self.fixed(rig, device)
        rig.counterpart.lose_fix()
        assert rig.until(lambda: device.read(rig.now_ns).satellites == 0, 5.0), 'the lost fix is not reported'
