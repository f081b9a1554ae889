"""Exposure control: keeps the beacon's peak in the range of the ADC while it brightens by 20 dB during a pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite

from qkd_gs.devices.camera import CameraSettings
from qkd_gs.errors import StationError
from qkd_gs.settings.station import CameraModel


@dataclass(frozen=True)
class ExposureLimits:
    """Limits of the peak; fractions are of the ADC's full scale."""

    low: float = 0.08  # below: increase the exposure
    aim: float = 0.30  # scintillation at times doubles the beacon: 5 dB of headroom
    high: float = 0.60  # above: decrease the exposure
    saturated: float = 0.95
    most_exposure_s: float = 1.0  # image rate and camera limit it further
    read_noise_counts: float = 2.0  # a higher gain resolves the read noise more finely without benefit
    settle_frames: int = 3  # images still to come with the old settings, and one to judge the new ones
    patience_s: float = 0.5  # a weak peak must last this long: scintillation fades within 10-100 ms
    forget_s: float = 2.0  # without a spot for so long: longest exposure, to find it again


class ExposureControl:
    """Exposure time and gain that keep the peak within limits.

    A peak too bright is corrected at once, one too dark only when it lasts, so that scintillation does not drive the
    settings; between `low` and `high` nothing changes (hysteresis).  Exposure is raised first, since it improves the
    SNR; gain only at the longest exposure that image rate and limits allow, and only as far as it resolves the read
    noise.

    Parameters
    ----------
    model : CameraModel
        Limits of exposure and gain, and full scale.
    limits : ExposureLimits
    """

    def __init__(self, model: CameraModel, limits: ExposureLimits | None = None):
        limits = limits or ExposureLimits()
        if not 0 < limits.low < limits.aim < limits.high < limits.saturated <= 1:
            raise StationError('low < aim < high < saturated does not hold', where='ExposureLimits')
        self._model = model
        per_count = limits.read_noise_counts * model.electrons_per_count / model.read_noise_e
        self._useful_gain = min(max(per_count, 1.0), model.max_gain)
        self._limits = limits
        self._changed_ns: int | None = None
        self._dark_since_ns: int | None = None
        self._seen_ns: int | None = None

    def widest(self, rate_hz: float) -> CameraSettings:
        """Settings for the faintest beacon at an image rate: longest exposure, gain 1."""
        return CameraSettings(exposure_s=self._longest_s(rate_hz), gain=1.0, rate_hz=rate_hz)

    def step(
        self,
        now_ns: int,
        peak_counts: float | None,
        settings: CameraSettings,
        background_counts: float = 0.0,
        saturated: bool = False,
    ) -> CameraSettings | None:
        """New settings after an image, or None to keep them.

        Parameters
        ----------
        now_ns : int
            Mid-exposure of the image.
        peak_counts : float or None
            Highest pixel of the spot as read; None if no spot was found.
        settings : CameraSettings
            Settings of the image.
        background_counts : float
            Level around the spot: offset and sky.
        saturated : bool
            The spot has a saturated plateau.
        """
        if peak_counts is not None and not isfinite(peak_counts):
            raise StationError(f'{peak_counts} is not a peak', where='peak_counts')
        if self._changed_ns is not None:
            settle_ns = int(self._limits.settle_frames / settings.rate_hz * 1e9)
            if 0 <= now_ns - self._changed_ns < settle_ns:
                return None
        new = (
            self._without_spot(now_ns, settings)
            if peak_counts is None
            else self._with_spot(now_ns, peak_counts, background_counts, settings, saturated)
        )
        if new is None or _same(new, settings):
            return None
        self._changed_ns = now_ns
        self._dark_since_ns = None
        return new

    def _without_spot(self, now_ns: int, settings: CameraSettings) -> CameraSettings | None:
        self._dark_since_ns = None
        if self._seen_ns is not None and 0 <= now_ns - self._seen_ns < self._limits.forget_s * 1e9:
            return None
        widest = self.widest(settings.rate_hz)
        return replace(settings, exposure_s=widest.exposure_s, gain=widest.gain)

    def _with_spot(
        self, now_ns: int, peak_counts: float, background_counts: float, settings: CameraSettings, saturated: bool
    ) -> CameraSettings | None:
        limits = self._limits
        self._seen_ns = now_ns
        range_counts = max(self._model.full_scale_counts - background_counts, 1.0)
        part = (peak_counts - background_counts) / range_counts
        if saturated or peak_counts >= limits.saturated * self._model.full_scale_counts:
            return self._scaled(settings, 0.2)  # the true peak is unknown
        if part > limits.high:
            return self._scaled(settings, limits.aim / part)
        if part >= limits.low:
            self._dark_since_ns = None
            return None
        if self._dark_since_ns is None:
            self._dark_since_ns = now_ns
        if now_ns - self._dark_since_ns < limits.patience_s * 1e9:
            return None
        return self._scaled(settings, min(limits.aim / max(part, 1e-3), 4.0))

    def _scaled(self, settings: CameraSettings, factor: float) -> CameraSettings:
        """Settings with `factor` times the light, within the limits."""
        light = settings.exposure_s * settings.gain * factor
        longest_s = self._longest_s(settings.rate_hz)
        exposure_s = min(max(light, self._model.min_exposure_s), longest_s)
        gain = min(max(light / exposure_s, 1.0), self._useful_gain)
        return replace(settings, exposure_s=exposure_s, gain=gain)

    def _longest_s(self, rate_hz: float) -> float:
        if not rate_hz > 0:
            raise StationError(f'{rate_hz} is not an image rate', where='rate_hz')
        longest_s = min(self._model.max_exposure_s, self._limits.most_exposure_s, 0.9 / rate_hz)
        return max(longest_s, self._model.min_exposure_s)


def _same(one: CameraSettings, other: CameraSettings) -> bool:
    return (
        abs(one.exposure_s - other.exposure_s) < 0.01 * other.exposure_s
        and abs(one.gain - other.gain) < 0.01 * one.gain
    )
