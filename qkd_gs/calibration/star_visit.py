"""One star of a calibration: slew, settle, find it in the guiding camera, centre it in the tracking camera, measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from math import cos, hypot, isfinite, pi, radians, sin

import numpy as np

from qkd_gs.calibration.stars import StarTrack
from qkd_gs.devices.mount import MountReading
from qkd_gs.pointing.azimuth_turn import nearest_turn
from qkd_gs.pointing.camera_geometry import CameraGeometry
from qkd_gs.pointing.mount_model import AxisMotion, MountModel
from qkd_gs.settings.station import MountSettings
from qkd_gs.tracking.control.encoder_history import EncoderHistory
from qkd_gs.tracking.types import SpotMeasurement

Spots = tuple[SpotMeasurement, ...]  # of the images of one camera since the last step, oldest first


@dataclass(frozen=True)
class VisitRules:
    """Time limits and tolerances of a visit."""

    timeout_s: float = 90.0  # for the whole star
    slew_timeout_s: float = 60.0  # from a command to its position
    settle_s: float = 0.3  # time within the tolerance before an image counts
    settle_rad: float = 60e-6
    camera_timeout_s: float = 5.0  # longest time without an image of a camera
    min_snr: float = 6.0
    frames_per_position: int = 5  # images without the star before the next position of the search
    guided_rad: float = 200e-6  # centred in the guiding camera
    centred_rad: float = 60e-6  # centred in the tracking camera
    corrections: int = 10
    frames: int = 25  # to measure with
    search_guiding_rad: float = 10e-3  # radius of the ring searched if the star is not at its predicted position
    search_tracking_rad: float = 1.6e-3


class VisitState(IntEnum):
    """States of a visit."""

    SLEW = 0
    GUIDE = 1
    CENTRE = 2
    MEASURE = 3
    MEASURED = 4
    GIVEN_UP = 5


@dataclass(frozen=True)
class StarMeasurement:
    """Measurement of a star centred on the line of sight."""

    t_ns: int  # mean of the images
    az_rad: float  # apparent
    el_rad: float
    enc_az_rad: float  # encoder angles at which the star is on the tracking camera's reference pixel
    enc_el_rad: float
    scatter_rad: float  # radial RMS of single images: seeing and spot noise
    frames: int
    guide_x_px: float  # pixel of the guiding camera on the line of sight; NaN without a spot
    guide_y_px: float


@dataclass
class StarVisit:
    """Drive the mount to one star and measure it; `step` until `state` is MEASURED or GIVEN_UP.

    Parameters
    ----------
    track : StarTrack
        The star.
    model : MountModel
        Best model so far; its error must be within half the guiding field plus the search ring.
    guiding, tracking : CameraGeometry
        Geometry of the cameras; reference pixel of the guiding camera as far as known.
    """

    track: StarTrack
    model: MountModel
    mount: MountSettings
    guiding: CameraGeometry
    tracking: CameraGeometry
    rules: VisitRules
    start_ns: int
    state: VisitState = VisitState.SLEW
    reason: str = ''
    measurement: StarMeasurement | None = None
    _offset: tuple[float, float] = (0.0, 0.0)  # added to the encoder angles of the model
    _next: VisitState = VisitState.GUIDE  # state after the slew
    _since_ns: int = 0  # start of the present state
    _inside_ns: int | None = None  # within the tolerance since
    _ready_ns: int = 0  # images exposed before this do not count
    _missed: int = 0
    _corrections: int = 0
    _turns: float | None = None
    _history: EncoderHistory = field(init=False)
    _places: Iterator[tuple[float, float]] = field(default_factory=lambda: iter(()))
    _search_centre: tuple[float, float] = (0.0, 0.0)
    _frames: list[tuple[int, float, float]] = field(default_factory=list)
    _guide_px: list[tuple[float, float]] = field(default_factory=list)
    _last_angles: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        self._since_ns = self.start_ns
        fastest = max(self.mount.azimuth.max_acc_deg_s2, self.mount.elevation.max_acc_deg_s2)
        self._history = EncoderHistory(radians(fastest))
        self._places = _ring(self.rules.search_guiding_rad)

    def step(
        self,
        now_ns: int,
        mount: MountReading,
        guiding: Spots,
        tracking: Spots,
    ) -> AxisMotion[float] | None:
        """Set-point for the mount at `now_ns`; None when the visit is over."""
        self._history.add(mount)
        if self._over(now_ns, self.start_ns, self.rules.timeout_s):
            self._give_up(f'time-out of {self.rules.timeout_s:g} s while in {self.state.name}')
        elif not self._within_travel(self._commanded(now_ns, mount)):
            self._give_up('outside the travel of the axes')
        elif self.state is VisitState.SLEW:
            self._slew(now_ns, mount)
        elif self.state is VisitState.GUIDE:
            self._guide(now_ns, guiding)
        elif self.state is VisitState.CENTRE:
            self._centre(now_ns, tracking)
        elif self.state is VisitState.MEASURE:
            self._measure(now_ns, guiding, tracking)
        return None if self.over else self._commanded(now_ns, mount)

    @property
    def over(self) -> bool:
        """Whether the visit has ended, successfully or not."""
        return self.state in (VisitState.MEASURED, VisitState.GIVEN_UP)

    def _slew(self, now_ns: int, mount: MountReading) -> None:
        commanded = self._commanded(mount.stamp_ns, mount)
        off = hypot((mount.az_rad - commanded.az_rad) * cos(mount.el_rad), mount.el_rad - commanded.el_rad)
        if off > self.rules.settle_rad:
            self._inside_ns = None
            if self._over(now_ns, self._since_ns, self.rules.slew_timeout_s):
                self._give_up(f'the mount is {off * 1e6:.0f} urad away after {self.rules.slew_timeout_s:g} s')
        elif self._inside_ns is None:
            self._inside_ns = now_ns
        elif self._over(now_ns, self._inside_ns, self.rules.settle_s):
            self._ready_ns = now_ns
            self._enter(self._next, now_ns)

    def _guide(self, now_ns: int, spots: Spots) -> None:
        spot = self._detect(now_ns, spots, 'guiding')
        if spot is None:
            return
        angles = self.guiding.angles(spot.x_px, spot.y_px)
        if hypot(*angles) < self.rules.guided_rad:
            self._search_centre = self._offset
            self._places = _rings(self.rules.search_tracking_rad)
            self._enter(VisitState.CENTRE, now_ns)
        else:
            self._correct(now_ns, spot, angles, VisitState.GUIDE)

    def _centre(self, now_ns: int, spots: Spots) -> None:
        spot = self._detect(now_ns, spots, 'tracking')
        if spot is None:
            return
        angles = self.tracking.angles(spot.x_px, spot.y_px)
        if hypot(*angles) < self.rules.centred_rad:
            self._enter(VisitState.MEASURE, now_ns)
        else:
            self._correct(now_ns, spot, angles, VisitState.CENTRE)

    def _measure(self, now_ns: int, guiding: Spots, tracking: Spots) -> None:
        for spot in tracking:
            if spot.stamp_ns < self._ready_ns:
                continue
            self._since_ns = now_ns
            if not self._good(spot):
                self._missed += 1
                continue
            self._missed = 0
            self._last_angles = self.tracking.angles(spot.x_px, spot.y_px)
            offset = self._offset_that_centres(spot, self._last_angles)
            if offset is not None:
                self._frames.append((spot.stamp_ns, *offset))
        for spot in guiding:
            if spot.stamp_ns >= self._ready_ns and self._good(spot) and self._frames:
                expected_x, expected_y = self.guiding.pixel(*self._last_angles)
                self._guide_px.append(
                    (
                        self.guiding.reference_x_px + spot.x_px - expected_x,
                        self.guiding.reference_y_px + spot.y_px - expected_y,
                    )
                )
        if len(self._frames) >= self.rules.frames:
            self._finish()
        elif self._missed >= 2 * self.rules.frames_per_position:
            self._give_up(f'lost after {len(self._frames)} of {self.rules.frames} frames')
        elif self._over(now_ns, self._since_ns, self.rules.camera_timeout_s):
            self._give_up('the tracking camera sends no images')

    def _finish(self) -> None:
        table = np.array(self._frames, dtype=np.float64)
        t_ns = round(float(np.mean([frame[0] - self.start_ns for frame in self._frames]))) + self.start_ns
        az_offset, el_offset = table[:, 1:].mean(axis=0)
        star = self.track.at(t_ns)
        commanded = self.model.encoder(star.az_rad, star.el_rad)
        spread = (table[:, 1:] - (az_offset, el_offset)) * (cos(commanded[1]), 1.0)
        guide_x, guide_y = np.median(self._guide_px, axis=0) if self._guide_px else (np.nan, np.nan)
        self.measurement = StarMeasurement(
            t_ns=t_ns,
            az_rad=star.az_rad,
            el_rad=star.el_rad,
            enc_az_rad=commanded[0] + float(az_offset) + (self._turns or 0.0),
            enc_el_rad=commanded[1] + float(el_offset),
            scatter_rad=float(np.sqrt(np.mean(np.sum(spread**2, axis=1)))),
            frames=len(table),
            guide_x_px=float(guide_x),
            guide_y_px=float(guide_y),
        )
        self.state = VisitState.MEASURED

    def _detect(self, now_ns: int, spots: Spots, camera: str) -> SpotMeasurement | None:
        """The star in an image exposed after the mount has settled; continues the search without one."""
        for spot in spots:
            if spot.stamp_ns < self._ready_ns:
                continue
            if self._good(spot) and self._history.at(spot.stamp_ns, linear=True) is not None:
                self._missed = 0
                return spot
            self._missed += 1
            self._since_ns = now_ns
        if self._missed >= self.rules.frames_per_position:
            self._next_position(now_ns, camera)
        elif self._over(now_ns, self._since_ns, self.rules.camera_timeout_s):
            self._give_up(f'the {camera} camera sends no images')
        return None

    def _next_position(self, now_ns: int, camera: str) -> None:
        place = next(self._places, None)
        if place is None:
            self._give_up(f'not found by the {camera} camera, nor around it')
            return
        star = self.track.at(now_ns)
        az, el = self.model.encoder(star.az_rad, star.el_rad)
        az, el = az + self._search_centre[0], el + self._search_centre[1]
        there = self.model.centred(az, el, *place)
        self._offset = (self._search_centre[0] + there[0] - az, self._search_centre[1] + there[1] - el)
        self._slew_to(now_ns, self.state)

    def _correct(self, now_ns: int, spot: SpotMeasurement, angles: tuple[float, float], then: VisitState) -> None:
        self._corrections += 1
        offset = self._offset_that_centres(spot, angles)
        if self._corrections > self.rules.corrections:
            self._give_up(f'still {hypot(*angles) * 1e6:.0f} urad off after {self.rules.corrections} corrections')
        elif offset is not None:
            self._offset = offset
            self._slew_to(now_ns, then)

    def _offset_that_centres(self, spot: SpotMeasurement, angles: tuple[float, float]) -> tuple[float, float] | None:
        """Offset of the encoder angles from the model that would centre the star of this image."""
        encoder = self._history.at(spot.stamp_ns, linear=True)
        if encoder is None:
            return None
        star = self.track.at(spot.stamp_ns)
        commanded = self.model.encoder(star.az_rad, star.el_rad)
        centred = self.model.centred(*encoder, *angles)
        return centred[0] - commanded[0] - (self._turns or 0.0), centred[1] - commanded[1]

    def _commanded(self, t_ns: int, mount: MountReading) -> AxisMotion[float]:
        motion = self.model.encoder_command(self.track.at(t_ns))
        if self._turns is None:  # the azimuth turn nearest to the axis, within its travel
            self._turns = nearest_turn(motion.az_rad, self.mount.azimuth, mount.az_rad)
        return replace(
            motion,
            az_rad=motion.az_rad + self._turns + self._offset[0],
            el_rad=motion.el_rad + self._offset[1],
        )

    def _within_travel(self, motion: AxisMotion[float]) -> bool:
        az, el = self.mount.azimuth, self.mount.elevation
        return radians(az.min_deg) <= motion.az_rad <= radians(az.max_deg) and radians(
            el.min_deg
        ) <= motion.el_rad <= radians(el.max_deg)

    def _good(self, spot: SpotMeasurement) -> bool:
        return spot.found and spot.snr >= self.rules.min_snr and isfinite(spot.x_px) and isfinite(spot.y_px)

    def _slew_to(self, now_ns: int, then: VisitState) -> None:
        self._next = then
        self._enter(VisitState.SLEW, now_ns)

    def _enter(self, state: VisitState, now_ns: int) -> None:
        self.state = state
        self._since_ns = now_ns
        self._inside_ns = None
        self._missed = 0

    def _give_up(self, reason: str) -> None:
        self.state = VisitState.GIVEN_UP
        self.reason = reason

    @staticmethod
    def _over(now_ns: int, since_ns: int, limit_s: float) -> bool:
        return now_ns - since_ns > limit_s * 1e9


def _ring(radius_rad: float, count: int = 6) -> Iterator[tuple[float, float]]:
    for k in range(count):
        yield radius_rad * cos(2 * pi * k / count), radius_rad * sin(2 * pi * k / count)


def _rings(step_rad: float) -> Iterator[tuple[float, float]]:
    """Positions on two rings."""
    yield from _ring(step_rad)
    yield from _ring(2 * step_rad, 12)
