"""Conformance of a weather station."""

from __future__ import annotations

from math import isnan

from qkd_gs.devices.conformance.checks import DeviceConformance
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.kinds import WEATHER
from qkd_gs.devices.weather import Weather

_FIRST_S = 10.0  # to the first reading


class WeatherConformance(DeviceConformance):
    """Checks of the `Weather` Protocol."""

    kind = WEATHER

    def heard(self, rig: Rig[Weather], device: Weather) -> None:
        """Wait for the first reading."""
        assert rig.until(lambda: device.read(rig.now_ns).stamp_ns > 0, _FIRST_S), 'nothing is heard'

    def test_it_can_be_opened_again_after_close(self, rig: Rig[Weather], device: Weather) -> None:
        device.close()
        self.heard(rig, rig.open())

    def test_stamps_are_recent_and_never_go_back(self, rig: Rig[Weather], device: Weather) -> None:
        self.heard(rig, device)
        before_ns = 0
        for _ in range(30):
            now_ns = rig.advance(0.05)
            stamp_ns = device.read(now_ns).stamp_ns
            assert now_ns - 3 * 10**9 <= stamp_ns <= now_ns
            assert stamp_ns >= before_ns
            before_ns = stamp_ns

    def test_silence_is_a_fault(self, rig: Rig[Weather], device: Weather) -> None:
        self.heard(rig, device)
        super().test_silence_is_a_fault(rig, device)

    def test_values_are_in_their_units(self, rig: Rig[Weather], device: Weather) -> None:
        self.heard(rig, device)
        reading = device.read(rig.advance(0.1))
        assert reading.safe in (True, False, None)
        for value, largest in (
            (reading.rain_mm_h, 200),
            (reading.wind_m_s, 80),
            (reading.gust_m_s, 80),
            (reading.cloud, 1),
            (reading.humidity, 1),
        ):
            assert isnan(value) or 0 <= value <= largest
