"""Keep the receiver's polarization frame on the satellite's by turning a half-wave plate."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.pointing.polarization import plate_angle


@dataclass(frozen=True)
class HwpCommand:
    """Where the plate shall be, and when."""

    angle_rad: float  # from the plate's zero mark, counter-clockwise seen against the light, in [0, pi)
    at_ns: int  # station time the angle holds for
    rate_rad_s: float  # rate of the plate at that time, for rotators that can follow one


class HwpFollower:
    """Turn a wanted frame angle into plate commands that are right when they take effect.

    Parameters
    ----------
    zero_rad : float
        Plate angle at which the receiver's frame and the telescope's horizontal agree.
    delay_ns : int
        Time from sending a command to the plate being there, measured by the self-test.
    parity : int
        +1, or -1 with an odd number of mirrors before the plate; see `polarization`.
    period_ns : int
        Time between commands.  The plate stands from one to the next, so each aims at the middle of its time:
        the error of standing still is plus and minus half of what aiming at the start would leave.
    """

    def __init__(self, zero_rad: float, delay_ns: int, parity: int = 1, period_ns: int = 0):
        if parity not in (1, -1):
            raise StationError(f'parity is {parity}', where='hwp.parity', hint='+1 or -1')
        self.zero_rad = zero_rad
        self.delay_ns = delay_ns
        self.parity = parity
        self.period_ns = period_ns

    def step(self, now_ns: int, frame_rad: float, frame_rate_rad_s: float) -> HwpCommand:
        """Command for a frame angle and rate valid at `now_ns`.

        Parameters
        ----------
        frame_rad, frame_rate_rad_s : float
            Satellite's H axis in the tube (`polarization.tube_frame`), counter-clockwise seen against the light.
        """
        lead_ns = self.delay_ns + self.period_ns // 2
        frame_then_rad = frame_rad + frame_rate_rad_s * lead_ns * 1e-9
        angle_rad = plate_angle(frame_then_rad, self.zero_rad, self.parity) % pi
        return HwpCommand(
            angle_rad=0.0 if angle_rad == pi else angle_rad,  # -1e-17 % pi rounds to pi itself
            at_ns=now_ns + lead_ns,
            rate_rad_s=self.parity * frame_rate_rad_s / 2,
        )


@dataclass(frozen=True)
class PlateSpeed:
    """Fastest turn of the plate in a pass."""

    rate_rad_s: float
    at_ns: int
    beyond_s: float  # how long the plate would have to turn faster than it can


def check_plate_speed(t_ns: IntArray, frame_rate_rad_s: FloatArray, max_rate_rad_s: float) -> PlateSpeed:
    """Can the plate follow the frame of a whole pass?

    Parameters
    ----------
    t_ns, frame_rate_rad_s : ndarray, (n,)
        Times in even steps, and rates of the frame (of the track, without the gap at the zenith).
    max_rate_rad_s : float
        Fastest turn of the rotator.
    """
    rate = np.abs(frame_rate_rad_s) / 2
    worst = int(np.argmax(rate))
    step_s = float(t_ns[-1] - t_ns[0]) * 1e-9 / max(len(t_ns) - 1, 1)
    return PlateSpeed(float(rate[worst]), int(t_ns[worst]), float(np.sum(rate > max_rate_rad_s)) * step_s)
