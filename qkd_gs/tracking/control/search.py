"""Bayesian search: where to point our beacon so that the satellite detects it soon.

The satellite is somewhere in the plane of time bias and cross-track offset.  A grid of that plane holds the
probability of each orbit error.  A cell that our beam has covered for as long as the satellite needs to answer,
without an answer, loses most of its probability; the beam then moves to where it covers the most of the remaining
probability.  The search runs in this plane and not on the sky, so the pattern stays valid while the range shrinks
and a second of time bias grows from 4 to 16 mrad.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate

from qkd_gs.arrays import FloatArray
from qkd_gs.tracking.control.tuning import Tuning

BIAS_CELLS, CROSS_CELLS = 41, 21
FAR_PROBABILITY = 1e-3  # in cells up to the limits, relative to those within the expected error
NEARNESS = 1e-4  # probability that must be gained for each beam radius of distance from the middle
ELSEWHERE = 1e-9  # relative to the last known position: some 50 s of silence until the search leaves it


class BeaconSearch:
    """Probability of orbit errors, and the aim that follows from it.

    Parameters
    ----------
    tuning : Tuning
        Expected errors, answer time of the satellite.
    limits : tuple of float
        Largest time bias (s) and cross-track offset (m) searched for.
    half_angle_rad : float
        Half of our beacon's full divergence.
    centre : tuple of float
        Time bias (s) and cross-track offset (m) to search around.
    found_before : bool
        The satellite was tracked at the centre before: search elsewhere only after long silence.
    """

    def __init__(
        self,
        tuning: Tuning,
        limits: tuple[float, float],
        half_angle_rad: float,
        centre: tuple[float, float] = (0.0, 0.0),
        found_before: bool = False,
    ):
        self._tuning = tuning
        self._radius = tuning.footprint * half_angle_rad
        self._dwell_s = tuning.light_delay_s + tuning.notice_s
        flat_s, flat_m = tuning.expected_bias_s, tuning.expected_cross_m
        # the middle cell is the centre itself, where the search starts
        self.bias_s: FloatArray = centre[0] + np.linspace(-limits[0], limits[0], BIAS_CELLS)
        self.cross_m: FloatArray = centre[1] + np.linspace(-limits[1], limits[1], CROSS_CELLS)
        along = np.maximum(np.abs(self.bias_s - centre[0]) / flat_s - 1, 0)[:, None] / 0.5
        across = np.maximum(np.abs(self.cross_m - centre[1]) / flat_m - 1, 0)[None, :] / 0.5
        probability = np.exp(-0.5 * (along**2 + across**2)) + FAR_PROBABILITY
        if found_before:
            probability *= ELSEWHERE
            probability[BIAS_CELLS // 2, CROSS_CELLS // 2] = 1.0
        self.probability: FloatArray = probability / probability.sum()
        self._covered_s: FloatArray = np.zeros_like(self.probability)
        self.aim = centre
        self._middle = centre
        self._dwelt_s = 0.0

    def step(self, dt_s: float, beam: tuple[float, float], jacobian: FloatArray, hold: bool) -> tuple[float, float]:
        """Aim (time bias s, cross-track m) after `dt_s` more without a detection.

        Parameters
        ----------
        dt_s : float
            Time since the last step.
        beam : tuple of float
            Position of our beam in the plane (from the axes), or NaN if it was off.
        jacobian : ndarray, shape (2, 2)
            Shift of the apparent direction in x, y (rad) per second and per metre.
        hold : bool
            There is a candidate: do not move on.
        """
        metric = jacobian.T @ jacobian
        covered = self._distance2(beam, metric) <= self._radius**2
        self._covered_s = np.where(covered, self._covered_s + dt_s, 0.0)
        silent = self._covered_s >= self._dwell_s
        if np.any(silent) and not hold:
            self.probability = np.where(silent, self.probability * self._tuning.miss_factor, self.probability)
            self.probability = self.probability / self.probability.sum()
            self._covered_s = np.where(silent, 0.0, self._covered_s)
        self._dwelt_s += dt_s
        # the satellite needs this long to answer
        if self._dwelt_s >= self._dwell_s + 0.3 and not hold:
            self._dwelt_s = 0.0
            self.aim = self._best(metric)
        return self.aim

    def _distance2(self, place: tuple[float, float], metric: FloatArray) -> FloatArray:
        along = (self.bias_s - place[0])[:, None]
        across = (self.cross_m - place[1])[None, :]
        distance2: FloatArray = metric[0, 0] * along**2 + 2 * metric[0, 1] * along * across + metric[1, 1] * across**2
        return distance2

    def _best(self, metric: FloatArray) -> tuple[float, float]:
        """Cell around which the beam covers most probability; of nearly equal ones the closest to the middle."""
        centre = (float(self.bias_s[BIAS_CELLS // 2]), float(self.cross_m[CROSS_CELLS // 2]))
        footprint = (self._distance2(centre, metric) <= self._radius**2).astype(np.float64)
        gain = correlate(self.probability, footprint, mode='constant')
        gain = gain - NEARNESS * self._distance2(self._middle, metric) / self._radius**2
        i, j = np.unravel_index(int(np.argmax(gain)), gain.shape)
        return float(self.bias_s[i]), float(self.cross_m[j])
