"""Keep the beacon's peak in the converter's range while it brightens by 20 dB from rise to culmination."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite

from qkd_gs.devices.camera import CameraSettings
from qkd_gs.errors import StationError
from qkd_gs.settings.station import CameraModel


@dataclass(frozen=True)
class ExposureLimits:
    """How the peak is held; fractions are of the converter's full scale."""

    low: float = 0.08  # below: more light
    aim: float = 0.30  # a scintillating beacon doubles at times: 5 dB of headroom
    high: float = 0.60  # above: less light
    saturated: float = 0.95
    most_exposure_s: float = 1.0  # frame rate and camera limit it further
    read_noise_counts: float = 2.0  # a gain that spreads the read noise over more counts shows nothing new
    settle_frames: int = 3  # frames still to come with the old settings, and one to judge the new ones
    patience_s: float = 0.5  # a weak peak must last this long: scintillation fades within 10-100 ms
    forget_s: float = 2.0  # without a spot for so long: open up again to find it


class ExposureControl:
    """Exposure time and gain for a wanted peak.

    Too bright is corrected at once, too dark only when it lasts, so that scintillation does not drive the
    settings; between `low` and `high` nothing changes (hysteresis).  Light comes from exposure first, which
    improves the SNR, and from gain only at the longest exposure that frame rate and limits allow, and only as
    far as it resolves the read noise.

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
        """Settings that see the faintest beacon at a frame rate: longest exposure, gain 1."""
        return CameraSettings(exposure_s=self._longest_s(rate_hz), gain=1.0, rate_hz=rate_hz)

    def step(
        self,
        now_ns: int,
        peak_counts: float | None,
        settings: CameraSettings,
        background_counts: float = 0.0,
        saturated: bool = False,
    ) -> CameraSettings | None:
        """New settings after a frame, or None to keep them.

        Parameters
        ----------
        now_ns : int
            Mid-exposure of the frame.
        peak_counts : float or None
            Highest pixel of the spot as read; None if no spot was found.
        settings : CameraSettings
            The frame was taken with these.
        background_counts : float
            Level about the spot; offset and sky are no light of the beacon.
        saturated : bool
            The spot has a plateau, wherever the sensor's limit is.
        """
        if peak_counts is not None and not isfinite(peak_counts):
            raise StationError(f'{peak_counts} is not a peak', where='peak_counts')
        if self._changed_ns is not None:
            settle_ns = int(self._limits.settle_frames / settings.rate_hz * 1e9)
            if 0 <= now_ns - self._changed_ns < settle_ns:
                return None
        wanted = (
            self._without_spot(now_ns, settings)
            if peak_counts is None
            else self._with_spot(now_ns, peak_counts, background_counts, settings, saturated)
        )
        if wanted is None or _same(wanted, settings):
            return None
        self._changed_ns = now_ns
        self._dark_since_ns = None
        return wanted

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
        room = max(self._model.full_scale_counts - background_counts, 1.0)
        part = (peak_counts - background_counts) / room
        if saturated or peak_counts >= limits.saturated * self._model.full_scale_counts:
            return self._scaled(settings, 0.2)  # how far above is unknown
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
            raise StationError(f'{rate_hz} is not a frame rate', where='rate_hz')
        longest_s = min(self._model.max_exposure_s, self._limits.most_exposure_s, 0.9 / rate_hz)
        return max(longest_s, self._model.min_exposure_s)


def _same(one: CameraSettings, other: CameraSettings) -> bool:
    return (
        abs(one.exposure_s - other.exposure_s) < 0.01 * other.exposure_s
        and abs(one.gain - other.gain) < 0.01 * one.gain
    )
