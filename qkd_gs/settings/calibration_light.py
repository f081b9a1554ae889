"""Settings of the calibration light: what its light is."""

from __future__ import annotations

from pydantic import Field

from qkd_gs.settings.loader import Section


class CalibrationLightSettings(Section):
    """Light of known polarization in front of the telescope; the device itself is in the devices file."""

    polarization_deg: float = Field(
        default=0.0,
        gt=-180,
        le=180,
        description='polarization angle in the tube, from its horizontal, counter-clockwise seen against the light',
    )
    brightness: float = Field(default=0.5, gt=0, le=1, description='share of the brightest that the light can give')
    pulse_rate_hz: float = Field(default=0.0, ge=0, le=1e8, description='pulses a second; 0: steady light')
    trigger_on_beacon_input: bool = Field(
        default=False, description="the trigger of its pulses is tagged on the TDC's input of the beacon"
    )
    tagger_error_ns: float = Field(
        default=0.05,
        ge=0,
        le=0.3,
        description='largest error of the TDC between two inputs, from its data sheet',
    )

    @property
    def gives_delays(self) -> bool:
        """Whether the delays of the detectors can be measured with it."""
        return self.pulse_rate_hz > 0 and self.trigger_on_beacon_input
