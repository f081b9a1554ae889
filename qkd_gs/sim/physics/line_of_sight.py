"""Line of sight while the axes move, and position of the satellite relative to it, in one compiled loop."""

from __future__ import annotations

from qkd_gs.jit import njit
from qkd_gs.pointing.sky_offsets import offset
from qkd_gs.sim.physics.state_history import Column
from qkd_gs.sim.physics.true_camera import turned

_AZ, _EL, _ROLL, _X, _Y = (int(column) for column in (Column.AZ, Column.EL, Column.ROLL, Column.X, Column.Y))


@njit(cache=True)
def trace_line_of_sight(axes, axes_before, before, after, target_az, target_el, rows, miss):  # type: ignore[no-untyped-def]
    """Line of sight for axis angles: exact at the end, its difference from the axes interpolated linearly before.

    Parameters
    ----------
    axes : (n, 2) array
        True axis angles behind each sample.
    axes_before : (float, float)
        The same before the first.
    before, after : (float, float, float)
        Apparent direction (az, el) and roll of the line of sight before the first sample and behind the last.
    target_az, target_el : (n,) array
        Apparent direction of the satellite; NaN if there is none.
    rows : (columns, n) array
        Filled: `Column` AZ, EL, ROLL, X and Y.
    miss : (2, n) array
        Filled: line of sight minus target, cross-elevation and elevation.
    """
    n = axes.shape[0]
    az_first, el_first = before[0] - axes_before[0], before[1] - axes_before[1]
    az_change = after[0] - axes[n - 1, 0] - az_first
    el_change = after[1] - axes[n - 1, 1] - el_first
    for i in range(n):
        share = (i + 1) / n
        az = axes[i, 0] + az_first + az_change * share
        el = axes[i, 1] + el_first + el_change * share
        roll = before[2] + (after[2] - before[2]) * share
        x, y = offset(az, el, target_az[i], target_el[i])
        rows[_AZ, i], rows[_EL, i], rows[_ROLL, i] = az, el, roll
        rows[_X, i], rows[_Y, i] = turned(x, y, roll)
        miss[0, i], miss[1, i] = -x, -y
