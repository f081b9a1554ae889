"""The twin's photonics: source and clock, link, detectors, TDC, GPS.  Section `photonics:` of config/sim.yaml."""

from __future__ import annotations

from pydantic import Field, field_validator

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


class LinkSettings(Section):
    """Downlink."""

    divergence_urad: float = Field(gt=0, le=1000, description='downlink, full 1/e^2 angle')
    aperture_m: float = Field(gt=0, le=10, description='diameter of the receiving telescope')
    zenith_loss_db: float = Field(ge=0, le=30, description='atmosphere at the zenith')
    system_efficiency: float = Field(gt=0, le=1, description='telescope, module, fibre and detectors')
    residual_db: float = Field(ge=0, le=60, description='satellite pointing, wavefront, obscuration, haze')
    field_urad: float = Field(gt=0, le=10_000, description='diameter of the receiving field')
    image_sigma_urad: float = Field(gt=0, le=100, description='Gaussian width of the 850 nm image, seeing included')


class PolarizationSettings(Section):
    """Error of the optics."""

    receiver_error: float = Field(ge=0, le=0.5)
    source_error: float = Field(ge=0, le=0.5)


class NoiseSettings(Section):
    """Counts not from the satellite, all four detectors together."""

    dark_cps: float = Field(ge=0, description='dark counts')
    sky_cps: float = Field(ge=0, description='night sky of a clean site')
    glow_floor_deg: float = Field(ge=0, le=90, description='below this elevation the city glow does not grow further')
    glow_scale_deg: float = Field(gt=0, le=90, description='elevation over which the glow falls by e')


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
