"""Axes whose encoder counts against the convention: recognized from the stars, before a model is fitted to them."""

from __future__ import annotations

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.calibration.observations import Observations
from qkd_gs.errors import StationError

_FEWEST = 4
_ALIGNED = 0.02  # 1 - |mean of exp(i d)| of differences that agree: about 11 deg of scatter
_BETTER = 10.0  # times the scatter of the other sense


def require_sense(seen: Observations) -> None:
    """Raise StationError if an encoder falls where the direction grows.

    Azimuth runs from north through east and elevation from the horizon up, with any zero point: then encoder minus
    direction is nearly the same for all stars. If encoder plus direction is instead, the axis counts backwards.
    """
    if len(seen) < _FEWEST:
        return
    axes = (
        ('azimuth', 'enc_az_deg', seen.az_rad, seen.enc_az_rad, 'from north through east'),
        ('elevation', 'enc_el_deg', seen.el_rad, seen.enc_el_rad, 'from the horizon up'),
    )
    for axis, column, direction, encoder, convention in axes:
        forward, backward = _scatter(encoder - direction), _scatter(encoder + direction)
        if backward < _ALIGNED and forward > _BETTER * backward:
            raise StationError(
                f'{column} counts backwards: it falls where the {axis} grows',
                hint=f'{axis} runs {convention}: reverse the encoder in the driver, or the sign of the column',
            )


def _scatter(angle_rad: FloatArray) -> float:
    """One minus the length of the mean direction: 0 if all angles are the same, whatever the turn."""
    return 1 - float(np.abs(np.exp(1j * angle_rad).mean()))
