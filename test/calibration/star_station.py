"""A telescope under the stars with a hidden mount, two hidden cameras and noise: enough to calibrate in a test."""

from dataclasses import replace
from math import cos, isfinite, nan, pi, radians, sin

import numpy as np

from qkd_gs.calibration.stars import Star
from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.orbit.target import TargetState
from qkd_gs.pointing.sky_offsets import offset_between
from qkd_gs.tracking.types import CameraRole, SpotMeasurement

STEP_NS = 20_000_000


class TurningSky:
    """A star that drifts as the sky does, at constant rates."""

    def __init__(self, star: Star, start_ns: int, end_ns: int):
        self.star = star
        self.reach = (start_ns, end_ns)

    def at(self, t_ns: int) -> TargetState:
        t_s = t_ns * 1e-9
        az_rate, el_rate = 5e-5, 4e-5 * cos(self.star.hip)
        az, el = radians(self.star.ra_deg) + az_rate * t_s, radians(self.star.dec_deg) + el_rate * t_s
        return TargetState(t_ns, az, el, az_rate, el_rate, 0.0, 0.0, np.inf, 0.0, nan, nan, nan)


def star(number: int, az_deg: float, el_deg: float) -> Star:
    """A star by its place at time zero (kept in the columns of right ascension and declination)."""
    return Star(number, f'star {number}', az_deg, el_deg, 0.0, 0.0, 0.0, 2.0)


class StarStation:
    """Mount and cameras as they truly are.

    Parameters
    ----------
    truth : MountModel
    guiding, tracking : CameraGeometry
        True geometries; half sizes of the fields follow.
    missing : set of star numbers behind clouds
    """

    def __init__(self, truth, guiding, tracking, encoder_az_rad, encoder_el_rad, seed=1, missing=()):
        self.truth, self.guiding, self.tracking = truth, guiding, tracking
        self.rng = np.random.default_rng(seed)
        self.missing = set(missing)
        self.reading = MountReading(0, encoder_az_rad, encoder_el_rad, 0.0, 0.0, MountMode.TRACK)
        self.wanted = None
        self.stuck = False
        self.dark = False
        self.wrong: dict[int, tuple[float, float]] = {}  # star number -> angles at which another star stands
        self.scatter: dict[int, tuple[float, float]] = {}

    def move(self, now_ns, axes):
        """at most 15 deg/s towards the set-point, then exactly on it."""
        step_s = (now_ns - self.reading.stamp_ns) * 1e-9
        if axes is None or self.stuck:
            self.reading = replace(self.reading, stamp_ns=now_ns, az_rate_rad_s=0.0, el_rate_rad_s=0.0)
            return
        limit = radians(15) * step_s
        ahead_s = (now_ns - axes.at_ns) * 1e-9
        az = axes.az_rad + axes.az_rate_rad_s * ahead_s - self.reading.az_rad
        el = axes.el_rad + axes.el_rate_rad_s * ahead_s - self.reading.el_rad
        slewing = abs(az) > limit or abs(el) > limit
        az, el = max(-limit, min(limit, az)), max(-limit, min(limit, el))
        self.reading = MountReading(
            now_ns,
            self.reading.az_rad + az,
            self.reading.el_rad + el,
            az / step_s if slewing else axes.az_rate_rad_s,
            el / step_s if slewing else axes.el_rate_rad_s,
            MountMode.TRACK,
        )

    def spots(self, track, now_ns):
        """What both cameras send of a star: mid-exposure one step ago."""
        if self.dark:
            return (), ()
        return (
            (self._spot(CameraRole.GUIDING, track, now_ns, self.guiding, (9e-3, 7.2e-3)),),
            (self._spot(CameraRole.TRACKING, track, now_ns, self.tracking, (1.28e-3, 0.96e-3)),),
        )

    def _spot(self, role, track, now_ns, geometry, half):
        number = track.star.hip
        aim = self.truth.apparent(self.reading.az_rad, self.reading.el_rad)
        place = track.at(now_ns)
        x, y = offset_between(*aim, place.az_rad, place.el_rad)
        roll = self.truth.roll(self.reading.az_rad, self.reading.el_rad)
        x, y = x * cos(roll) + y * sin(roll), y * cos(roll) - x * sin(roll)
        more = self.wrong.get(number, self.scatter.setdefault(number, tuple(self.rng.normal(0, 10e-6, 2))))
        seeing = self.rng.normal(0, 5e-6, 2)
        x, y = x + more[0] + seeing[0], y + more[1] + seeing[1]
        x_px, y_px = geometry.pixel(x, y) if isfinite(x) else (nan, nan)
        middle = replace(geometry, reference_x_px=0.0, reference_y_px=0.0, roll_rad=0.0).angles(0, 0)
        seen = isfinite(x) and abs(x - middle[0]) < half[0] and abs(y - middle[1]) < half[1]
        if number in self.missing or not seen:
            return SpotMeasurement(role, now_ns, False, nan, nan, 0.0, nan)
        return SpotMeasurement(role, now_ns, True, float(x_px), float(y_px), 30.0, 1e4)


def sky_of(count: int) -> list[Star]:
    """Stars spread over the sky in an order of short ways, the first ones close together."""
    stars = []
    for k in range(count):
        turn = k / count
        stars.append(star(k + 1, 20 + 340 * turn, 50 + 25 * sin(2 * pi * 3.4 * turn)))
    return stars
