"""Plan of a whole pass: azimuth turn, limits of both axes, keyhole avoidance, the Sun."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import degrees, pi, radians
from typing import Any, Protocol

import numpy as np

from qkd_gs.arrays import BoolArray, FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.target import TargetState
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.pointing.keyhole import KeyholePath, find_keyhole_paths
from qkd_gs.pointing.mount_model import AxisMotion, MountModel
from qkd_gs.pointing.sun_path import SunPlace, nearest_sun_of_pass
from qkd_gs.settings.station import AxisSettings, MountSettings

STEP_NS = 20_000_000
_HEADROOM = 0.95  # share of the mount's rate and acceleration that a track may use; the rest is the controller's
TRAVEL_MARGIN_RAD = radians(1.0)  # kept free at the ends of travel
EITHER_WAY_RAD = radians(89.0)  # above, the axis leaves the track anyway and may turn either way around the zenith
_LONGEST_GAP_S = 30.0


class Track(Protocol):
    """The part of a trajectory that a plan uses."""

    def table(self, t_ns: IntArray, time_bias_s: float = 0.0, cross_track_m: float = 0.0) -> TargetState[FloatArray]:
        """Apparent states at times (n,)."""
        ...


@dataclass(frozen=True)
class PassPlan:
    """A pass that the mount can track; times are those of the elements, see `time_bias_s` of the methods."""

    start_ns: int
    end_ns: int
    azimuth_turns_rad: float  # whole turns added to the model's encoder azimuth at the start of the pass
    azimuth_keyholes: tuple[KeyholePath, ...]  # seconds since start_ns
    elevation_keyholes: tuple[KeyholePath, ...]
    max_az_rate_rad_s: float  # of the track, gaps apart
    max_az_acc_rad_s2: float
    nearest_sun_rad: float  # pi if no Sun was given
    az_path: FloatArray  # encoder azimuth every STEP_NS, turns included
    highest_ns: int  # when the elevation axis is highest
    highest_rad: float  # encoder elevation then
    slew_s: float = 0.0  # from the park position to the start of the pass
    notes: tuple[str, ...] = ()  # for the operator

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """Spans (start_ns, end_ns) in which an axis leaves the track; overlapping ones joined."""
        joined: list[tuple[int, int]] = []
        for path in sorted((*self.azimuth_keyholes, *self.elevation_keyholes), key=lambda b: b.start_s):
            start, end = (self.start_ns + round(s * 1e9) for s in (path.start_s, path.end_s))
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return joined

    def summary(self) -> dict[str, Any]:
        """The plan for the manifest of a session."""
        return {
            'start': format_utc(self.start_ns),
            'end': format_utc(self.end_ns),
            'azimuth_turns': round(self.azimuth_turns_rad / (2 * pi)),
            'max_azimuth_rate_deg_s': round(degrees(self.max_az_rate_rad_s), 3),
            'max_azimuth_acceleration_deg_s2': round(degrees(self.max_az_acc_rad_s2), 3),
            'gaps': [{'start': format_utc(start), 'end': format_utc(end)} for start, end in self.gaps],
            'slew_s': round(self.slew_s, 1),
            'nearest_sun_deg': round(degrees(self.nearest_sun_rad), 1) if self.nearest_sun_rad < pi else None,
            'notes': list(self.notes),
        }

    def command(self, motion: AxisMotion[float], time_bias_s: float = 0.0) -> AxisMotion[float]:
        """The motion to command: on the planned turn of the azimuth axis, and on the keyhole path within a gap.

        Parameters
        ----------
        motion : AxisMotion
            `MountModel.encoder_command` of the target at the time of the command, on any turn.
        time_bias_s : float
            Time by which the satellite is ahead of the elements used for the plan.
        """
        t_s = (motion.at_ns - self.start_ns) * 1e-9 + time_bias_s
        last = len(self.az_path) - 1
        places = min(max(t_s * 1e9 / STEP_NS, 0.0), float(last))
        low = int(places)
        before, after = self.az_path.item(low), self.az_path.item(min(low + 1, last))
        planned = before + (places - low) * (after - before)
        az = motion.az_rad + 2 * pi * round((planned - motion.az_rad) / (2 * pi))
        motion = replace(motion, az_rad=az)
        for path in self.azimuth_keyholes:
            if path.start_s <= t_s <= path.end_s:
                place, rate, acc = path.at(t_s)
                motion = replace(motion, az_rad=place, az_rate_rad_s=rate, az_acc_rad_s2=acc)
        for path in self.elevation_keyholes:
            if path.start_s <= t_s <= path.end_s:
                place, rate, acc = path.at(t_s)
                motion = replace(motion, el_rad=place, el_rate_rad_s=rate, el_acc_rad_s2=acc)
        return motion


def plan_pass(
    track: Track,
    start_ns: int,
    end_ns: int,
    model: MountModel,
    mount: MountSettings,
    sun: SunPlace | None = None,
    sun_exclusion_rad: float = 0.0,
) -> PassPlan:
    """Plan a pass from `start_ns` to `end_ns`.

    Parameters
    ----------
    track : Track
        E.g. `orbit.trajectory.Trajectory`.
    sun : callable, optional
        Apparent place of the Sun; a Sun more than a degree below the horizon does not count.
    sun_exclusion_rad : float
        Smallest angle allowed between the line of sight and the Sun.

    Raises
    ------
    StationError
        The pass leaves the travel of an axis (beginning and end below the elevation axis' reach are cut off, with
        a note), comes too close to the Sun, or has a keyhole that no path avoids.
    """
    t_ns = np.arange(start_ns, end_ns + 1, STEP_NS, dtype=np.int64)
    if len(t_ns) < 2:
        raise StationError(f'the pass ends at {format_utc(end_ns)}, before its start')
    target = track.table(t_ns)
    nearest_sun = nearest_sun_of_pass(target, sun, sun_exclusion_rad) if sun is not None else pi
    motion = model.encoder_command(target)
    reach = _within_travel(motion, mount.elevation)
    if reach != (0, len(t_ns)):
        first, last = (int(t_ns[k]) for k in (reach[0], reach[1] - 1))
        shortened = plan_pass(track, first, last, model, mount, sun, sun_exclusion_rad)
        return replace(shortened, notes=(_shortened(first, last, mount.elevation), *shortened.notes))
    highest = int(np.argmax(motion.el_rad))
    az = np.unwrap(motion.az_rad)
    if _turns(az, mount.azimuth) is None and motion.el_rad[highest] > EITHER_WAY_RAD:
        az[highest + 1 :] -= np.copysign(2 * pi, az[-1] - az[0])
    turns = _choose_turns(az, mount.azimuth, t_ns)
    az = az + turns
    t_s: FloatArray = ((t_ns - start_ns) * 1e-9).astype(np.float64)
    az_paths, el_paths = keyhole_paths(start_ns, t_s, az, motion, np.cos(target.el_rad), mount)
    on_track = take_paths(t_s, az, az_paths)
    return PassPlan(
        start_ns=start_ns,
        end_ns=end_ns,
        azimuth_turns_rad=turns,
        azimuth_keyholes=tuple(az_paths),
        elevation_keyholes=tuple(el_paths),
        max_az_rate_rad_s=float(np.abs(motion.az_rate_rad_s[on_track]).max()),
        max_az_acc_rad_s2=float(np.abs(motion.az_acc_rad_s2[on_track]).max()),
        nearest_sun_rad=nearest_sun,
        az_path=az,
        highest_ns=int(t_ns[highest]),
        highest_rad=float(motion.el_rad[highest]),
    )


def keyhole_paths(
    start_ns: int,
    t_s: FloatArray,
    az: FloatArray,
    motion: AxisMotion[FloatArray],
    cos_el: FloatArray,
    mount: MountSettings,
) -> tuple[list[KeyholePath], list[KeyholePath]]:
    """Keyhole paths of the azimuth and of the elevation axis, in seconds since `start_ns`; arrays are (n,).

    Raises
    ------
    StationError
        An axis cannot return to the track, or not within 30 s.
    """
    az_track = (t_s, az, motion.az_rate_rad_s, motion.az_acc_rad_s2)
    el_track = (t_s, motion.el_rad, motion.el_rate_rad_s, motion.el_acc_rad_s2)
    return (
        _keyhole_paths('azimuth', *az_track, cos_el, mount.azimuth, start_ns),
        _keyhole_paths('elevation', *el_track, np.ones(len(t_s)), mount.elevation, start_ns),
    )


def take_paths(t_s: FloatArray, place: FloatArray, paths: list[KeyholePath]) -> BoolArray:
    """Put keyhole paths into a sampled track, in place; returns which samples stay on the track."""
    on_track = np.ones(len(t_s), dtype=bool)
    for path in paths:
        inside = (t_s >= path.start_s) & (t_s <= path.end_s)
        place[inside] = [path.at(t)[0] for t in t_s[inside]]
        on_track &= ~inside
    return on_track


def _turns(az: FloatArray, axis: AxisSettings) -> float | None:
    """Whole turns that put the path inside the axis' travel, farthest from its ends; None if there are none."""
    low, high = radians(axis.min_deg) + TRAVEL_MARGIN_RAD, radians(axis.max_deg) - TRAVEL_MARGIN_RAD
    turns = _middle_turns(az, axis)
    return turns if az.min() + turns >= low and az.max() + turns <= high else None


