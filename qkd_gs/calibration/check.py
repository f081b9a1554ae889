"""Quick check of a calibration on three stars: whether it holds, its zero points have moved, or it must be repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.calibration.calibrator import StarReport
from qkd_gs.calibration.fit import fit_mount
from qkd_gs.calibration.observations import Observations
from qkd_gs.errors import StationError
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.pointing.sky_offsets import offset_between

STARS = 3
LIMIT_RAD = 60e-6  # the published calibration was good to 56 urad
_GRID_AZ, _GRID_EL = np.meshgrid(np.radians(np.arange(0, 360, 15)), np.radians(np.arange(20, 85, 5)))


class Verdict(IntEnum):
    """Outcome of a check."""

    GOOD = 0
    ZEROS_MOVED = 1  # the model is right again with new zero points, e.g. after the base was pushed
    NEEDED = 2  # a new calibration


@dataclass(frozen=True)
class Check:
    """Result of a check."""

    verdict: Verdict
    model: MountModel  # the old one, or with new zero points
    errors_rad: FloatArray  # (n,) radial error of each star
    summary: str  # one sentence


def check(model: MountModel, seen: Observations, limit_rad: float = LIMIT_RAD) -> Check:
    """Judge a stored model by measured stars.

    Raises
    ------
    StationError
        Fewer than three stars: it cannot be told whether only the zero points have moved.
    """
    if len(seen) < STARS:
        raise StationError(
            f'{len(seen)} stars are too few for a check, {STARS} are needed', hint='wait for a clear sky'
        )
    errors = _errors(model, seen)
    rms = _rms(errors)
    said = f'{len(seen)} stars are {rms * 1e6:.0f} urad (RMS) off the last calibration'
    if rms <= limit_rad:
        return Check(Verdict.GOOD, model, errors, f'{said}: it still holds')
    moved = fit_mount(seen, [], model).model
    rest = _rms(_errors(moved, seen)) / np.sqrt(1 - 1 / len(seen))  # the zero points are one star's worth
    if rest <= limit_rad:
        shift = (
            f'azimuth by {(moved["IA"] - model["IA"]) * 1e6:.0f}, elevation by {(moved["IE"] - model["IE"]) * 1e6:.0f}'
        )
        return Check(
            Verdict.ZEROS_MOVED, moved, errors, f'{said}: the zero points have moved, {shift} urad, and are corrected'
        )
    return Check(
        Verdict.NEEDED,
        model,
        errors,
        f'{said}, and new zero points leave {rest * 1e6:.0f}: a new calibration is needed',
    )


def check_stars(stored: StoredPointing, stars: Sequence[StarReport]) -> Check:
    """Judge a stored pointing by the stars of a short calibration.

    Raises
    ------
    StationError
        Fewer than three were measured.
    """
    seen = [one.measurement for one in stars if one.measurement is not None]
    rows = [(m.az_rad, m.el_rad, m.enc_az_rad, m.enc_el_rad) for m in seen]
    return check(stored.model, Observations.from_rows(rows, [str(k) for k in range(len(rows))]))


def corrected(stored: StoredPointing, found: Check, utc: str) -> StoredPointing:
    """The pointing with the zero points that a check has found; as it was if they have not moved."""
    if found.verdict is not Verdict.ZEROS_MOVED:
        return stored
    return stored.model_copy(update={'terms_urad': found.model.to_dict(), 'fitted_utc': utc, 'summary': found.summary})


def drift_rad(old: MountModel, new: MountModel) -> float:
    """RMS angle over the sky, 20 to 80 deg of elevation, between where two models put the line of sight."""
    weight = np.cos(_GRID_EL).ravel()
    az, el = old.apparent(*new.encoder(_GRID_AZ.ravel(), _GRID_EL.ravel()))
    x, y = offset_between(_GRID_AZ.ravel(), _GRID_EL.ravel(), az, el)
    return float(np.sqrt(np.average(x**2 + y**2, weights=weight)))


def _errors(model: MountModel, seen: Observations) -> FloatArray:
    az, el = model.apparent(seen.enc_az_rad, seen.enc_el_rad)
    x, y = offset_between(az, el, seen.az_rad, seen.el_rad)
    return np.hypot(x, y)


def _rms(errors: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))
