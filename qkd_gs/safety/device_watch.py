"""Keeps a device open that the supervisor reads by itself, and opens it again after a fault."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from qkd_gs.errors import in_words

_FIRST_NS, _LONGEST_NS = 500_000_000, 8_000_000_000  # between attempts to open it again
_WELL_NS = 3_000_000_000  # without a fault for so long: the next pause is a short one again


class Readable(Protocol):
    """Protocol of a device that is watched."""

    def open(self) -> None:
        """Open it."""

    def close(self) -> None:
        """Close it; allowed in every state."""


D = TypeVar('D', bound=Readable)


class DeviceWatch(Generic[D]):
    """Reads a device in every step; one that has a fault is closed and opened again, after 0.5, 1, 2 ... 8 s.

    An error of the driver's program counts as a fault: who supervises must go on without this device.

    Parameters
    ----------
    make : callable
        Makes the device, not open yet.
    read : callable
        Reads it at a station time, and hands the reading on.
    lost : callable
        Told a fault in words.
    """

    def __init__(self, make: Callable[[], D], read: Callable[[D, int], None], lost: Callable[[str], None]) -> None:
        self._make, self._read, self._lost = make, read, lost
        self.device: D | None = None
        self._pause_ns, self._next_ns, self._opened_ns = _FIRST_NS, 0, 0
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
                self.device, self._opened_ns = device, steady_ns
            self._read(self.device, now_ns)
        except Exception as error:  # noqa: BLE001  whatever a driver raises: nothing is known of its device
            self._next_ns, self._pause_ns = steady_ns + self._pause_ns, min(2 * self._pause_ns, _LONGEST_NS)
            self.fault = in_words(error)
            self._lost(self.fault)
            with suppress(Exception):  # it may not even close; another one is made
                self.close()
        else:
            if steady_ns - self._opened_ns > _WELL_NS:
                self.fault, self._pause_ns = '', _FIRST_NS

    def close(self) -> None:
        """Close the device."""
        device, self.device = self.device, None
        if device is not None:
            device.close()
