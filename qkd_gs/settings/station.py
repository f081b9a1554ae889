"""Settings of the station: config/station.yaml.  Every key has its unit, every value its range."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from qkd_gs.settings.calibration_light import CalibrationLightSettings
from qkd_gs.settings.enclosure import EnclosureSettings
from qkd_gs.settings.laser_safety import LaserSafetySettings
from qkd_gs.settings.loader import Section
from qkd_gs.settings.public_pulses import PublicPulses
from qkd_gs.settings.timing_model import TimingModel

CHANNELS = ('H', 'V', 'D', 'A', 'BEACON', 'PPS')
_SUM_TOLERANCE = 1e-6
_EVEN = 0.5
_SLOWEST_BEACON_HZ = 10.0


class AxisSettings(Section):
    """One axis of the mount; encoder angles."""

    min_deg: float = Field(description='lower end of travel')
    max_deg: float = Field(description='upper end of travel')
    max_rate_deg_s: float = Field(gt=0, le=120, description='fastest rate')
    max_acc_deg_s2: float = Field(gt=0, le=200, description='largest acceleration')

    @model_validator(mode='after')
    def _ends_in_order(self) -> Self:
        if not self.min_deg < self.max_deg:
            raise ValueError(f'min_deg {self.min_deg:g} is not below max_deg {self.max_deg:g}')
        return self


class MountSettings(Section):
    """The two-axis mount."""

    azimuth: AxisSettings
    elevation: AxisSettings
    watchdog_s: float = Field(gt=0, le=1, description='brake after this long without a command')
    park_az_deg: float = Field(description='encoder angle of the park position')
    park_el_deg: float = Field(description='encoder angle of the park position')

    @model_validator(mode='after')
    def _parks_within_its_travel(self) -> Self:
        for name, angle_deg, axis in (
            ('park_az_deg', self.park_az_deg, self.azimuth),
            ('park_el_deg', self.park_el_deg, self.elevation),
        ):
            if not axis.min_deg <= angle_deg <= axis.max_deg:
                raise ValueError(f'{name} {angle_deg:g} is outside {axis.min_deg:g} to {axis.max_deg:g}')
        return self


class CameraModel(Section):
    """A camera and the geometry of its image on the sky."""

    width_px: int = Field(ge=16, le=8192)
    height_px: int = Field(ge=16, le=8192)
    scale_urad_px: float = Field(gt=0, le=100, description='sky angle of a pixel')
    roll_deg: float = Field(
        ge=-180,
        le=180,
        description='rotation of the image: counter-clockwise angle from +x (right) to cross-elevation',
    )
    reference_x_px: float = Field(description='pixel of the 850 nm field centre, nominal; calibration refines it')
    reference_y_px: float = Field(description='likewise; y grows downwards, towards lower elevation at roll 0')
    max_rate_hz: float = Field(gt=0, le=1000, description='images per second, full sensor')
    electrons_per_count: float = Field(gt=0, description='at gain 1')
    read_noise_e: float = Field(gt=0, description='RMS electrons per pixel')
    min_exposure_s: float = Field(gt=0, le=1)
    max_exposure_s: float = Field(gt=0, le=10)
    max_gain: float = Field(ge=1, le=1000)
    full_scale_counts: float = Field(default=65535, ge=255, le=65535, description='saturation level of a pixel')
    spot_sigma_px: float = Field(gt=0.3, le=10, description='Gaussian width of a point source, seeing included')

    @model_validator(mode='after')
    def _parts_agree(self) -> Self:
        if self.min_exposure_s > self.max_exposure_s:
            raise ValueError(f'min_exposure_s {self.min_exposure_s:g} is above max_exposure_s {self.max_exposure_s:g}')
        for name, pixel, size in (
            ('reference_x_px', self.reference_x_px, self.width_px),
            ('reference_y_px', self.reference_y_px, self.height_px),
        ):
            if not -0.5 <= pixel <= size - 0.5:
                raise ValueError(f'{name} {pixel:g} is outside the image of {size} pixels')
        return self


class HwpSettings(Section):
    """The half-wave plate's rotator."""

    zero_deg: float = Field(description='HWP angle at which receiver H axis and telescope horizontal agree')
    delay_s: float = Field(ge=0, le=1, description='from sending a command to the HWP being there; known to 5 ms')
    rate_hz: float = Field(gt=0, le=200, description='commands per second')
    parity: int = Field(description='+1, or -1 with an odd number of mirrors in front of the HWP', ge=-1, le=1)

    @field_validator('parity')
    @classmethod
    def _a_sign(cls, value: int) -> int:
        if not value:
            raise ValueError('0 is neither +1 nor -1')
        return value


