"""Settings of the twin's surroundings: aircraft, rain, shutter, focus."""

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

    begins_s: float = Field(ge=-7200, le=600, description='after the culmination')
    duration_s: float = Field(gt=0, le=7200)
    rain_mm_h: float = Field(default=4, gt=0, le=200)


class FocusSettings(Section):
    """Focuser of the telescope, and how the focus moves with the temperature of the tube."""

    max_step: int = Field(default=50_000, ge=1000, le=1_000_000)
    start_step: int = Field(default=25_000, ge=0, description='in focus at reference_c')
    steps_s: float = Field(default=2000, gt=0, le=100_000)
    reference_c: float = Field(default=15, ge=-50, le=60)
    steps_per_c: float = Field(default=-45, ge=-10_000, le=10_000, description='how the focus moves')
    blur_px_per_1000_steps: float = Field(
        default=2.0, gt=0, le=100, description='Gaussian width that the defocus adds in the tracking camera'
    )


class SurroundingsSettings(Section):
    """What is around the station; far away there is always one aircraft."""

    aircraft: tuple[CrossingAircraft, ...] = ()
    showers: tuple[Shower, ...] = ()
    focus: FocusSettings = Field(default_factory=FocusSettings)
    shutter_s: float = Field(default=3, gt=0, le=300, description='time that the shutter takes')
