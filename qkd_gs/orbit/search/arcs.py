"""Search for the intervals in which a satellite is above an elevation, for the list of passes."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.orbit.propagate import Orbit
from qkd_gs.orbit.search import interval_kernels
from qkd_gs.orbit.search.detail_kernels import details
from qkd_gs.orbit.search.path_kernels import ROWS, Nodes, polynomials, sights
from qkd_gs.orbit.vectors import enu_rotation, site_itrs_m
from qkd_gs.settings.site import Site

_STEPS_A_REVOLUTION = 10  # of a low orbit: positions between the nodes err by less than 0.5 m
_LONGEST_STEP_S = 600.0  # a high satellite's elevation follows the Earth's rotation
_STEP_GRID_S = 30.0  # satellites of similar periods share their times
_FEWEST_STEPS = ROWS - 1


class Arcs(NamedTuple):
    """Intervals above an elevation, in the order of time."""

    times_s: FloatArray  # (n, 3) rise, culmination, set; s of the table
    no_rise: IntArray  # (n,) whether the satellite is up where the search begins
    no_set: IntArray  # (n,) and where it ends


class Place(NamedTuple):
    """A site, with what is computed from it once."""

    site: Site
    itrs_m: FloatArray  # (3,)
    enu: FloatArray  # (3, 3) from Earth-fixed to east, north, up

    @staticmethod
    def of(site: Site) -> Place:
        """The place of a site."""
        return Place(site, site_itrs_m(site), enu_rotation(site))


class PathTable:
    """The path of a satellite over a window of time, tabulated once for all sites.

    Attributes
    ----------
    first_ns : int
        UTC of time 0 of everything in seconds.
    last_s : float
        End of the window.
    """

    def __init__(self, orbit: Orbit, first_ns: int, last_ns: int):
        self.first_ns = first_ns
        self.last_s = (last_ns - first_ns) * 1e-9
        wanted_s = min(orbit.fastest_s() / _STEPS_A_REVOLUTION, _LONGEST_STEP_S)
        if wanted_s > _STEP_GRID_S:
            wanted_s -= wanted_s % _STEP_GRID_S
        steps = max(ceil(self.last_s / wanted_s), _FEWEST_STEPS)
        self.step_s = self.last_s / steps
        self.position_m, self.velocity_m_s = orbit.path(first_ns, self.step_s, steps + 1)
        self.path = polynomials(self.position_m, self.velocity_m_s, self.step_s)
        self.radius_m = np.sqrt(np.einsum('ij,ij->j', self.position_m, self.position_m))

    def seen_from(self, place: Place) -> View:
        """The path as a site sees it."""
        return View(self, place)

    def t_ns(self, t_s: FloatArray) -> IntArray:
        """UTC, ns, of s of the table; any shape."""
        return self.first_ns + np.rint(t_s * 1e9).astype(np.int64)


class View:
    """A path seen from a site."""

    def __init__(self, table: PathTable, place: Place):
        self.table = table
        self.place = place
        self._nodes = Nodes(
            step=table.step_s,
            r=table.position_m,
            v=table.velocity_m_s,
            radius=table.radius_m,
            site=place.itrs_m,
            enu=place.enu,
            path=table.path,
        )

    def arcs(self, low: float, span_s: tuple[float, float], running: bool = False) -> Arcs:
        """Intervals above the sine `low` of elevation that culminate in the span, with `running` or began before it.

        The search covers the whole table; an interval that extends beyond it is cut to the span, and listed wherever it
        culminates.
        """
        times, bits = interval_kernels.find(self._nodes, low)
        no_rise, no_set = (bits & interval_kernels.NO_RISE) > 0, (bits & interval_kernels.NO_SET) > 0
        times[no_rise, 0], times[no_set, 2] = span_s
        cut = no_rise | no_set
        begun = (times[:, 2] > span_s[0]) if running else (times[:, 1] >= span_s[0])
        keep = np.where(cut, times[:, 2] > times[:, 0], begun & (times[:, 1] < span_s[1]))
        times, no_rise, no_set = times[keep], no_rise[keep], no_set[keep]
        for k in np.flatnonzero(no_rise | no_set):
            times[k, 1] = interval_kernels.highest(times[k, 0], times[k, 2], self._nodes)
        return Arcs(times, no_rise, no_set)

    def details(self, times_s: FloatArray, bodies_m: FloatArray) -> FloatArray:
        """Table (n, columns) of `detail_kernels.details` for intervals (n, 3); places of Sun and Moon (n, 2, 3)."""
        table: FloatArray = details(times_s, bodies_m, self._nodes)
        return table

    def crossings(self, times_s: FloatArray, lows: FloatArray) -> FloatArray:
        """Times (n, m, 2) at which intervals (n, 3) pass the sines `lows` (m,) of elevation upwards and downwards."""
        times: FloatArray = interval_kernels.crossings(times_s, lows, self._nodes)
        return times

    def enu_m(self, t_s: FloatArray) -> FloatArray:
        """East-north-up vectors (n, 3), m, at s of the table (n,)."""
        vectors = np.empty((len(t_s), 3))
        sights(t_s, self._nodes, vectors)
        return vectors