class BeaconSettings(Section):
    """Our 671 nm beacon."""

    divergence_mrad: float = Field(gt=0, le=20, description='full 1/e^2 angle')
    power_w: float = Field(gt=0, le=10)
    on_above_el_deg: float = Field(ge=0, le=90, description='off below this elevation')


class SunSettings(Section):
    """Sun avoidance."""

    exclusion_deg: float = Field(ge=1, le=60, description='smallest angle between line of sight and Sun')
    stall_margin_s: float = Field(ge=0, description='smallest time until unsafe if the mount stalls')


class TrackingSettings(Section):
    """Acquisition and the closed loop."""

    control_rate_hz: float = Field(ge=10, le=1000, description='steps of the tracker per second')
    start_el_deg: float = Field(ge=0, le=45, description='elevation at which the mount waits for the satellite')
    data_el_deg: float = Field(ge=0, le=60, description='statistics and key only above this elevation')
    end_el_deg: float = Field(ge=0, le=45, description='the pass ends when the satellite sets below this')
    time_bias_limit_s: float = Field(gt=0, le=30, description='largest along-track error searched for')
    cross_track_limit_m: float = Field(gt=0, le=100_000, description='largest cross-track error searched for')


class DetectorSettings(Section):
    """Fixed delays between the optics and the TDC."""

    delay_ns: dict[str, float] = Field(description='cable and detector delay by channel (H, V, D, A, BEACON, PPS)')
    pps_edge: Literal['rising', 'falling'] = Field(
        default='rising', description='edge of the PPS pulses that marks the second, where both are tagged'
    )
    delay_uncertainty_ns: float = Field(
        default=0.3,
        gt=0,
        le=0.3,
        description='largest error of the delays of H, V, D, A relative to each other, calibrated with trusted light',
    )
    relative_efficiency: dict[str, float] | None = Field(
        default=None,
        description='of H, V, D, A with their splitters, mean 1, measured before the pass; not given: not measured',
    )
    efficiency_uncertainty: float = Field(
        default=0.02, gt=0, le=0.1, description='largest error of the relative efficiencies'
    )
    dark_cps: dict[str, float] | None = Field(
        default=None,
        description='dark counts a second of H, V, D, A, by calibration; not given: taken as equal',
    )
    delay_tolerance_ns: float = Field(
        gt=0,
        le=1000,
        description='largest common offset of the four from the delay of the beacon; below half a pulse period',
    )
    dead_time_ns: float = Field(ge=0, le=10_000)

    @field_validator('delay_ns')
    @classmethod
    def _of_every_channel(cls, value: dict[str, float]) -> dict[str, float]:
        unknown = [name for name in value if name not in CHANNELS]
        if unknown:
            raise ValueError(f'{unknown[0]} is no channel: {", ".join(CHANNELS)}')
        missing = [name for name in CHANNELS if name not in value]
        if missing:
            raise ValueError(f'{missing[0]} is missing')
        return value

    @field_validator('dark_cps')
    @classmethod
    def _dark_counts_of_every_detector(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        if value is not None and (set(value) != set(CHANNELS[:4]) or min(value.values()) < 0):
            raise ValueError(f'must be numbers, not negative, for {", ".join(CHANNELS[:4])}')
        return value

    @field_validator('relative_efficiency')
    @classmethod
    def _of_every_detector(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        if value is not None and (set(value) != set(CHANNELS[:4]) or min(value.values()) <= 0):
            raise ValueError(f'must be positive numbers for {", ".join(CHANNELS[:4])}')
        return value


class SourceSettings(Section):
    """The satellite's source, as agreed between both sides."""

    pulse_rate_hz: float = Field(ge=1e3, le=2e10)
    beacon_rate_hz: float = Field(ge=0, le=1e7, description='0: no beacon; the clock comes from public pulses')
    timing: TimingModel = Field(default_factory=TimingModel)
    public_pulses: PublicPulses | None = Field(default=None, description='of a source without a beacon')
    mu_signal: float = Field(gt=0, lt=2)
    mu_decoy: float = Field(gt=0, lt=2)
    mu_vacuum: float = Field(ge=0, lt=2)
    p_signal: float = Field(gt=0, lt=1)
    p_decoy: float = Field(gt=0, lt=1)
    p_vacuum: float = Field(ge=0, lt=1)
    mu_tolerance: float = Field(
        default=0.0, ge=0, le=0.5, description='largest relative deviation of the true mu_signal and mu_decoy'
    )
    p_tolerance: float = Field(
        default=0.0, ge=0, le=0.5, description='largest relative deviation of the true p_signal, p_decoy and p_vacuum'
    )
    p_hv: float = Field(default=0.5, gt=0, lt=1, description='part of the pulses in basis HV')

    @model_validator(mode='after')
    def _parts_agree(self) -> Self:
        total = self.p_signal + self.p_decoy + self.p_vacuum
        if abs(total - 1) > _SUM_TOLERANCE:
            raise ValueError(f'p_signal, p_decoy and p_vacuum sum to {total:g}, not 1')
        if self.mu_decoy >= self.mu_signal:
            raise ValueError(f'mu_decoy {self.mu_decoy:g} is not below mu_signal {self.mu_signal:g}')
        if not self.p_vacuum:
            raise ValueError('p_vacuum is 0: the bounds need three intensities, signal, one decoy and vacuum')
        if self.p_hv != _EVEN:
            raise ValueError(
                f'p_hv {self.p_hv:g} is not 0.5: the bounds hold for a source that draws both bases equally often'
            )
        if self.mu_vacuum:
            raise ValueError(f'mu_vacuum {self.mu_vacuum:g} is not 0: the bounds hold for a true vacuum state only')
        self._check_clock()
        return self

    def _check_clock(self) -> None:
        """Refuse a source whose clock nothing tells, or two things do."""
        if self.beacon_rate_hz and self.public_pulses:
            raise ValueError('public_pulses are for a source without a beacon: beacon_rate_hz 0')
        if not self.beacon_rate_hz and not self.public_pulses:
            raise ValueError('beacon_rate_hz is 0: without a beacon, public_pulses must give the clock')
        if 0 < self.beacon_rate_hz < _SLOWEST_BEACON_HZ:
            raise ValueError(f'beacon_rate_hz {self.beacon_rate_hz:g} is below {_SLOWEST_BEACON_HZ:g}')
        if self.beacon_rate_hz > self.pulse_rate_hz / 10:
            raise ValueError(f'beacon_rate_hz {self.beacon_rate_hz:g} is not far below pulse_rate_hz')


Keep = Literal['never', 'without_key', 'all']


class KeySettings(Section):
    """Post-processing."""

    gate_ns: float = Field(ge=0.01, le=100, description='width of the gate, fixed before the pass')
    max_light_outside: float = Field(
        default=0.005,
        gt=0,
        le=0.05,
        description="largest part of the satellite's light outside the gate; more, and no key is made",
    )
    hold_off_ns: float = Field(
        ge=0,
        le=100_000,
        description='all four detectors are ignored for so long after any click; longer than dead time and afterpulses',
    )
    epsilon_total: float = Field(gt=0, lt=1e-3, description='failure probability of the whole key')
    verification_bits: int = Field(ge=32, le=256, description='length of the hash that compares the keys')
    max_qber: float = Field(gt=0, lt=0.5, description='the run is aborted above this error rate')
    max_efficiency_mismatch: float = Field(
        gt=0, lt=0.5, description='largest imbalance of the detectors of a basis, and of the bases: difference over sum'
    )
    reconciliation: Literal['cascade', 'ldpc'] = Field(
        'cascade', description='interactive Cascade, or one-way LDPC for links with long round trips'
    )
    keep: Keep = Field(
        'never', description='passes whose sifted bits are kept to be joined: none, those without a key alone, or all'
    )
    keep_days: int = Field(default=30, ge=1, le=366, description='days for which they are kept at most')


class StorageSettings(Section):
    """Disk space of a session.  What matters most is written longest: tags, then the bag, then its images."""

    tags_reserve_mb: float = Field(default=200, gt=0, le=1e6, description='held on the disk for the tags of a pass')
    bag_above_mb: float = Field(default=300, ge=0, le=1e6, description='free space below which no bag is written')
    images_above_mb: float = Field(default=600, ge=0, le=1e6, description='free space below which it gets no images')
    keep_bags: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description='newest passes whose bags are kept, older ones are deleted; 0: all',
    )

    @property
    def needed_mb(self) -> float:
        """Free space without which no pass is begun."""
        return self.tags_reserve_mb + self.bag_above_mb


class AutofocusSettings(Section):
    """Autofocus on a star."""

    span_steps: int = Field(
        4000, ge=7, le=1_000_000, description='of the focuser: from the first to the last position that is looked at'
    )


class StationSettings(Section):
    """All of config/station.yaml."""

    mount: MountSettings
    guiding_camera: CameraModel
    tracking_camera: CameraModel
    hwp: HwpSettings
    beacon: BeaconSettings
    focus: AutofocusSettings = Field(default_factory=AutofocusSettings)
    calibration_light: CalibrationLightSettings = Field(default_factory=CalibrationLightSettings)
    enclosure: EnclosureSettings = Field(default_factory=EnclosureSettings)
    laser_safety: LaserSafetySettings = Field(default_factory=LaserSafetySettings)
    sun: SunSettings
    tracking: TrackingSettings
    detectors: DetectorSettings
    source: SourceSettings
    key: KeySettings
    storage: StorageSettings = Field(default_factory=StorageSettings)

    @model_validator(mode='after')
    def _parts_agree(self) -> Self:
        period_ns = 1e9 / self.source.pulse_rate_hz
        if self.key.gate_ns > period_ns:
            raise ValueError(
                f'key.gate_ns {self.key.gate_ns:g} is longer than a pulse period of {period_ns:.3g} ns'
                f' (source.pulse_rate_hz {self.source.pulse_rate_hz:g})'
            )
        if self.detectors.delay_tolerance_ns >= period_ns / 2:
            raise ValueError(
                f'detectors.delay_tolerance_ns {self.detectors.delay_tolerance_ns:g} is not below half a pulse period'
                f' of {period_ns:.3g} ns (source.pulse_rate_hz {self.source.pulse_rate_hz:g})'
            )
        if self.key.hold_off_ns < self.detectors.dead_time_ns:
            raise ValueError(
                f'key.hold_off_ns {self.key.hold_off_ns:g} is shorter than detectors.dead_time_ns'
                f' {self.detectors.dead_time_ns:g}: bits next to each other would be correlated'
            )
        self._check_efficiencies()
        if not self.mount.elevation.min_deg <= self.tracking.data_el_deg <= self.mount.elevation.max_deg:
            raise ValueError(
                f'tracking.data_el_deg {self.tracking.data_el_deg:g} is outside the travel of mount.elevation'
            )
        for name in ('start_el_deg', 'end_el_deg'):
            if getattr(self.tracking, name) > self.tracking.data_el_deg:
                raise ValueError(
                    f'tracking.data_el_deg {self.tracking.data_el_deg:g} is below tracking.{name}'
                    f' {getattr(self.tracking, name):g}: no data are taken where the mount does not track'
                )
        return self

    def _check_efficiencies(self) -> None:
        """Refuse a receiver that is calibrated to be less even than the key's bounds are told."""
        efficiency, limit = self.detectors.relative_efficiency, self.key.max_efficiency_mismatch
        if efficiency is None:
            return
        h, v, d, a = (efficiency[name] for name in CHANNELS[:4])
        for names, one, other in (('H and V', h, v), ('D and A', d, a), ('the bases HV and DA', h + v, d + a)):
            imbalance = abs(one - other) / (one + other)
            if imbalance > limit:
                raise ValueError(
                    f'detectors.relative_efficiency: {names} differ by {imbalance:.1%}, key.max_efficiency_mismatch'
                    f' allows {limit:.1%}'
                )

    @property
    def frozen_digest(self) -> bytes:
        """SHA-256 of what must not change once a pass has begun: the sections `detectors`, `source` and `key`.

        It is in the header of each sealed tag file, which the tags authenticate.
        """
        frozen = self.model_dump(mode='json', include={'detectors', 'source', 'key'}, exclude_defaults=True)
        return sha256(json.dumps(frozen, sort_keys=True).encode()).digest()
