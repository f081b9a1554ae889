"""The twin's plant: mount, atmosphere, cameras, HWP, beacons.  Section `plant:` of config/sim.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from qkd_gs.settings.loader import Section


class OrbitTruthSettings(Section):
    """Error of the elements; each session draws its own within these limits."""

    time_bias_s: float = Field(ge=0, le=10, description='largest along-track error, either sign')
    cross_track_m: float = Field(ge=0, le=50_000, description='largest cross-track error, either sign')


class AxisPlantSettings(Section):
    """One driven axis: moving mass, bearing and torque motor."""

    inertia_kg_m2: float = Field(gt=0, le=1000)
    coulomb_n_m: float = Field(gt=0, le=100, description='friction of the bearing, independent of rate')
    viscous_n_m_s: float = Field(ge=0, le=1000, description='friction that grows with rate, N m per rad/s')
    presliding_urad: float = Field(gt=0, le=1000, description='travel over which friction builds up (Dahl)')
    torque_limit_n_m: float = Field(gt=0, le=1000, description='limit of the motor current')
    wind_n_m: float = Field(ge=0, le=100, description='RMS of the wind torque')


class EncoderSettings(Section):
    """Both encoders."""

    bits: int = Field(ge=12, le=32)
    periods: int = Field(ge=1, description='signal periods per turn')
    interpolation_urad: float = Field(ge=0, le=10, description='amplitude of the error within a signal period')
    jitter_urad: float = Field(ge=0, le=10, description='RMS noise of a reading')


class ServoSettings(Section):
    """Controllers of the drives."""

    velocity_loop_hz: int = Field(ge=2000, le=40_000, multiple_of=1000, description='steps per second')
    position_divisor: int = Field(ge=1, le=10, description='velocity-loop steps per position-loop step')
    velocity_hz: float = Field(gt=0, le=500, description='bandwidth of the velocity loop')
    position_hz: float = Field(gt=0, le=200, description='bandwidth of the position loop')
    integral_hz: float = Field(ge=0, le=50, description='corner of the integral part')
    filter_hz: float = Field(gt=0, le=5000, description='low pass of the measured rate')
    shaping_hz: float = Field(gt=0, le=100, description='how fast the shaped set-point closes on the commanded one')
    current_lag_s: float = Field(gt=0, le=0.01, description='time constant of the current loop')
    inertia_error: float = Field(ge=-0.5, le=0.5, description='relative error of the feed-forward inertia')
    rate_reserve: float = Field(ge=0, lt=0.5, description='part of the rate limit kept for the loop')
    acceleration_reserve: float = Field(ge=0, lt=0.5, description='part of the acceleration limit kept for the loop')
    command_delay_s: float = Field(ge=0, le=0.05, description='from the call to the drive knowing the set-point')
    following_limit_mrad: float = Field(gt=0, le=100, description='larger following errors are a fault')
    brake_n_m: float = Field(gt=0, le=1000, description='holding torque of the brakes')


class Gust(Section):
    """A gust of wind on both axes."""

    start_s: float = Field(description='after the satellite reaches the start elevation')
    duration_s: float = Field(gt=0)
    torque_n_m: float = Field(description='peak; rises and falls as a raised cosine')


class MountPlantSettings(Section):
    """The mount as built."""

    azimuth: AxisPlantSettings
    elevation: AxisPlantSettings
    encoder: EncoderSettings
    servo: ServoSettings
    wind_corner_hz: float = Field(gt=0, le=100, description='corner of the wind torque spectrum (second order)')
    gusts: tuple[Gust, ...] = ()


class PointingErrorSettings(Section):
    """Errors of the mount; sizes, for which each session draws signs and values."""

    zero_azimuth_deg: float = Field(ge=0, le=180, description='encoder zero point')
    zero_elevation_deg: float = Field(ge=0, le=30, description='encoder zero point; takes as much from the travel')
    tilt_deg: float = Field(ge=0, le=5, description='azimuth axis from the vertical')
    nonperpendicularity_arcsec: float = Field(ge=0, le=3600)
    collimation_mrad: float = Field(ge=0, le=50)
    flexure_arcsec: float = Field(ge=0, le=3600)
    eccentricity_arcsec: float = Field(ge=0, le=3600, description='of the encoder scales, per harmonic')
    residual_urad: float = Field(ge=0, le=1000, description='two-dimensional RMS of errors beyond any mount model')
    residual_order: int = Field(ge=3, le=12, description='highest azimuth harmonic of the residual')


class Layer(Section):
    """A turbulent layer."""

    height_m: float = Field(ge=0, le=30_000, description='above the station')
    weight: float = Field(ge=0, le=1, description='part of the integrated turbulence; the layers sum to 1')


class Fade(Section):
    """A cloud."""

    start_s: float = Field(description='after the satellite reaches the start elevation')
    duration_s: float = Field(gt=0)
    depth_db: float = Field(ge=0, le=200)
    edge_s: float = Field(default=0.2, gt=0, le=60, description='time of fading in and out')


class AtmosphereSettings(Section):
    """Turbulence, extinction and clouds."""

    r0_m: float = Field(gt=0, le=2, description='Fried parameter at 500 nm, zenith')
    outer_scale_m: float = Field(gt=0.5, le=10_000)
    wind_m_s: float = Field(gt=0, le=100, description='in every layer; the slew at height comes on top')
    layers: tuple[Layer, ...] = Field(min_length=1, max_length=10)
    series: int = Field(ge=1024, le=2**22, description='samples of a layer before it repeats')
    extinction_532_db: float = Field(ge=0, le=30, description='at the zenith')
    extinction_671_db: float = Field(ge=0, le=30, description='at the zenith')
    scintillation_limit: float = Field(gt=0, le=4, description='log-irradiance variance at which it saturates')
    fades: tuple[Fade, ...] = ()

    @model_validator(mode='after')
    def _weights_sum_to_one(self) -> AtmosphereSettings:
        total = sum(layer.weight for layer in self.layers)
        if abs(total - 1) > 1e-6:
            raise ValueError(f'the weights of the layers sum to {total:g}, not 1')
        return self


class SkySettings(Section):
    """Sky brightness and stars."""

    zenith_mag_arcsec2: float = Field(ge=10, le=24, description='V brightness of the sky at the zenith')
    glow_ratio: float = Field(ge=0, le=1000, description='city glow at the horizon over the sky at the zenith')
    glow_scale_deg: float = Field(gt=0, le=90, description='elevation over which the glow falls by e')
    stars: Literal['random', 'gaia', 'tycho'] = Field(
        default='random',
        description='faint stars: a random field, or those of Tycho-2 or Gaia (extra: stars) to magnitude 10',
    )
    stars_mag_limit: float = Field(ge=0, le=11, description='faintest star of the random field')
    stars_brightest_mag: float = Field(ge=-2, le=11, description='brighter stars come from the catalogue')
    stars_brighter_than_6: float = Field(gt=0, description='on the whole sphere')
    stars_slope: float = Field(gt=0, le=1, description='growth of the logarithm of their number with magnitude')
    star_photons_m2_s_nm: float = Field(gt=0, description='of a star of magnitude 0, above the air')


class CameraPlantSettings(Section):
    """A camera as built; its scale, noise and rates are in config/station.yaml."""

    aperture_m: float = Field(gt=0, le=10)
    throughput: float = Field(gt=0, le=1, description='optics, beam splitters and quantum efficiency')
    filter_nm: float = Field(gt=0, le=1000, description='width of the band filter')
    pedestal_counts: float = Field(ge=0, le=10_000)
    adc_bits: int = Field(ge=8, le=16, description='left-justified in 16 bit')
    full_well_e: float = Field(gt=0)
    dark_e_s: float = Field(ge=0, description='per pixel')
    hot_pixels: int = Field(ge=0, le=100_000)
    hot_e_s: float = Field(ge=0, description='mean dark current of a hot pixel (exponentially distributed)')
    flat_error: float = Field(ge=0, le=0.2, description="RMS of the pixels' response")
    vignetting: float = Field(ge=0, lt=1, description='loss of light in the corners')
    latency_s: float = Field(ge=0, le=1, description='end of exposure to image in memory, full sensor')
    stamp_jitter_s: float = Field(ge=0, le=0.01, description='RMS error of the time stamp')
    drop_probability: float = Field(ge=0, lt=1, description='of an image')
    roi_rate_factor: float = Field(ge=1, le=100, description='factor by which a small region may be read faster')
    scale_error: float = Field(ge=0, le=0.1, description='largest relative error of the pixel scale, either sign')
    roll_error_deg: float = Field(ge=0, le=10, description='largest, either sign')
    axis_error_mrad: float = Field(
        ge=0, le=10, description='largest distance of the field centre from its nominal pixel'
    )


class HwpPlantSettings(Section):
    """The HWP rotator as built."""

    speed_deg_s: float = Field(gt=0, le=10_000)
    acceleration_deg_s2: float = Field(gt=0, le=1e6)
    step_deg: float = Field(gt=0, le=5)
    delay_s: float = Field(ge=0, le=1, description='from the call to the motor starting')
    delay_error_s: float = Field(ge=0, le=0.1, description='largest, either sign')
    mounting_error_deg: float = Field(ge=0, le=5, description='largest true minus reported angle, either sign')


class OpenInterlock(Section):
    """Interval in which the interlock chain of the beacon is open."""

    start_s: float = Field(description='after the satellite reaches the start elevation')
    duration_s: float = Field(gt=0)


class BeaconPlantSettings(Section):
    """Our 671 nm beacon as built."""

    watchdog_s: float = Field(gt=0, le=10, description='the light goes off if on() is not repeated for this time')
    rise_s: float = Field(ge=0, le=10, description='from on() to full light')
    alignment_error_mrad: float = Field(ge=0, le=10, description='largest angle to the telescope')
    interlock: tuple[OpenInterlock, ...] = ()


class SatellitePlantSettings(Section):
    """Reaction of the satellite to our beacon."""

    beacon_w: float = Field(gt=0, le=100, description='mean power of its 532 nm beacon')
    beacon_divergence_mrad: float = Field(gt=0, le=100, description='full 1/e^2 angle')
    threshold_w_m2: float = Field(gt=0, description='irradiance of our beacon that its camera detects')
    cover_s: float = Field(ge=0, le=60, description='our beacon must be seen for this time before it answers')
    pointing_s: float = Field(ge=0, le=60, description='time constant of its pointing')
    initial_error_mrad: float = Field(ge=0, le=100, description='its pointing error when it begins to answer')
    hold_s: float = Field(gt=0, le=600, description='its beacon goes off this time after losing ours')


class PlantSettings(Section):
    """All of `plant:`."""

    sample_hz: int = Field(ge=1000, le=10_000, description='samples of the true state per second')
    orbit: OrbitTruthSettings
    mount: MountPlantSettings
    pointing: PointingErrorSettings
    atmosphere: AtmosphereSettings
    sky: SkySettings
    guiding_camera: CameraPlantSettings
    tracking_camera: CameraPlantSettings
    hwp: HwpPlantSettings
    beacon: BeaconPlantSettings
    satellite: SatellitePlantSettings