def _middle_turns(az: FloatArray, axis: AxisSettings) -> float:
    """Whole turns that put the middle of the path nearest to the middle of the travel."""
    middle = radians(axis.min_deg + axis.max_deg) / 2
    return 2 * pi * round(float(middle - (az.min() + az.max()) / 2) / (2 * pi))


def _choose_turns(az: FloatArray, axis: AxisSettings, t_ns: IntArray) -> float:
    """The same, or an error that says when the axis would leave its travel."""
    turns = _turns(az, axis)
    if turns is not None:
        return turns
    turns = _middle_turns(az, axis)
    low, high = radians(axis.min_deg) + TRAVEL_MARGIN_RAD, radians(axis.max_deg) - TRAVEL_MARGIN_RAD
    beyond = int(np.argmax((az + turns < low) | (az + turns > high)))
    raise StationError(
        f'the azimuth axis turns through {degrees(az.max() - az.min()):.0f} deg and reaches'
        f' {degrees(az[beyond] + turns):.1f} deg at {format_utc(int(t_ns[beyond]))}'
        f', its travel is {axis.min_deg:g} to {axis.max_deg:g} deg',
        where='mount.azimuth',
        hint='track a part of the pass, or rotate the mount on its base',
    )


def _within_travel(motion: AxisMotion[FloatArray], axis: AxisSettings) -> tuple[int, int]:
    """First sample, and the one after the last, of the pass as far as the elevation axis reaches low enough."""
    too_low = motion.el_rad < radians(axis.min_deg)
    high_enough = np.flatnonzero(~too_low)
    if len(high_enough) < 2:
        k = int(np.argmax(motion.el_rad))
        raise _elevation_error(motion, k, axis)
    first, last = int(high_enough[0]), int(high_enough[-1])
    outside = too_low | (motion.el_rad > radians(axis.max_deg))
    if outside[first : last + 1].any():
        raise _elevation_error(motion, first + int(np.argmax(outside[first : last + 1])), axis)
    return first, last + 1


