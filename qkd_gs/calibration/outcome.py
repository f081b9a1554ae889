"""Outcome of a calibration: the model, where and when it was measured, and how far it is from the one before."""

from __future__ import annotations

from math import cos, degrees, hypot, pi, radians, remainder

from qkd_gs.calibration.calibrator import CalibrationReport
from qkd_gs.calibration.check import drift_rad
from qkd_gs.calibration.finding.verdict import Found
from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings

ENOUGH = 12  # stars in the fit: with fewer the model holds where they stand only
_FOUND_RAD = radians(0.1)  # a telescope finds itself to half a milliradian
LIMIT_RAD = 60e-6  # held-out RMS; the published calibration was good to 56 urad


def shortcoming(used: int, visited: int, heldout_rad: float | None) -> str:
    """Reason why a calibration is not good enough to track a pass with; empty: it is."""
    if used < ENOUGH or heldout_rad is None:
        return f'only {used} of {visited} stars are in the fit, {ENOUGH} are needed'
    if not heldout_rad <= LIMIT_RAD:
        return f'stars left out of the fit are {heldout_rad * 1e6:.0f} urad off, {LIMIT_RAD * 1e6:.0f} are allowed'
    return ''


def contradiction(before: StoredPointing, model: MountModel) -> str:
    """Reason against a calibration that began where the telescope had found itself; empty: none.

    A list of stars that is turned as a whole leads to a model that fits it, and points elsewhere.  The telescope has
    found itself by another catalogue.
    """
    if before.aligned_rad is None:
        return ''
    (az, el), (found_az, found_el) = model.encoder(*before.aligned_rad), before.model.encoder(*before.aligned_rad)
    off_rad = hypot(remainder(az - found_az, 2 * pi) * cos(found_el), el - found_el)
    if off_rad < _FOUND_RAD:
        return ''
    return (
        f'the listed stars are {degrees(off_rad):.1f} deg off those on which the telescope found itself: a wrong list?'
    )


def aligned(found: Found, before: StoredPointing | None, station: StationSettings, now_ns: int) -> StoredPointing:
    """Pointing that a telescope has found, from which a calibration starts; the half-wave plate keeps its zero."""
    camera, (az_rad, el_rad) = station.guiding_camera, found.direction
    reference = camera.reference_x_px, camera.reference_y_px
    hwp = (before.hwp_offset_deg, before.hwp_sigma_deg) if before is not None else (0.0, None)
    return StoredPointing.of(
        found.model,
        reference,
        found.summary,
        format_utc(now_ns),
        coarse=True,
        hwp_deg=hwp,
        aligned_deg=(degrees(az_rad) % 360, degrees(el_rad)),
    )


def outcome(
    report: CalibrationReport, model: MountModel, before: StoredPointing, site: Site, fitted_utc: str
) -> StoredPointing:
    """Result of a good calibration; the half-wave plate keeps its zero.

    The drift is told if the pointing before was calibrated too, not from one star centred by hand.

    Raises
    ------
    StationError
        The report has no fit, or no pixel of the guiding camera on the line of sight.
    """
    if report.fit is None or report.guide_reference_px is None:
        raise StationError('the calibration has no result to be stored')
    heldout_rad = report.fit.heldout_rms_rad
    drift_urad = None if before.coarse else drift_rad(before.model, model) * 1e6
    summary = report.summary
    if drift_urad is not None:
        summary += f'; {drift_urad:.0f} urad from that of {before.fitted_utc}'
    stored = StoredPointing.of(
        model,
        report.guide_reference_px,
        summary,
        fitted_utc,
        hwp_deg=(before.hwp_offset_deg, before.hwp_sigma_deg),
        star_residuals_urad=report.residuals_urad,
    )
    kept = {
        'site': site.name,
        'temperature_c': site.temperature_c,
        'heldout_urad': None if heldout_rad is None else heldout_rad * 1e6,
        'drift_urad': drift_urad,
    }
    return stored.model_copy(update=kept)
