"""The twin's photonics: source and clock, link, detectors, TDC, GPS.  Section `photonics:` of config/sim.yaml."""

from __future__ import annotations

from pydantic import Field, field_validator

from qkd_gs.settings.downlink import LinkSettings, NoiseSettings, PolarizationSettings
from qkd_gs.settings.loader import Section
from qkd_gs.settings.station import CHANNELS


class ClockSettings(Section):
    """True error of an oscillator; each pass draws its own within these limits."""

    offset_us: float = Field(ge=0, le=40, description='largest offset from UTC at the start, either sign')
    rate_ppm: float = Field(ge=0, le=10, description='largest relative frequency error, either sign')
    drift_ppb_s: float = Field(ge=0, le=1, description='largest change of the rate, either sign')


class BeaconSourceSettings(Section):
    """The satellite's 532 nm beacon as a source of synchronizing pulses."""

    pulse_fwhm_ns: float = Field(gt=0, le=10, description='optical pulse width')
    trigger_jitter_ns: float = Field(ge=0, le=1000, description='RMS of the laser pulse about its 100 us grid')
    log_error_ps: float = Field(ge=0, le=1000, description="RMS error of the satellite's own time tags")


class SpadSettings(Section):
    """Single-photon avalanche diodes."""

    relative_efficiency: dict[str, float] = Field(description='of H, V, D, A; their mean is in the system efficiency')
    jitter_ns: float = Field(ge=0, le=5, description='RMS')
    dead_time_ns: float = Field(ge=0, le=10_000)
    afterpulse_probability: float = Field(ge=0, le=0.2)
    afterpulse_ns: float = Field(gt=0, le=10_000, description='decay time of afterpulses after the dead time')
    signal_pulse_ns: float = Field(ge=0, le=5, description='RMS width of the 850 nm pulse')
    delay_error_ns: float = Field(
        ge=0, le=4, description='largest change of a delay since it was calibrated, either sign'
    )

    @field_validator('relative_efficiency')
    @classmethod
    def _of_each_detector(cls, value: dict[str, float]) -> dict[str, float]:
        if sorted(value) != sorted(CHANNELS[:4]) or min(value.values()) <= 0:
            raise ValueError(f'needs a positive number for each of {", ".join(CHANNELS[:4])}, and nothing else')
        return value


class SyncDetectorSettings(Section):
    """Detector of the beacon (fifth diode)."""

    photons_per_pulse: float = Field(gt=0, description='mean detected photons of a beacon pulse at 1000 km, clear')
    jitter_ns: float = Field(ge=0, le=5, description='RMS')
    noise_cps: float = Field(ge=0)
    dead_time_ns: float = Field(ge=0, le=100_000)
    delay_error_ns: float = Field(ge=0, le=4, description='largest error of its known delay, either sign')


class TdcSettings(Section):
    """TDC (time tagger)."""

    jitter_ps: float = Field(ge=0, le=1000, description='RMS of a single tag')
    clock: ClockSettings


class GpsSettings(Section):
    """GPS receiver."""

    pps_jitter_ns: float = Field(ge=0, le=1000, description='RMS of the edge about the whole second')
    satellites: int = Field(ge=0, le=60)
    message_delay_s: float = Field(ge=0, le=0.9, description='from the PPS edge to its message')


class PhotonicsSettings(Section):
    """All of `photonics:`."""

    satellite_clock: ClockSettings
    beacon: BeaconSourceSettings
    link: LinkSettings
    polarization: PolarizationSettings
    noise: NoiseSettings
    spads: SpadSettings
    sync_detector: SyncDetectorSettings
    tdc: TdcSettings
    gps: GpsSettings
