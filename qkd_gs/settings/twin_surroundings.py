"""Settings of the twin's surroundings: aircraft."""

from __future__ import annotations

from pydantic import Field

from qkd_gs.settings.loader import Section


class CrossingAircraft(Section):
    """An aircraft that flies straight and level through the line of sight to the satellite."""

    icao: str = Field(pattern='^[0-9A-F]{6}$', description='address of its transponder')
    crosses_s: float = Field(ge=-600, le=600, description='when it crosses, after the culmination')
    altitude_m: float = Field(default=10_000, ge=100, le=18_000, description='above the ellipsoid')
    speed_m_s: float = Field(default=230, gt=0, le=330)
    track_deg: float = Field(default=90, ge=0, lt=360, description='direction of its motion')


class Shower(Section):
    """Rain that begins at a time."""

    begins_s: float = Field(ge=-3600, le=600, description='after the culmination')
    duration_s: float = Field(gt=0, le=7200)
    rain_mm_h: float = Field(default=4, gt=0, le=200)


class SurroundingsSettings(Section):
    """What is around the station; far away there is always one aircraft."""

    aircraft: tuple[CrossingAircraft, ...] = ()
    showers: tuple[Shower, ...] = ()
    shutter_s: float = Field(default=3, gt=0, le=300, description='time that the shutter takes')
