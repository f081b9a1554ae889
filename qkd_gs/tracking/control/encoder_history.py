"""Encoder angles at mid-exposure: readings are kept for as long as images may be late."""

from __future__ import annotations

from collections import deque

from qkd_gs.devices.mount import MountReading

KEEP = 400  # readings
TRUST_AGAIN = 5  # consecutive readings that contradict the old ones: the axes really are elsewhere


class EncoderHistory:
    """Recent encoder readings without glitches, interpolated between their stamps.

    Parameters
    ----------
    max_acc_rad_s2 : float
        Largest acceleration of either axis; a reading that would need more is a glitch.
    tolerance_rad : float
        Noise of readings and rates that does not count as a glitch.
    """

    def __init__(self, max_acc_rad_s2: float, tolerance_rad: float = 1e-4):
        self._max_acc = max_acc_rad_s2
        self._tolerance = tolerance_rad
        self._readings: deque[MountReading] = deque(maxlen=KEEP)
        self._refused: list[MountReading] = []

    @property
    def newest(self) -> MountReading | None:
        """Last accepted reading."""
        return self._readings[-1] if self._readings else None

    def add(self, reading: MountReading) -> bool:
        """Keep a reading; False if it is not newer than the last one, or refused as a glitch."""
        last = self.newest
        if last is not None and reading.stamp_ns <= last.stamp_ns:
            return False
        if last is not None and not self._follows(last, reading):
            if self._refused and not self._follows(self._refused[-1], reading):
                self._refused.clear()
            self._refused.append(reading)
            if len(self._refused) < TRUST_AGAIN:
                return False
            self._readings.clear()
        self._refused.clear()
        self._readings.append(reading)
        return True

    def at(self, t_ns: int, beyond_s: float = 0.05, linear: bool = False) -> tuple[float, float] | None:
        """Encoder azimuth and elevation at `t_ns`, radians; None outside the history (by more than `beyond_s`).

        Between two readings a cubic through angles and rates, or a straight line if `linear`: better for a star,
        where the noise of the measured rates exceeds the curvature.
        """
        if not self._readings or t_ns < self._readings[0].stamp_ns:
            return None
        last = self._readings[-1]
        if t_ns >= last.stamp_ns:
            ahead_s = (t_ns - last.stamp_ns) * 1e-9
            if ahead_s > beyond_s:
                return None
            return last.az_rad + last.az_rate_rad_s * ahead_s, last.el_rad + last.el_rate_rad_s * ahead_s
        for index in range(len(self._readings) - 2, -1, -1):  # images are recent: search from the end
            before = self._readings[index]
            if before.stamp_ns <= t_ns:
                after = self._readings[index + 1]
                break
        span_ns, since_ns = after.stamp_ns - before.stamp_ns, t_ns - before.stamp_ns
        if linear:
            az = before.az_rad + (after.az_rad - before.az_rad) / span_ns * since_ns
            el = before.el_rad + (after.el_rad - before.el_rad) / span_ns * since_ns
            return az, el
        span_s = span_ns * 1e-9
        u = since_ns * 1e-9 / span_s
        az = _hermite(u, span_s, before.az_rad, before.az_rate_rad_s, after.az_rad, after.az_rate_rad_s)
        el = _hermite(u, span_s, before.el_rad, before.el_rate_rad_s, after.el_rad, after.el_rate_rad_s)
        return az, el

    def _follows(self, last: MountReading, reading: MountReading) -> bool:
        span_s = (reading.stamp_ns - last.stamp_ns) * 1e-9
        allowed = self._max_acc * span_s**2 + self._tolerance
        az = last.az_rad + last.az_rate_rad_s * span_s
        el = last.el_rad + last.el_rate_rad_s * span_s
        return abs(reading.az_rad - az) <= allowed and abs(reading.el_rad - el) <= allowed


def _hermite(u: float, span: float, p0: float, v0: float, p1: float, v1: float) -> float:
    """Cubic through two points with two rates, at the fraction `u` of `span`."""
    step = p1 - p0
    return p0 + u * (span * v0 + u * ((3 * step - span * (2 * v0 + v1)) + u * (span * (v0 + v1) - 2 * step)))