def _elevation_error(motion: AxisMotion[FloatArray], k: int, axis: AxisSettings) -> StationError:
    return StationError(
        f'the elevation axis would have to go to {degrees(motion.el_rad[k]):.2f} deg at'
        f' {format_utc(int(motion.at_ns[k]))}, its travel is {axis.min_deg:g} to {axis.max_deg:g} deg',
        where='mount.elevation',
        hint='check the zero point IE of the pointing model, or set the encoder to zero at the horizon',
    )


def _shortened(first_ns: int, last_ns: int, axis: AxisSettings) -> str:
    return (
        f'the elevation axis ends at {axis.min_deg:g} deg: the pass is tracked from {format_utc(first_ns)}'
        f' to {format_utc(last_ns)} only'
    )


def _keyhole_paths(
    name: str,
    t_s: FloatArray,
    place: FloatArray,
    rate: FloatArray,
    acc: FloatArray,
    on_sky: FloatArray,
    axis: AxisSettings,
    start_ns: int,
) -> list[KeyholePath]:
    max_rate = _HEADROOM * radians(axis.max_rate_deg_s)
    max_acc = _HEADROOM * radians(axis.max_acc_deg_s2)
    try:
        paths = find_keyhole_paths(t_s, place, rate, acc, max_rate, max_acc, on_sky)
    except ValueError as error:
        raise StationError(f'{name} axis too slow: {error}', where=f'mount.{name}') from error
    for path in paths:
        if path.end_s - path.start_s > _LONGEST_GAP_S:
            raise StationError(
                f'the {name} axis would be off the track for {path.end_s - path.start_s:.0f} s from'
                f' {format_utc(start_ns + round(path.start_s * 1e9))}',
                where=f'mount.{name}',
                hint='the mount is too slow for this pass: choose a pass that culminates lower',
            )
    return paths
