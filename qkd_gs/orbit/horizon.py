"""The site's own horizon: what trees and buildings hide of a pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.orbit.vectors import azel_from_enu
from qkd_gs.settings.site import Site

if TYPE_CHECKING:
    from qkd_gs.orbit.passes import Pass
    from qkd_gs.orbit.search.arcs import View

_STEP_S = 1.0


def horizon_rad(site: Site, az_rad: FloatArray) -> FloatArray:
    """Elevation of the site's horizon at azimuths, rad: straight between its corners, all around."""
    az_deg, el_deg = np.array(sorted(site.horizon)).T
    return np.asarray(np.radians(np.interp(np.degrees(az_rad), az_deg, el_deg, period=360.0)))


def behind_horizon(one: Pass, view: View, site: Site) -> Pass:
    """A pass with its rise and set at the site's horizon, and a remark on how long it is hidden in between."""
    first_s, last_s = ((t_ns - view.table.first_ns) * 1e-9 for t_ns in (one.rise_ns, one.set_ns))
    t_s = np.linspace(first_s, last_s, max(int((last_s - first_s) / _STEP_S), 2) + 1)
    az, el = azel_from_enu(view.enu_m(t_s))
    clear = el - horizon_rad(site, az)
    free = np.flatnonzero(clear > 0)
    if not free.size:
        return one._replace(remarks=(*one.remarks, 'hidden by the horizon of the site'))
    edges_s = [float(t_s[free[0]]), float(t_s[free[-1]])]
    if free[0] > 0:
        edges_s[0] = _zero(t_s, clear, int(free[0]) - 1)
    if free[-1] < len(t_s) - 1:
        edges_s[1] = _zero(t_s, clear, int(free[-1]))
    rise_ns, set_ns = (int(t) for t in view.table.t_ns(np.array(edges_s)))
    edge_az, _ = azel_from_enu(view.enu_m(np.array(edges_s)))
    hidden_s = float(np.count_nonzero(clear[free[0] : free[-1]] <= 0) * (t_s[1] - t_s[0]))
    remarks = one.remarks
    if hidden_s:
        remarks = (*remarks, f'hidden by the horizon of the site for {hidden_s:.0f} s')
    if not rise_ns <= one.culmination_ns <= set_ns:
        remarks = (*remarks, 'culminates behind the horizon of the site')
    return one._replace(
        rise_ns=rise_ns,
        set_ns=set_ns,
        rise_az_deg=float(np.degrees(edge_az[0])),
        set_az_deg=float(np.degrees(edge_az[1])),
        remarks=remarks,
    )


def _zero(t_s: FloatArray, clear: FloatArray, k: int) -> float:
    """Zero of a line through two samples."""
    return float(t_s[k] - clear[k] * (t_s[k + 1] - t_s[k]) / (clear[k + 1] - clear[k]))
