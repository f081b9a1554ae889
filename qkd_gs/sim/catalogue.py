"""Bright stars of a catalogue in the twin's sky, where they truly appear."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qkd_gs.pointing.sphere import separation
from qkd_gs.pointing.stars import Star, star_azel
from qkd_gs.settings.site import Site
from qkd_gs.sim.starfield import StarsInView

Floats = NDArray[np.float64]

_STEP_NS = 8_000_000_000  # places are exact that often, linear in between: 0.1 urad up to 75 deg


class CatalogueStars:
    """Named stars; to be laid over the random field."""

    def __init__(self, stars: Sequence[Star], site: Site) -> None:
        order = sorted(stars, key=lambda star: star.mag)
        self._stars, self._site = order, site
        self._magnitude = np.array([star.mag for star in order])
        self._step: int | None = None
        self._before: tuple[Floats, Floats] = np.empty(0), np.empty(0)
        self._after = self._before

    def near(self, t_ns: int, az_rad: float, el_rad: float, radius_rad: float, faintest_mag: float) -> StarsInView:
        """Stars within a cone about an apparent direction, down to a magnitude."""
        self._look_up(t_ns // _STEP_NS)
        since, seconds = (t_ns % _STEP_NS) / _STEP_NS, _STEP_NS * 1e-9
        turn = np.remainder(self._after[0] - self._before[0] + np.pi, 2 * np.pi) - np.pi
        rise = self._after[1] - self._before[1]
        az, el = self._before[0] + turn * since, self._before[1] + rise * since
        level = np.flatnonzero((np.abs(el - el_rad) < radius_rad) & (self._magnitude <= faintest_mag))
        here = np.full(len(level), az_rad), np.full(len(level), el_rad)
        inside = level[separation(*here, az[level], el[level]) < radius_rad]
        return StarsInView(
            az[inside], el[inside], turn[inside] / seconds, rise[inside] / seconds, self._magnitude[inside]
        )

    def _look_up(self, step: int) -> None:
        if step == self._step:
            return
        forward = self._step is not None and step == self._step + 1
        self._before = self._after if forward else star_azel(self._stars, self._site, step * _STEP_NS)
        self._after = star_azel(self._stars, self._site, (step + 1) * _STEP_NS)
        self._step = step
