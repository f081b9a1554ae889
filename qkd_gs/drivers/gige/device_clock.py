"""Time stamps of a camera, as time of this machine.

Pure: all times are arguments.
"""

from __future__ import annotations

from collections import deque

import numpy as np

_LATCHES, _SPAN_NS = 64, 120_000_000_000
_ARRIVALS_NS = 10_000_000_000
_FEW = 8  # latches before the rate of the camera's counter is fitted


class LatchedClock:
    """Line through latched values of a camera's counter.

    Parameters
    ----------
    tick_hz : float
        Nominal frequency of the counter.

    Attributes
    ----------
    error_ns : float
        Estimated error of `host_ns`: half the best round trip at first, then the scatter of the latches about the line.
    """

    def __init__(self, tick_hz: float) -> None:
        self._tick_ns = 1e9 / tick_hz
        self._latches: deque[tuple[int, int, int]] = deque(maxlen=_LATCHES)  # ticks, host ns, round trip ns
        self._origin = (0, 0)
        self._slope, self._offset_ns, self.error_ns = 0.0, 0.0, float('inf')

    def latch(self, ticks: int, before_ns: int, after_ns: int) -> None:
        """The counter was latched at `ticks`, at a host time between these two."""
        if self._latches and ticks <= self._latches[-1][0]:
            self._latches.clear()  # the camera has restarted its count
        self._latches.append((ticks, (before_ns + after_ns) // 2, after_ns - before_ns))
        while self._latches[-1][1] - self._latches[0][1] > _SPAN_NS:
            self._latches.popleft()
        ticks0, host0 = self._origin = self._latches[0][:2]
        rows = np.array([((t - ticks0) * self._tick_ns, h - host0, r) for t, h, r in self._latches], float)
        device_ns, difference_ns, trip_ns = rows[:, 0], rows[:, 1] - rows[:, 0], np.maximum(rows[:, 2], 1000.0)
        if len(rows) < _FEW:
            best = int(np.argmin(trip_ns))
            self._slope, self._offset_ns, self.error_ns = 0.0, difference_ns[best], trip_ns[best] / 2
            return
        weights = 1 / trip_ns
        self._slope, self._offset_ns = np.polyfit(device_ns, difference_ns, 1, w=weights)
        residual = difference_ns - self._slope * device_ns - self._offset_ns
        self.error_ns = float(np.sqrt(np.average(residual**2, weights=weights**2)))

    def host_ns(self, ticks: int) -> int | None:
        """Host time of a value of the counter; None before the first latch."""
        if not self._latches:
            return None
        device_ns = (ticks - self._origin[0]) * self._tick_ns
        return self._origin[1] + round(device_ns + self._slope * device_ns + self._offset_ns)


class ArrivalClock:
    """Lower envelope of the times from time stamp to arrival.

    Parameters
    ----------
    latency_ns : int
        Least of these times, which cannot be known from the arrivals.
    """

    error_ns = float('nan')  # that of `latency_ns`, which nobody here knows

    def __init__(self, tick_hz: float, latency_ns: int) -> None:
        self._tick_ns, self._latency_ns = 1e9 / tick_hz, latency_ns
        self._least: deque[tuple[int, int]] = deque()  # arrival, difference; growing differences

    def arrived(self, ticks: int, host_ns: int) -> None:
        """An image has arrived."""
        difference = host_ns - round(ticks * self._tick_ns)
        while self._least and self._least[-1][1] >= difference:
            self._least.pop()
        self._least.append((host_ns, difference))
        while host_ns - self._least[0][0] > _ARRIVALS_NS:
            self._least.popleft()

    def host_ns(self, ticks: int) -> int | None:
        """Host time of a value of the counter."""
        return round(ticks * self._tick_ns) + self._least[0][1] - self._latency_ns if self._least else None
