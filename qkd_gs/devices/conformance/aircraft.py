"""Conformance of a receiver of aircraft positions.  Its counterpart sends a message a second from one aircraft."""

from __future__ import annotations

from collections.abc import Callable

from qkd_gs.devices.aircraft import AircraftReceiver, AircraftReport
from qkd_gs.devices.conformance.checks import DeviceConformance
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.kinds import AIRCRAFT


class AircraftConformance(DeviceConformance):
    """Checks of the `AircraftReceiver` Protocol."""

    kind = AIRCRAFT

    def calls(self, device: AircraftReceiver, now_ns: int) -> list[Callable[[], object]]:
        """Every call that needs an open device."""
        return [lambda: device.read(now_ns)]

    def stamp_ns(self, device: AircraftReceiver, now_ns: int) -> int:
        """Stamp of the last sign of life."""
        return device.read(now_ns).stamp_ns

    def test_it_can_be_opened_again_after_close(self, rig: Rig[AircraftReceiver], device: AircraftReceiver) -> None:
        device.close()
        again = rig.open()
        assert rig.until(lambda: again.read(rig.now_ns).stamp_ns > 0, 3.0), 'nothing is heard'

    def test_stamps_are_recent_and_never_go_back(self, rig: Rig[AircraftReceiver], device: AircraftReceiver) -> None:
        assert rig.until(lambda: device.read(rig.now_ns).stamp_ns > 0, 3.0), 'nothing is heard'
        before_ns = 0
        for _ in range(50):
            now_ns = rig.advance(0.1)
            stamp_ns = device.read(now_ns).stamp_ns
            assert now_ns - 2 * 10**9 <= stamp_ns <= now_ns
            assert stamp_ns >= before_ns
            before_ns = stamp_ns

    def test_each_message_is_told_once_in_si_units(self, rig: Rig[AircraftReceiver], device: AircraftReceiver) -> None:
        reports: list[AircraftReport] = []
        for _ in range(100):
            reports += device.read(rig.advance(0.05)).reports
        assert 3 <= len(reports) <= 6
        for report in reports:
            assert report.stamp_ns <= rig.now_ns
            assert report.latitude_deg is not None
            assert report.longitude_deg is not None
            assert -90 <= report.latitude_deg <= 90
            assert report.speed_m_s is None or 0 <= report.speed_m_s < 400
            assert report.altitude_m is None or -600 < report.altitude_m < 30_000
