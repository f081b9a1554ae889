"""Calibrate the pointing star by star, with a fit after each star and a complete report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from math import degrees, isfinite, radians

import numpy as np

from qkd_gs.calibration.fit import PointingFit, fit_mount
from qkd_gs.calibration.observations import Observations
from qkd_gs.calibration.star_visit import StarMeasurement, StarVisit, VisitRules
from qkd_gs.calibration.stars import Star, StarTrack, load_stars, select_stars, star_azel
from qkd_gs.devices.mount import MountReading
from qkd_gs.errors import StationError
from qkd_gs.orbit.horizon import horizon_rad
from qkd_gs.orbit.sky import moon_azel
from qkd_gs.pointing.camera_geometry import CameraGeometry
from qkd_gs.pointing.mount_model import AxisMotion, MountModel
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.tracking.types import SpotMeasurement

log = logging.getLogger(__name__)

STARS = 20  # default number of stars
STAR_RULES = VisitRules(min_snr=4.0)  # good to a fifth of a pixel, and 25 frames are averaged
# Position of the first star; centred too high, the tilt would enter the azimuth's zero point.
_FIRST_RAD = (radians(180), radians(35))
_ENOUGH = 3  # stars for zero points and tilt
_UNTRUSTED_RAD = 3e-3  # with a worse held-out error the next star would be missed
_SILENT_S = 1.0
_LOWEST_RAD = radians(15)
_MOON_RAD = radians(8)  # its light in the cameras
_ABOVE_RAD = radians(5)  # the site's horizon: in 20 minutes a star in the west sinks by as much


def stars_to_visit(
    site: Site,
    now_ns: int,
    count: int = STARS,
    first: tuple[float, float] | None = None,
    catalogue: Sequence[Star] | None = None,
) -> list[Star]:
    """Stars for a calibration that begins now, in the order of the visits, away from the Moon and the site's horizon.

    Parameters
    ----------
    first : (az_rad, el_rad)
        Direction in which the alignment is known, near the first star. None: the operator's, in the south.
    catalogue : sequence of Star, optional
        Stars to choose from; all of config/stars.csv if not given.
    """
    moon_az, moon_el = (float(angle[0]) for angle in moon_azel(site, np.array([now_ns])))
    avoid = [(moon_az, moon_el, _MOON_RAD)] if moon_el > -_MOON_RAD else []
    stars = load_stars() if catalogue is None else catalogue
    if site.horizon and stars:
        az, el = star_azel(stars, site, now_ns)
        clear = el > horizon_rad(site, az) + _ABOVE_RAD
        stars = [star for star, free in zip(stars, clear, strict=True) if free]
    return select_stars(stars, site, now_ns, count, first or _FIRST_RAD, avoid)


def star_tracks(site: Site) -> Callable[[Star, int, int], StarTrack]:
    """Function that gives the track of a star over a time span, for the `Calibrator`."""
    return lambda star, first_ns, last_ns: StarTrack(star, site, first_ns, last_ns)


class CalibrationState(IntEnum):
    """States of a calibration."""

    RUNNING = 0
    DONE = 1
    FAILED = 2


@dataclass(frozen=True)
class CalibrationInputs:
    """Inputs since the last step."""

    mount: MountReading
    guiding: tuple[SpotMeasurement, ...] = ()  # oldest first
    tracking: tuple[SpotMeasurement, ...] = ()


@dataclass(frozen=True)
class CalibrationOutputs:
    """Commands and progress of the calibration."""

    state: CalibrationState
    axes: AxisMotion[float] | None  # set-point for the mount; None: stop
    star: str  # being visited
    visited: int
    total: int
    message: str  # for the operator


@dataclass(frozen=True)
class StarReport:
    """Result for one star."""

    star: Star
    measured: bool
    reason: str  # why it was not measured, or by how much the fit rejected it; '' otherwise
    measurement: StarMeasurement | None


@dataclass(frozen=True)
class CalibrationReport:
    """Result of a calibration, complete or aborted."""

    fit: PointingFit | None
    stars: tuple[StarReport, ...]  # every star, in the order of the visits
    guide_reference_px: tuple[float, float] | None  # pixel of the guiding camera on the line of sight

    @property
    def residuals_urad(self) -> tuple[tuple[float, float], ...]:
        """Stars in the fit minus line of sight: cross-elevation and elevation."""
        if self.fit is None:
            return ()
        kept = self.fit.kept
        pairs = zip((self.fit.x_rad[kept] * 1e6).tolist(), (self.fit.y_rad[kept] * 1e6).tolist(), strict=True)
        return tuple((round(x, 2), round(y, 2)) for x, y in pairs)

    @property
    def summary(self) -> str:
        """One sentence."""
        used = int(self.fit.kept.sum()) if self.fit else 0
        missing = [report for report in self.stars if not report.measured]
        rms = f', RMS {self.fit.rms_rad * 1e6:.1f} urad' if self.fit else ''
        return f'{used} of {len(self.stars)} stars in the fit{rms}; {len(missing)} not measured'


class Calibrator:
    """Visits stars, fits after each one, and ends with a model and a report.

    Starts from the operator's coarse alignment (one star centred by hand: zero points good to about 0.3 deg).
    With one star measured the zero points are right, with three the tilt; so stars near the first one should
    come first (`stars.select_stars` with `first`).

    Parameters
    ----------
    stars : sequence of Star
        In the order of the visits.
    track_of : callable
        (star, start_ns, end_ns) -> `StarTrack`, e.g. ``lambda s, a, b: StarTrack(s, site, a, b)``.
    start_model : MountModel
        The coarse alignment, or the last calibration.
    already : sequence of StarReport
        Stars that an interrupted calibration has measured; they are not visited again.
    """

    def __init__(
        self,
        stars: Sequence[Star],
        track_of: Callable[[Star, int, int], StarTrack],
        start_model: MountModel,
        station: StationSettings,
        rules: VisitRules | None = None,
        already: Sequence[StarReport] = (),
    ):
        if not stars:
            raise StationError('there is no star to calibrate on', hint='choose another time or a lower elevation')
        self.model = start_model
        self.state = CalibrationState.RUNNING
        self.aborted = False
        self._start_model = start_model
        done = {report.star.hip for report in already}
        self._waiting = [star for star in stars if star.hip not in done]
        self._total = len(done) + len(self._waiting)
        self._track_of = track_of
        self._station = station
        self._rules = rules or VisitRules()
        self._guiding = CameraGeometry.of(station.guiding_camera)
        self._tracking = CameraGeometry.of(station.tracking_camera)
        self._visit: StarVisit | None = None
        self._reports: list[StarReport] = list(already)
        self._fit: PointingFit | None = None
        self._message = f'going on with {len(already)} stars measured before' if already else ''
        self._stepped_ns = 0
        if already:
            self._learn()

    def step(self, now_ns: int, inputs: CalibrationInputs) -> CalibrationOutputs:
        """Process new inputs and command the mount; ends in DONE or FAILED.

        Each star has a time-out, so the calibration takes at most ``timeout_s`` times the number of stars, and the time
        in which it is held up: while the mount is silent or nobody calls this; then the visit is repeated.
        """
        axes = None
        silent_s = (now_ns - inputs.mount.stamp_ns) * 1e-9
        held_up, self._stepped_ns = now_ns - self._stepped_ns > _SILENT_S * 1e9, now_ns
        if self.state is CalibrationState.RUNNING and (silent_s > _SILENT_S or held_up):
            self._break_off(silent_s)
        while self.state is CalibrationState.RUNNING and axes is None and silent_s <= _SILENT_S:
            if self._visit is None and not self._begin(now_ns):
                break
            assert self._visit is not None
            axes = self._visit.step(now_ns, inputs.mount, inputs.guiding, inputs.tracking)
            if axes is None:
                self._end_visit(self._visit)
        name = self._visit.track.star.name if self._visit else ''
        return CalibrationOutputs(self.state, axes, name, len(self._reports), self._total, self._message)

    def _break_off(self, silent_s: float) -> None:
        """Visit the present star once more: its time limits and images say nothing about the star."""
        if self._visit is not None:
            self._waiting.insert(0, self._visit.track.star)
            self._visit = None
        if silent_s > _SILENT_S:
            self._message = f'waiting: the mount has been silent for {silent_s:.0f} s'

    def abort(self, why: str = 'aborted by the operator') -> None:
        """Abort; the stars measured so far count, the others are reported as not visited."""
        if self.state is CalibrationState.RUNNING:
            self.aborted = True
            self._close(why)

    def report(self) -> CalibrationReport:
        """Result so far, or at the end."""
        pixels = [
            (report.measurement.guide_x_px, report.measurement.guide_y_px)
            for report in self._reports
            if report.measurement is not None and isfinite(report.measurement.guide_x_px)
        ]
        reference = None
        if pixels:
            x_px, y_px = np.median(pixels, axis=0)
            reference = (float(x_px), float(y_px))
        return CalibrationReport(self._fit, tuple(self._with_rejections()), reference)

    def _begin(self, now_ns: int) -> bool:
        """Start the visit of the next star above the limit; False when there is none left."""
        while self._waiting:
            star = self._waiting.pop(0)
            track = self._track_of(star, now_ns, now_ns + round((self._rules.timeout_s + 5) * 1e9))
            el_rad = track.at(now_ns).el_rad
            if el_rad < _LOWEST_RAD:
                self._reports.append(StarReport(star, False, f'has sunk to {degrees(el_rad):.1f} deg', None))
                continue
            self._visit = StarVisit(
                track, self.model, self._station.mount, self._guiding, self._tracking, self._rules, now_ns
            )
            self._message = f'going to {star.name}'
            return True
        self._close('')
        return False

    def _end_visit(self, visit: StarVisit) -> None:
        star = visit.track.star
        self._reports.append(StarReport(star, visit.measurement is not None, visit.reason, visit.measurement))
        self._visit = None
        if visit.measurement is None:
            log.warning('%s: %s', star.name, visit.reason)
            return
        self._learn()

    def _learn(self) -> None:
        """Fit the stars measured so far, and find the pixel of the guiding camera on the line of sight."""
        self._refit()
        reference = self.report().guide_reference_px
        if reference is not None:
            self._guiding = replace(self._guiding, reference_x_px=reference[0], reference_y_px=reference[1])

    def _refit(self) -> None:
        measured = [report for report in self._reports if report.measurement is not None]
        rows = [
            (m.az_rad, m.el_rad, m.enc_az_rad, m.enc_el_rad) for m in (report.measurement for report in measured) if m
        ]
        seen = Observations.from_rows(rows, [report.star.name for report in measured])
        try:
            self._fit = fit_mount(seen, base=self._start_model)
        except StationError as error:  # e.g. a wrong star gives implausible terms: keep the last model
            log.warning('fit of %d stars refused: %s', len(rows), error)
            return
        held_out_rad = self._fit.heldout_rms_rad or 0.0
        if 'AN' in self._fit.sigma_rad and held_out_rad > _UNTRUSTED_RAD:
            log.warning('%d stars disagree by %.0f urad: keeping the last model', len(rows), held_out_rad * 1e6)
            return
        self.model = self._fit.model
        log.info('%d stars, RMS %.1f urad', len(rows), self._fit.rms_rad * 1e6)

    def _with_rejections(self) -> list[StarReport]:
        """The reports, with rejections by the fit."""
        wrong = {star.label: star.reason for star in self._fit.rejected} if self._fit else {}
        return [
            replace(report, reason=f'rejected: {wrong[report.star.name]}')
            if report.measured and report.star.name in wrong
            else report
            for report in self._reports
        ]

    def _close(self, why: str) -> None:
        if self._visit is not None:
            self._reports.append(StarReport(self._visit.track.star, False, why, None))
            self._visit = None
        self._reports += [StarReport(star, False, f'not visited: {why}', None) for star in self._waiting]
        self._waiting = []
        measured = sum(report.measured for report in self._reports)
        good = self._fit is not None and measured >= _ENOUGH and not why
        self.state = CalibrationState.DONE if good else CalibrationState.FAILED
        if good:
            self._message = self.report().summary
        else:
            few = f'only {measured} of {self._total} stars measured, {_ENOUGH} are needed'
            wrong = f'no model fits the {measured} stars measured: is the list of stars wrong, or does an encoder slip?'
            self._message = why or (few if measured < _ENOUGH else wrong)
