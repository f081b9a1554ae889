"""Piecewise polynomials through the rows of an ephemeris: Lagrange, or Hermite where there are velocities."""

from __future__ import annotations

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray


class Interpolator:
    """Polynomial through the nearest rows, with as many on either side as there are.

    Parameters
    ----------
    t_s : (n,) array
        Times of the rows, s, ascending.
    y : (n, 3) array
        Values.
    slope : (n, 3) array, optional
        Their derivatives: given, the polynomial takes them too (Hermite).
    rows : int
        Number of rows that one polynomial goes through, 2 to n.
    """

    def __init__(self, t_s: FloatArray, y: FloatArray, slope: FloatArray | None, rows: int):
        self._rows = rows
        self._t_s = t_s
        self._scale_s = float(t_s[-1] - t_s[0]) / (len(t_s) - 1)
        windows = np.arange(len(t_s) - rows + 1)[:, None] + np.arange(rows)
        self._first_s = t_s[windows[:, 0]]
        x = (t_s[windows] - self._first_s[:, None]) / self._scale_s
        values = y[windows]
        if slope is None:
            self._nodes, self._terms = x, _divided_differences(x, values)
        else:
            self._nodes = np.repeat(x, 2, axis=1)
            self._terms = _divided_differences(
                self._nodes, np.repeat(values, 2, axis=1), slope[windows] * self._scale_s
            )

    def __call__(self, t_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values and their derivatives by s, both (m, 3), at times (m,)."""
        k = self._window(t_s)
        x = (t_s - self._first_s[k]) / self._scale_s
        nodes, terms = self._nodes[k], self._terms[k]
        value = terms[:, -1]
        slope = np.zeros_like(value)
        for j in range(terms.shape[1] - 2, -1, -1):
            step = (x - nodes[:, j])[:, None]
            slope = value + slope * step
            value = terms[:, j] + value * step
        return value, slope / self._scale_s

    def _window(self, t_s: FloatArray) -> IntArray:
        """Index of the polynomial for each time: the one whose rows surround it."""
        before = np.searchsorted(self._t_s, t_s, side='right') - 1
        return np.clip(before - (self._rows - 1) // 2, 0, len(self._first_s) - 1)


def _divided_differences(nodes: FloatArray, values: FloatArray, slope: FloatArray | None = None) -> FloatArray:
    """Newton coefficients (m, k, 3) of polynomials through (m, k) nodes; pairs of equal nodes take the slope."""
    terms = values.copy()
    count = nodes.shape[1]
    for order in range(1, count):
        apart = nodes[:, order:] - nodes[:, :-order]
        upper, lower = terms[:, order:], terms[:, order - 1 : -1]
        if order == 1 and slope is not None:
            apart = apart.copy()
            apart[:, ::2] = 1.0
            change = upper - lower
            change[:, ::2] = slope
        else:
            change = upper - lower
        terms[:, order:] = change / apart[..., None]
    return terms


def errors_between(t_s: FloatArray, y: FloatArray, slope: FloatArray | None, rows: int) -> FloatArray:
    """Estimated error (n - 1,) in the middle of each interval: the difference to a polynomial through one row more.

    Where there are no more rows it is the difference to one through a row less, which overestimates the error.
    """
    middle = (t_s[:-1] + t_s[1:]) / 2
    here, _ = Interpolator(t_s, y, slope, rows)(middle)
    other = rows + 1 if rows < len(t_s) else rows - 1
    there, _ = Interpolator(t_s, y, slope, other)(middle)
    return np.asarray(np.linalg.norm(here - there, axis=1))
