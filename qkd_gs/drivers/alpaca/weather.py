"""Weather behind an Alpaca server: a safety monitor, observing conditions, or both."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.devices.weather import Weather, WeatherReading
from qkd_gs.drivers.alpaca.probe import probe
from qkd_gs.drivers.alpaca.session import AlpacaOptions, AlpacaSession

_MEASURED = ('rainrate', 'windspeed', 'windgust', 'cloudcover', 'humidity')


class AlpacaWeatherOptions(AlpacaOptions):
    """Options of the driver ``weather.alpaca``; `number` is that of both devices."""

    safety_monitor: bool = Field(True, description='ask the device SafetyMonitor')
    conditions: bool = Field(True, description='ask the device ObservingConditions')

    @model_validator(mode='after')
    def _one_at_least(self) -> Self:
        if not self.safety_monitor and not self.conditions:
            raise ValueError('neither safety_monitor nor conditions is asked')
        return self


class AlpacaWeather:
    """Implements `Weather`."""

    def __init__(self, options: AlpacaWeatherOptions) -> None:
        self._monitor = self._conditions = None
        if options.safety_monitor:
            self._monitor = AlpacaSession('weather', options, 'safetymonitor', ('issafe',))
        if options.conditions:
            self._conditions = AlpacaSession('weather', options, 'observingconditions', _MEASURED, frozenset(_MEASURED))
        self._sessions = [one for one in (self._monitor, self._conditions) if one is not None]

    def open(self) -> None:
        """Begin to connect."""
        for session in self._sessions:
            session.open()

    def close(self) -> None:
        """Disconnect."""
        for session in self._sessions:
            session.close()

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return self._sessions[0].health()

    def read(self, now_ns: int) -> WeatherReading:
        """Newest values, none until all are told; ``weather.silent`` when the server does not answer."""
        if not all([session.step(now_ns) for session in self._sessions]):  # each of them takes its step
            return WeatherReading(0)
        measured = self._conditions
        return WeatherReading(
            stamp_ns=min(session.oldest_ns() for session in self._sessions),
            safe=self._monitor.values['issafe'].value is True if self._monitor is not None else None,
            rain_mm_h=measured.number('rainrate') if measured is not None else float('nan'),
            wind_m_s=measured.number('windspeed') if measured is not None else float('nan'),
            gust_m_s=measured.number('windgust') if measured is not None else float('nan'),
            cloud=measured.number('cloudcover') * 0.01 if measured is not None else float('nan'),
            humidity=measured.number('humidity') * 0.01 if measured is not None else float('nan'),
        )


@driver(AlpacaWeatherOptions, probe)  # of all kinds of device behind such a server
def alpaca_weather(context: DriverContext[AlpacaWeatherOptions]) -> Weather:
    """Driver ``weather.alpaca``."""
    return AlpacaWeather(context.options)
