"""Weather station behind an INDI server."""

from __future__ import annotations

from math import isfinite, nan

from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.devices.weather import Weather, WeatherReading
from qkd_gs.drivers.indi.device import IndiDevice, IndiOptions, finite
from qkd_gs.drivers.indi.probe import probe
from qkd_gs.errors import DeviceFault

_STATUS, _PARAMETERS = 'WEATHER_STATUS', 'WEATHER_PARAMETERS'
_KMH = 1 / 3.6


class IndiWeather(IndiDevice):
    """Implements `Weather`; wind is in km/h and rain in mm/h, as INDI's drivers give them."""

    def __init__(self, options: IndiOptions) -> None:
        super().__init__('weather', options, (_STATUS, _PARAMETERS))

    def read(self, now_ns: int) -> WeatherReading:
        """Newest values, none until the station is connected; ``weather.silent`` when it does not answer."""
        if not self.step(now_ns):
            return WeatherReading(0)
        values, status = self.prop(_PARAMETERS), self.prop(_STATUS)
        if values.state == 'Alert':
            raise DeviceFault('weather.silent', f'{self._options.device} cannot read its sensors')
        cloud = finite(values, 'WEATHER_CLOUD_COVER', 0.01)
        humidity = finite(values, 'WEATHER_HUMIDITY', 0.01)
        return WeatherReading(
            stamp_ns=min(values.stamp_ns, now_ns),
            safe=status.state != 'Alert' and 'Alert' not in status.values.values(),
            rain_mm_h=finite(values, 'WEATHER_RAIN_HOUR'),
            wind_m_s=finite(values, 'WEATHER_WIND_SPEED', _KMH),
            gust_m_s=finite(values, 'WEATHER_WIND_GUST', _KMH),
            cloud=cloud if isfinite(cloud) and 0 <= cloud <= 1 else nan,
            humidity=humidity,
        )


@driver(IndiOptions, probe)  # of all kinds of device behind such a server
def indi_weather(context: DriverContext[IndiOptions]) -> Weather:
    """Driver ``weather.indi``."""
    return IndiWeather(context.options)
