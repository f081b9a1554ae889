"""Settings of the twin's surroundings: aircraft, rain, shutter, focus, calibration light."""

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


class TrueCalibrationLight(Section):
    """Calibration light in front of the telescope, as it truly is."""

    polarization_deg: float = Field(default=0.0, gt=-180, le=180, description='in the tube')
    level_deg: float = Field(default=0.05, ge=0, le=45, description='limit of the drawn error of the polarizer')
    polarized_share: float = Field(default=1.0, ge=0, le=1, description='the rest is not polarized')
    pulse_rate_hz: float = Field(default=1e5, ge=0, le=1e7, description='0: steady light')
    trigger: bool = Field(default=True, description='its trigger is tagged on the input of the beacon')
    photons_s: float = Field(
        default=3e4, gt=0, le=1e9, description='at full brightness, that the four detectors would count together'
    )
    ready_s: float = Field(default=1.0, ge=0, le=600, description='from switching on to a steady light')


class SurroundingsSettings(Section):
    """Surroundings of the station; far away there is always one aircraft."""

    aircraft: tuple[CrossingAircraft, ...] = ()
    showers: tuple[Shower, ...] = ()
    focus: FocusSettings = Field(default_factory=FocusSettings)
    calibration_light: TrueCalibrationLight = Field(default_factory=TrueCalibrationLight)
    shutter_s: float = Field(default=3, gt=0, le=300, description='time that the shutter takes')
