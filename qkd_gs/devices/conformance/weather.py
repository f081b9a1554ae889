"""Conformance of a weather station."""

from __future__ import annotations

from math import isnan

from qkd_gs.devices.conformance.late import LateConformance, LateTraits
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.kinds import WEATHER
from qkd_gs.devices.weather import Weather


class WeatherConformance(LateConformance):
    """Checks of the `Weather` Protocol."""

    kind = WEATHER
    traits = LateTraits(recent_s=3.0)

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
