"""Plan the gap at the zenith again, for the orbit error that tracking has found.

The first plan follows the elements.  An error of 1 km across the track moves a zenith pass by 2 mrad on the sky, and
its azimuth near the zenith by tens of degrees: a path planned for the elements would not end on the track.
"""

from __future__ import annotations

from dataclasses import replace
from math import pi, radians

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.plan import STEP_NS, TRAVEL_MARGIN_RAD, PassPlan, Track, keyhole_paths, take_paths
from qkd_gs.settings.station import AxisSettings, MountSettings

STEEP_RAD = radians(80.0)  # passes that stay below need no gap on any mount that tracks at all
_HALF_NS = 32_000_000_000  # planned again on either side of the highest point


def replan_gaps(
    plan: PassPlan,
    track: Track,
    model: MountModel,
    mount: MountSettings,
    time_bias_s: float,
    cross_track_m: float,
) -> PassPlan:
    """The plan with the part about its highest point planned again; the rest and the azimuth turn there stay.

    Parameters
    ----------
    time_bias_s, cross_track_m : float
        Place at which the satellite was found against its elements.

    Returns
    -------
    PassPlan
        Its times are those of the elements as before: the satellite passes them `time_bias_s` earlier.

    Raises
    ------
    StationError
        An axis cannot return to the track.
    """
    middle = (plan.highest_ns - plan.start_ns) // STEP_NS
    low = max(middle - _HALF_NS // STEP_NS, 0)
    high = min(middle + _HALF_NS // STEP_NS, len(plan.az_path) - 1)
    steps = np.arange(low, high + 1)
    t_ns = plan.start_ns + steps * STEP_NS - round(time_bias_s * 1e9)
    target = track.table(t_ns, time_bias_s, cross_track_m)
    motion = model.encoder_command(target)
    az, rest = _on_turns(motion.az_rad, int(np.argmax(motion.el_rad)), plan.az_path, low, high, mount.azimuth)
    t_s: FloatArray = (steps * (STEP_NS * 1e-9)).astype(np.float64)
    az_paths, el_paths = keyhole_paths(plan.start_ns, t_s, az, motion, np.cos(target.el_rad), mount)
    take_paths(t_s, az, az_paths)
    return replace(
        plan,
        azimuth_keyholes=tuple(az_paths),
        elevation_keyholes=tuple(el_paths),
        az_path=np.concatenate([plan.az_path[:low], az, rest]),
    )


def _on_turns(
    az_rad: FloatArray, highest: int, planned: FloatArray, low: int, high: int, axis: AxisSettings
) -> tuple[FloatArray, FloatArray]:
    """Azimuth from sample `low` to `high` on the planned turn, and the rest of the path after it.

    A satellite that passes the zenith on its other side leaves in the same direction by the other way around, one
    turn apart.  If that turn is outside the travel, the axis goes the planned way around, within the gap.
    """
    az = np.unwrap(az_rad)
    az = az + 2 * pi * np.rint((planned[low] - az[0]) / (2 * pi))
    turn = 2 * pi * np.rint((az[-1] - planned[high]) / (2 * pi))
    rest = planned[high + 1 :] + turn
    after = np.concatenate([az[highest:], rest])
    bottom, top = radians(axis.min_deg) + TRAVEL_MARGIN_RAD, radians(axis.max_deg) - TRAVEL_MARGIN_RAD
    if turn and (after.min() < bottom or after.max() > top):
        az[highest + 1 :] -= turn
        rest = planned[high + 1 :]
    return az, rest
