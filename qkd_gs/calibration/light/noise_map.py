"""Map of the noise over azimuth and elevation, with each detector's share, and the dark counts.

The receiver sees night sky, city light and scattered moonlight; with the shutter closed its detectors count by
themselves.  Between the measured directions the rate is interpolated: its logarithm in elevation and in azimuth, since
city light falls exponentially with elevation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import degrees, pi
from typing import Any

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.calibration.light.readings import DARK, SKY, LightReading
from qkd_gs.errors import StationError

AZIMUTHS_DEG = tuple(range(0, 360, 45))
ELEVATIONS_DEG = (15.0, 20.0, 25.0, 30.0, 45.0, 70.0)
_SAME_RAD = 0.02  # two readings of one row of the grid
_LEAST_CPS = 1.0  # of a detector: of less the logarithm means nothing
_UNEVEN = 3.0  # one detector's dark counts over the mean of the others'


@dataclass(frozen=True)
class NoiseMap:
    """Noise rates of H, V, D, A on a grid.

    Attributes
    ----------
    az_rad, el_rad : (n,), (m,) float64
        Rows of the grid.
    rate_cps : (n, m, 4) float64
        NaN where nothing was measured.
    dark_cps : (4,) float64
        With the shutter closed; NaN: not measured.
    """

    az_rad: FloatArray
    el_rad: FloatArray
    rate_cps: FloatArray
    dark_cps: FloatArray
    summary: str  # one sentence

    def at(self, az_rad: FloatArray, el_rad: FloatArray) -> FloatArray:
        """Rates of the four detectors towards directions (k,), as (k, 4); below and above the grid as at its edge."""
        logs = np.log(np.maximum(_filled(self.rate_cps), _LEAST_CPS))
        rows = np.concatenate([self.az_rad, self.az_rad[:1] + 2 * pi])
        logs = np.concatenate([logs, logs[:1]])
        az = self.az_rad[0] + np.mod(np.asarray(az_rad) - self.az_rad[0], 2 * pi)
        el = np.clip(el_rad, self.el_rad[0], self.el_rad[-1])
        i, across = _between(rows, az)
        j, up = _between(self.el_rad, el)
        low = logs[i, j] * (1 - up) + logs[i, j + 1] * up
        high = logs[i + 1, j] * (1 - up) + logs[i + 1, j + 1] * up
        return np.asarray(np.exp(low * (1 - across) + high * across))

    def to_dict(self) -> dict[str, Any]:
        """The map for JSON; rates in the order az, el, detector."""
        whole = [[[round(float(x), 2) for x in cell] for cell in row] for row in _filled(self.rate_cps)]
        dark = [round(float(x), 2) if np.isfinite(x) else None for x in self.dark_cps]
        return {
            'az_deg': np.degrees(self.az_rad).round(3).tolist(),
            'el_deg': np.degrees(self.el_rad).round(3).tolist(),
            'rate_cps': whole,
            'dark_cps': dict(zip('HVDA', dark, strict=True)),
            'summary': self.summary,
        }


def noise_map(readings: Sequence[LightReading], dead_time_ns: float) -> NoiseMap:
    """Map from readings of the empty sky on a grid, and of the dark.

    Raises
    ------
    StationError
        Fewer than two elevations or azimuths, or half of the grid is missing.
    """
    sky = [one for one in readings if one.target == SKY]
    dark = [one for one in readings if one.target == DARK]
    az = _rows([one.az_rad % (2 * pi) for one in sky])
    el = _rows([one.el_rad for one in sky])
    if len(az) < 2 or len(el) < 2:
        raise StationError(
            f'{len(az)} azimuths and {len(el)} elevations of the sky make no map', hint='measure two of each or more'
        )
    seconds, counts = np.zeros((len(az), len(el))), np.zeros((len(az), len(el), 4))
    for one in sky:
        place = int(np.argmin(np.abs(az - one.az_rad % (2 * pi)))), int(np.argmin(np.abs(el - one.el_rad)))
        seconds[place] += one.seconds
        counts[place] += one.true_rates(dead_time_ns) * one.seconds
    with np.errstate(invalid='ignore', divide='ignore'):
        rates = counts / seconds[..., None]
    if np.isnan(rates[..., 0]).mean() > 0.5:
        raise StationError('more than half of the grid was not measured', hint='measure the rest')
    whole_s = sum(one.seconds for one in dark)
    dark_cps = sum((np.array(one.counts, float) for one in dark), np.zeros(4)) / whole_s if dark else np.full(4, np.nan)
    return NoiseMap(az, el, rates, np.asarray(dark_cps), _said(az, el, rates, dark_cps))


def _said(az: FloatArray, el: FloatArray, rates: FloatArray, dark: FloatArray) -> str:
    total = _filled(rates).sum(axis=2)
    i, j = np.unravel_index(int(np.argmax(total)), total.shape)
    said = f'{total[:, -1].mean():.0f} counts/s at {degrees(el[-1]):.0f} deg, '
    said += f'{total[:, 0].mean():.0f} at {degrees(el[0]):.0f} deg; most, {total[i, j]:.0f}, '
    said += f'at azimuth {degrees(az[i]):.0f}, elevation {degrees(el[j]):.0f} deg'
    if not np.isfinite(dark).all():
        return f'{said}; dark counts not measured'
    return f'{said}; {dark_said(dark)}'


def dark_said(dark: FloatArray) -> str:
    """Dark counts a second (4,) in words, with a detector that counts far more than the others."""
    said = f'dark {dark.sum():.0f}'
    for k, name in enumerate('HVDA'):
        others = np.delete(dark, k).mean()
        if dark[k] > _UNEVEN * max(others, 1.0):
            said += f'; detector {name} counts {dark[k] / max(others, 1.0):.0f} times as much in the dark as the others'
    return said


def _rows(values: Sequence[float]) -> FloatArray:
    """Distinct values, ascending."""
    rows: list[float] = []
    for value in sorted(values):
        if not rows or value - rows[-1] > _SAME_RAD:
            rows.append(value)
    return np.array(rows)


def _filled(rates: FloatArray) -> FloatArray:
    """Cells that were not measured get the mean of their elevation, or of the nearest one that has any."""
    filled, measured = rates.copy(), ~np.isnan(rates[..., 0])
    elevations = np.flatnonzero(measured.any(axis=0))
    for j in range(rates.shape[1]):
        nearest = int(elevations[np.argmin(np.abs(elevations - j))])
        filled[~measured[:, j], j] = rates[measured[:, nearest], nearest].mean(axis=0)
    return filled


def _between(rows: FloatArray, values: FloatArray) -> tuple[Any, FloatArray]:
    """Index of the row below each value, and how far it is towards the next; the latter as (k, 1)."""
    index = np.clip(np.searchsorted(rows, values, side='right') - 1, 0, len(rows) - 2)
    part = (values - rows[index]) / (rows[index + 1] - rows[index])
    return index, np.clip(part, 0, 1)[:, None]
