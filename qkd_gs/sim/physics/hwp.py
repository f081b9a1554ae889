"""Simulated HWP rotator: finite rate, motor steps, delay, hidden mounting error.  HwpRotator Protocol."""

from __future__ import annotations

from collections import deque
from math import copysign, isfinite, pi, radians, remainder, sqrt

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.devices.hwp import HwpReading
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.twin_plant import HwpPlantSettings


class SimHwp:
    """A rotator that moves with simulated time.

    Parameters
    ----------
    start_ns : int
        Time at which the HWP is at rest at its zero mark.
    """

    def __init__(self, plant: HwpPlantSettings, start_ns: int, sample_hz: int, rng: np.random.Generator) -> None:
        self._dt_s = 1 / sample_hz
        self._sample_ns = 10**9 // sample_hz
        self._speed, self._acc = radians(plant.speed_deg_s), radians(plant.acceleration_deg_s2)
        self._step = radians(plant.step_deg)
        self._delay_ns = round((plant.delay_s + rng.uniform(-1, 1) * plant.delay_error_s) * 1e9)
        self.mounting_error_rad = float(radians(plant.mounting_error_deg) * rng.uniform(-1, 1))
        self._angle = self._rate = self._target = 0.0
        self._now_ns = start_ns
        self._queue: deque[tuple[int, float]] = deque()

    def open(self) -> None: ...

    def move(self, now_ns: int, angle_rad: float) -> None:
        """Go to an angle by the shorter way modulo pi, after the rotator's delay.

        Raises
        ------
        DeviceFault
            ``hwp.command``: not a number.
        """
        if not isfinite(angle_rad):
            raise DeviceFault('hwp.command', f'angle {angle_rad} is not a number')
        self._queue.append((now_ns + self._delay_ns, angle_rad))

    def read(self, now_ns: int) -> HwpReading:
        """Angle on the rotator's own scale."""
        return HwpReading(self._now_ns, self._angle % pi, self._rate != 0.0)

    def stop(self, now_ns: int) -> None:
        """Brake to rest."""
        self._queue.clear()
        way = copysign(self._rate * self._rate / (2 * self._acc), self._rate)
        self._target = self._angle + way

    def close(self) -> None:
        """Nothing to switch off: a motor without current holds by its gear."""
        self.stop(self._now_ns)

    # ---- simulation side ----

    def advance(self, samples: int) -> FloatArray:
        """Advance; true HWP angles at the end of each sample, (samples,), rad, mounting error included."""
        if not self._queue and self._angle == self._target and not self._rate:  # at rest, the usual case
            self._now_ns += samples * self._sample_ns
            return np.full(samples, self._angle + self.mounting_error_rad)
        out = np.empty(samples)
        for i in range(samples):
            self._now_ns += self._sample_ns
            while self._queue and self._queue[0][0] <= self._now_ns:
                target = self._angle + remainder(self._queue.popleft()[1] - self._angle, pi)
                self._target = round(target / self._step) * self._step
            if self._angle != self._target or self._rate:
                self._turn()
            out[i] = self._angle
        out += self.mounting_error_rad
        return out

    def _turn(self) -> None:
        """One sample of time-optimal motion: full acceleration, full speed, braking parabola."""
        left, dv = self._target - self._angle, self._acc * self._dt_s
        if abs(left) <= dv * self._dt_s and abs(self._rate) <= 2 * dv:
            self._angle, self._rate = self._target, 0.0
            return
        # the parabola that discrete steps of dv can follow: v (v + dv) = 2 a x
        rate = min(sqrt(2 * self._acc * abs(left) + dv * dv / 4) - dv / 2, self._speed)
        rate = copysign(rate, left)
        self._rate = min(max(rate, self._rate - dv), self._rate + dv)
        self._angle += self._rate * self._dt_s
