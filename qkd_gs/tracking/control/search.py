"""Where to point our own beacon so that the satellite sees it soon: a search by belief.

The satellite is somewhere in the plane of time bias and cross-track offset.  Belief is spread over a grid of that
plane; every place that our beam has covered for as long as the satellite needs to answer, without an answer, loses
most of its belief, and the beam goes where it covers the most of what is left.  Since the plane, not the sky, is
searched, the pattern keeps its sense while the range shrinks and a second of time bias grows from 4 to 16 mrad.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate

from qkd_gs.arrays import FloatArray
from qkd_gs.tracking.control.tuning import Tuning

BIAS_CELLS, CROSS_CELLS = 41, 21
FAR_BELIEF = 1e-3  # in places up to the limits, against those within the expected error
NEARNESS = 1e-4  # belief that a beam's radius of distance from the middle must be worth
ELSEWHERE = 1e-9  # than where it was held before: some 50 s of silence until it is believed to have gone


class BeaconSearch:
    """Belief over orbit errors, and the aim that follows from it.

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
        The satellite was already held at the centre: look elsewhere only after long silence.
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
        # the middle cell is the centre itself, where the first look goes
        self.bias_s: FloatArray = centre[0] + np.linspace(-limits[0], limits[0], BIAS_CELLS)
        self.cross_m: FloatArray = centre[1] + np.linspace(-limits[1], limits[1], CROSS_CELLS)
        along = np.maximum(np.abs(self.bias_s - centre[0]) / flat_s - 1, 0)[:, None] / 0.5
        across = np.maximum(np.abs(self.cross_m - centre[1]) / flat_m - 1, 0)[None, :] / 0.5
        belief = np.exp(-0.5 * (along**2 + across**2)) + FAR_BELIEF
        if found_before:
            belief *= ELSEWHERE
            belief[BIAS_CELLS // 2, CROSS_CELLS // 2] = 1.0
        self.belief: FloatArray = belief / belief.sum()
        self._covered_s: FloatArray = np.zeros_like(self.belief)
        self.aim = centre
        self._middle = centre
        self._dwelt_s = 0.0

    def step(self, dt_s: float, looked: tuple[float, float], jacobian: FloatArray, hold: bool) -> tuple[float, float]:
        """Aim (time bias s, cross-track m) after `dt_s` more of nothing to be seen.

        Parameters
        ----------
        dt_s : float
            Time since the last step.
        looked : tuple of float
            Where in the plane our beam really was (from the axes), or NaN if it was dark.
        jacobian : ndarray, shape (2, 2)
            Shift of the apparent place in x, y (rad) per second and per metre.
        hold : bool
            Something was seen and is being looked at: stay.
        """
        metric = jacobian.T @ jacobian
        covered = self._distance2(looked, metric) <= self._radius**2
        self._covered_s = np.where(covered, self._covered_s + dt_s, 0.0)
        silent = self._covered_s >= self._dwell_s
        if np.any(silent) and not hold:
            self.belief = np.where(silent, self.belief * self._tuning.miss_factor, self.belief)
            self.belief = self.belief / self.belief.sum()
            self._covered_s = np.where(silent, 0.0, self._covered_s)
        self._dwelt_s += dt_s
        # a look shorter than the satellite's answer is no look
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
        """Cell around which the beam covers most belief; of near equals the one closest to the middle."""
        centre = (float(self.bias_s[BIAS_CELLS // 2]), float(self.cross_m[CROSS_CELLS // 2]))
        beam = (self._distance2(centre, metric) <= self._radius**2).astype(np.float64)
        gain = correlate(self.belief, beam, mode='constant')
        gain = gain - NEARNESS * self._distance2(self._middle, metric) / self._radius**2
        i, j = np.unravel_index(int(np.argmax(gain)), gain.shape)
        return float(self.bias_s[i]), float(self.cross_m[j])
