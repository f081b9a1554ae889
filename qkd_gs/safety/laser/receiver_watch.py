"""Keeps a receiver of aircraft positions open, and tells `LaserSafety` what it hears."""

from __future__ import annotations

from collections.abc import Callable

from qkd_gs.devices.aircraft import AircraftReceiver
from qkd_gs.errors import DeviceFault
from qkd_gs.safety.laser.laser_safety import LaserSafety

_FIRST_NS, _LONGEST_NS = 500_000_000, 8_000_000_000  # between attempts to open it again


class ReceiverWatch:
    """Reads a receiver in every step; one that has a fault is closed and opened again, after 0.5, 1, 2 ... 8 s.

    Parameters
    ----------
    make : callable
        Makes the receiver, not open yet.
    """

    def __init__(self, make: Callable[[], AircraftReceiver], laser: LaserSafety) -> None:
        self._make, self._laser = make, laser
        self.device: AircraftReceiver | None = None
        self._pause_ns, self._next_ns = _FIRST_NS, 0
        self.fault = ''

    def step(self, now_ns: int, steady_ns: int) -> None:
        """One reading.

        Parameters
        ----------
        now_ns : int
            Station time.
        steady_ns : int
            Of a clock that nobody sets, for the pauses between attempts.
        """
        if self.device is None and steady_ns < self._next_ns:
            return
        try:
            if self.device is None:
                device = self._make()
                device.open()
                self.device = device
            self._laser.heard(now_ns, self.device.read(now_ns))
        except DeviceFault as fault:
            self.fault = str(fault)
            self._laser.lost(self.fault)
            self.close()
            self._next_ns, self._pause_ns = steady_ns + self._pause_ns, min(2 * self._pause_ns, _LONGEST_NS)
        else:
            if self.fault and self._laser.is_heard:
                self.fault, self._pause_ns = '', _FIRST_NS

    def close(self) -> None:
        """Close the receiver."""
        if self.device is not None:
            self.device.close()
            self.device = None
