"""The pointing model of a mount from stars that were measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from qkd_gs.calibration.fit import PointingFit, fit_mount
from qkd_gs.calibration.observations import Observations, load_observations
from qkd_gs.errors import StationError
from qkd_gs.pointing.mount_model import MountModel


def fit_pointing(
    observations: Observations | ArrayLike | str | Path,
    terms: Sequence[str] | None = None,
    base: MountModel | None = None,
) -> PointingFit:
    """Fit the pointing model of an alt-azimuth mount to measured stars.

    Parameters
    ----------
    observations : Observations, (n, 4) array_like, str or Path
        Apparent azimuth and elevation, azimuth and elevation of the encoders, a star a row, in radians; or a CSV file
        with the columns ``az_deg``, ``el_deg``, ``enc_az_deg``, ``enc_el_deg`` in degrees.  Azimuth from true north
        through east; encoders may carry any zero point and any number of turns.
    terms : sequence of str, optional
        Terms to fit, e.g. ``['AN', 'AW', 'CA']`` (see `MountModel`); not given: all that these stars determine.
    base : MountModel, optional
        Values of the terms that are not fitted; zero if not given.

    Returns
    -------
    PointingFit
        Among others ``model``, ``sigma_rad`` (standard error by term), ``rms_rad`` and ``heldout_rms_rad``
        (two-dimensional radial RMS on the sky) and ``rejected`` (stars that disagree with the others).

    Raises
    ------
    StationError
        No stars, values that are not finite, unknown terms, or terms that these stars cannot separate.

    Examples
    --------
    >>> import numpy as np, qkd_gs
    >>> az, el = np.meshgrid(np.radians([10, 100, 190, 280]), np.radians([30, 50, 70]))
    >>> truth = qkd_gs.MountModel(IA=0.1, IE=-0.02, AN=2e-3, AW=-1e-3)
    >>> enc_az, enc_el = truth.encoder(az.ravel(), el.ravel())
    >>> fit = qkd_gs.fit_pointing(np.column_stack([az.ravel(), el.ravel(), enc_az, enc_el]))
    >>> bool(fit.rms_rad < 1e-9)
    True
    >>> round(fit.model['AN'] * 1e6)
    2000
    """
    if isinstance(observations, str | Path):
        return fit_mount(load_observations(observations), terms, base)
    if isinstance(observations, Observations):
        return fit_mount(observations, terms, base)
    rows = np.asarray(observations, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != 4:
        raise StationError(
            f'shape {rows.shape} is not (n, 4)', where='observations', hint='columns: az, el, enc_az, enc_el in rad'
        )
    if not np.isfinite(rows).all():
        bad = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise StationError('a value is not finite', where=f'observations, row {bad}')
    az, el, enc_az, enc_el = rows.T
    labels = tuple(f'row {number}' for number in range(len(rows)))
    return fit_mount(Observations(az, el, enc_az, enc_el, labels), terms, base)
