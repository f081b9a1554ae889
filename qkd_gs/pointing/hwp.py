"""Align the receiver's polarization axes with the satellite's by rotating a half-wave plate (HWP)."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.pointing.polarization import hwp_angle


@dataclass(frozen=True)
class HwpCommand:
    """Commanded HWP angle and the time it holds for."""

    angle_rad: float  # from the zero mark of the HWP, counter-clockwise seen against the light, in [0, pi)
    at_ns: int  # station time the angle holds for
    rate_rad_s: float  # HWP rate at that time, for rotators that can follow one


class HwpFollower:
    """HWP commands for a polarization angle, predicted to the time at which they take effect.

    Parameters
    ----------
    zero_rad : float
        HWP angle at which the receiver's H axis and the telescope's horizontal agree.
    delay_ns : int
        Time from sending a command to the HWP being there, measured by the self-test.
    parity : int
        +1, or -1 with an odd number of mirrors in front of the HWP; see `polarization`.
    period_ns : int
        Time between commands.  The HWP stands still from one to the next, so each command aims at the middle of
        its period: that halves the largest error.
    """

    def __init__(self, zero_rad: float, delay_ns: int, parity: int = 1, period_ns: int = 0):
        if parity not in (1, -1):
            raise StationError(f'parity is {parity}', where='hwp.parity', hint='+1 or -1')
        self.zero_rad = zero_rad
        self.delay_ns = delay_ns
        self.parity = parity
        self.period_ns = period_ns

    def step(self, now_ns: int, polarization_angle_rad: float, polarization_rate_rad_s: float) -> HwpCommand:
        """Command for a polarization angle and rate valid at `now_ns`.

        Parameters
        ----------
        polarization_angle_rad, polarization_rate_rad_s : float
            Satellite's H axis in the tube (`polarization.polarization_angle_in_tube`), counter-clockwise seen
            against the light.
        """
        lead_ns = self.delay_ns + self.period_ns // 2
        angle_then_rad = polarization_angle_rad + polarization_rate_rad_s * lead_ns * 1e-9
        angle_rad = hwp_angle(angle_then_rad, self.zero_rad, self.parity) % pi
        return HwpCommand(
            angle_rad=0.0 if angle_rad == pi else angle_rad,  # -1e-17 % pi rounds to pi itself
            at_ns=now_ns + lead_ns,
            rate_rad_s=self.parity * polarization_rate_rad_s / 2,
        )


@dataclass(frozen=True)
class HwpSpeed:
    """Fastest HWP rate that a pass needs."""

    rate_rad_s: float
    at_ns: int
    beyond_s: float  # how long the HWP would have to turn faster than it can


def check_hwp_speed(t_ns: IntArray, polarization_rate_rad_s: FloatArray, max_rate_rad_s: float) -> HwpSpeed:
    """HWP rate that a whole pass needs, compared with the rotator's limit.

    Parameters
    ----------
    t_ns, polarization_rate_rad_s : ndarray, (n,)
        Times in even steps, and rates of the polarization angle (of the track, without the gap at the zenith).
    max_rate_rad_s : float
        Largest rate of the rotator.
    """
    rate = np.abs(polarization_rate_rad_s) / 2
    worst = int(np.argmax(rate))
    step_s = float(t_ns[-1] - t_ns[0]) * 1e-9 / max(len(t_ns) - 1, 1)
    return HwpSpeed(float(rate[worst]), int(t_ns[worst]), float(np.sum(rate > max_rate_rad_s)) * step_s)
