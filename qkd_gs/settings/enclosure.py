"""Settings of what protects the telescope: weather and shutter."""

from __future__ import annotations

from pydantic import Field

from qkd_gs.settings.loader import Section


class WeatherSettings(Section):
    """Limits of the weather; what the station does not measure is not compared."""

    watch: bool = Field(default=True, description='false: there is no weather station; must be written explicitly')
    max_wind_m_s: float = Field(default=12, gt=0, le=60)
    max_gust_m_s: float = Field(default=18, gt=0, le=80)
    max_humidity: float = Field(default=0.92, gt=0, le=1)
    max_cloud: float = Field(default=1.0, ge=0, le=1, description='covered part of the sky')
    stale_s: float = Field(default=60, gt=0, le=600, description='an older reading counts as bad weather')
    settle_s: float = Field(default=300, ge=0, le=7200, description='the weather must have been good for so long')


class ShutterSettings(Section):
    """Dome, roof or cover."""

    watch: bool = Field(default=True, description='false: nothing to open and close; must be written explicitly')
    open_before_s: float = Field(default=600, ge=10, le=7200, description='opened so long before a pass')
    close_after_park: bool = Field(
        default=False, description='the mount must be parked before, as below a roll-off roof; otherwise at once'
    )


class EnclosureSettings(Section):
    """Protection of the telescope."""

    weather: WeatherSettings = Field(default_factory=WeatherSettings)
    shutter: ShutterSettings = Field(default_factory=ShutterSettings)
