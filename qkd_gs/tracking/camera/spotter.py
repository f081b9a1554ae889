"""Spot of the beacon in consecutive images of one camera, without jumps to stars."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from itertools import pairwise
from math import exp, inf, nan

from qkd_gs.devices.camera import CameraSettings, Frame
from qkd_gs.errors import StationError
from qkd_gs.settings.station import CameraModel
from qkd_gs.tracking.camera.exposure import ExposureControl
from qkd_gs.tracking.camera.spot import Spot, SpotDetector
from qkd_gs.tracking.types import CameraRole, SpotMeasurement

_MOTION_NS = 500_000_000  # time over which the spot's motion is measured


@dataclass(frozen=True)
class GateRule:
    """Conditions for a new spot to be the one tracked before.

    *Position*: within ``start_px + growth_px_s * age`` of the extrapolated motion of the last half second (age: time
    since it was last seen).  A star crosses the image at the satellite's rate and leaves this gate within one or two
    images.

    *Flux* (electrons per second): not below ``faintest`` and not above ``brightest`` times the running mean
    (time constant `memory_s`).  Scintillation stays within; a star a hundred times fainter at that position
    while the beacon fades does not.  The gate widens with age, by e in `widen_s`, and is dropped after `forget_s`.  It
    has no upper limit before the beacon was seen for `known_s`: the first spots may lie in a fade.
    """

    start_px: float = 8.0
    growth_px_s: float = 60.0
    faintest: float = 0.05
    brightest: float = 20.0
    memory_s: float = 1.0
    known_s: float = 0.5
    widen_s: float = 3.0
    lost_s: float = 0.3  # without a spot for so long: search the full image
    forget_s: float = 5.0


class FluxMemory:
    """Running mean of the beacon's flux, and a test of new spots against it.

    Parameters
    ----------
    rule : GateRule
    """

    def __init__(self, rule: GateRule):
        self._rule = rule
        self._mean_e_s: float | None = None
        self._stamp_ns = self._since_ns = 0
        self._count = 0

    def allows(self, stamp_ns: int, flux_e_s: float) -> bool:
        """Whether a flux (electrons per second) is within the gate, which widens with time."""
        age_s = (stamp_ns - self._stamp_ns) * 1e-9
        if self._mean_e_s is None or not 0 <= age_s <= self._rule.forget_s:
            return True
        widen = exp(age_s / self._rule.widen_s)
        known = (self._stamp_ns - self._since_ns) * 1e-9 >= self._rule.known_s
        most = self._rule.brightest * widen if known else inf
        return self._rule.faintest / widen <= flux_e_s / self._mean_e_s <= most

    def add(self, stamp_ns: int, flux_e_s: float) -> None:
        """Add a measurement to the mean; after a long gap the mean restarts."""
        age_s = (stamp_ns - self._stamp_ns) * 1e-9
        if self._mean_e_s is None or not 0 <= age_s <= self._rule.forget_s:
            self._mean_e_s, self._since_ns, self._count = flux_e_s, stamp_ns, 1
        else:
            self._count += 1
            weight = max(1 - exp(-age_s / self._rule.memory_s), 1 / self._count)
            self._mean_e_s += weight * (flux_e_s - self._mean_e_s)
        self._stamp_ns = stamp_ns


@dataclass(frozen=True)
class _Centroid:
    stamp_ns: int
    x_px: float  # full sensor
    y_px: float


class Spotter:
    """Searches while there is no spot, tracks while there is one; controls the exposure.

    Parameters
    ----------
    role : CameraRole
    model : CameraModel
    detector : SpotDetector, optional
        None: one with the camera's electrons per count and fitted width.
    exposure : ExposureControl, optional
    rule : GateRule, optional
    rate_hz : float, optional
        Requested image rate; None: the camera's fastest.
    """

    def __init__(
        self,
        role: CameraRole,
        model: CameraModel,
        detector: SpotDetector | None = None,
        exposure: ExposureControl | None = None,
        rule: GateRule | None = None,
        rate_hz: float | None = None,
    ):
        self._role = role
        self._model = model
        self._detector = detector or SpotDetector(
            electrons_per_count=model.electrons_per_count, saturation_counts=model.full_scale_counts
        )
        self._exposure = exposure or ExposureControl(model)
        self._rule = rule or GateRule()
        self._centroids: deque[_Centroid] = deque()
        self._flux = FluxMemory(self._rule)
        rate_hz = model.max_rate_hz if rate_hz is None else rate_hz
        if not 0 < rate_hz <= model.max_rate_hz:
            raise StationError(f'{rate_hz} is beyond the camera, which does {model.max_rate_hz}', where='rate_hz')
        self._requested_hz = self._rate_hz = rate_hz
        self._stamps_ns: deque[int] = deque(maxlen=4)
        self.settings: CameraSettings = self._exposure.widest(rate_hz)  # requested; apply them to the camera on change

    def step(self, now_ns: int, frame: Frame) -> SpotMeasurement:
        """Measurement of one image; `settings` may change with it.

        Parameters
        ----------
        now_ns : int
            Station time; the stamp of the measurement is the image's mid-exposure.
        frame : Frame

        Raises
        ------
        StationError
            Image that does not fit its region, or of the wrong type.
        """
        if frame.image.shape != (frame.roi.height_px, frame.roi.width_px):
            raise StationError(
                f'image {frame.image.shape} does not fit its region of {frame.roi.width_px} x {frame.roi.height_px} px',
                where=f'{self._role.name.lower()} camera',
            )
        # too old, or the clock was set back (a replay restarts)
        if self._centroids and not 0 < self._age_s(frame) <= self._rule.lost_s:
            self._centroids.clear()
        self._note_rate(frame)
        spot = self._follow(frame) if self._centroids else self._search(frame)
        self._control_exposure(frame, spot)
        if spot is None:
            return SpotMeasurement(self._role, frame.stamp_ns, False, nan, nan, nan, nan)
        x_px, y_px = spot.x_px + frame.roi.x0_px, spot.y_px + frame.roi.y0_px
        self._remember(frame, spot, x_px, y_px)
        return SpotMeasurement(self._role, frame.stamp_ns, True, x_px, y_px, spot.snr, spot.flux)

    def _follow(self, frame: Frame) -> Spot | None:
        """The spot at its extrapolated position, or None."""
        last, first = self._centroids[-1], self._centroids[0]
        age_s = self._age_s(frame)
        x_px, y_px = last.x_px, last.y_px
        span_s = (last.stamp_ns - first.stamp_ns) * 1e-9
        if span_s > 0.05:
            x_px += (last.x_px - first.x_px) / span_s * age_s
            y_px += (last.y_px - first.y_px) / span_s * age_s
        spot = self._detector.track(
            frame.image,
            x_px - frame.roi.x0_px,
            y_px - frame.roi.y0_px,
            radius_px=self._rule.start_px + self._rule.growth_px_s * age_s,
            gain=frame.gain,
        )
        return spot if spot is not None and self._allowed(frame, spot) else None

    def _search(self, frame: Frame) -> Spot | None:
        """The brightest spot of the image that passes the gate."""
        spots = self._detector.search(frame.image, gain=frame.gain)
        return next((spot for spot in spots if self._allowed(frame, spot)), None)

    def _allowed(self, frame: Frame, spot: Spot) -> bool:
        # the flux of a saturated spot is unknown, and no star saturates where the beacon does not
        return spot.saturated_px > 0 or self._flux.allows(frame.stamp_ns, spot.flux / frame.exposure_s)

    def _remember(self, frame: Frame, spot: Spot, x_px: float, y_px: float) -> None:
        self._flux.add(frame.stamp_ns, spot.flux / frame.exposure_s)
        self._centroids.append(_Centroid(frame.stamp_ns, x_px, y_px))
        while frame.stamp_ns - self._centroids[0].stamp_ns > _MOTION_NS:
            self._centroids.popleft()

    def _note_rate(self, frame: Frame) -> None:
        """Note the actual image rate: a slower one allows longer exposures.

        The shortest of the last intervals counts: a dropped image doubles one.
        """
        if self._stamps_ns and frame.stamp_ns <= self._stamps_ns[-1]:
            self._stamps_ns.clear()
        self._stamps_ns.append(frame.stamp_ns)
        if len(self._stamps_ns) == self._stamps_ns.maxlen:
            stamps = list(self._stamps_ns)
            spacing_ns = min(later - earlier for earlier, later in pairwise(stamps))
            self._rate_hz = min(1e9 / spacing_ns, self._requested_hz)

    def _age_s(self, frame: Frame) -> float:
        return (frame.stamp_ns - self._centroids[-1].stamp_ns) * 1e-9

    def _control_exposure(self, frame: Frame, spot: Spot | None) -> None:
        taken = CameraSettings(frame.exposure_s, frame.gain, self._rate_hz)
        if spot is None:
            adjusted = self._exposure.step(frame.stamp_ns, None, taken)
        else:
            adjusted = self._exposure.step(
                frame.stamp_ns, spot.peak_counts, taken, spot.background_counts, saturated=spot.saturated_px > 0
            )
        if adjusted is not None:
            self.settings = replace(self.settings, exposure_s=adjusted.exposure_s, gain=adjusted.gain)
