"""Common part of the drivers of aircraft receivers: the newest reports, silence, self-test."""

from __future__ import annotations

import time
from typing import ClassVar

from qkd_gs.devices.aircraft import AircraftReading, AircraftReport
from qkd_gs.devices.open_state import OpenState
from qkd_gs.drivers.steady import Forward, looks
from qkd_gs.errors import DeviceFault

_TEST_S = 10.0


class Receiver:
    """Base of the drivers; implements `AircraftReceiver` except for ``open()`` and ``close()``."""

    news: ClassVar[str]  # what is missing when nothing comes
    first: ClassVar[str]  # what the self-test waits for

    def __init__(self, name: str, timeout_s: float) -> None:
        self._name, self._timeout_s = name, timeout_s
        self._state = OpenState('aircraft')
        self._known: dict[str, str] = {}

    def _begin(self) -> None:
        """Open; nothing has been heard yet."""
        self._forward = Forward('aircraft')
        self._begun_ns, self._alive_ns, self._refused = 0, 0, 0
        self._state.is_open = True

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return self._known

    def read(self, now_ns: int) -> AircraftReading:
        """Reports that are new since the last call.

        Raises
        ------
        DeviceFault
            ``aircraft.silent``: the receiver is gone, or nothing comes; others of the driver.
        """
        self._state.require()
        self._forward.check(now_ns)
        self._begun_ns = self._begun_ns or now_ns
        reports, refused = self._newest(now_ns)
        alive_ns = min(self._alive_ns, now_ns)
        since_s = (now_ns - max(alive_ns, self._begun_ns)) * 1e-9
        if since_s > self._timeout_s:
            raise DeviceFault('aircraft.silent', f'{self._name}: no {self.news} for {since_s:.0f} s')
        return AircraftReading(alive_ns, reports, refused)

    def _newest(self, now_ns: int) -> tuple[tuple[AircraftReport, ...], int]:
        """Reports and number of refused messages since the last call; `_alive_ns` is when the receiver was alive."""
        raise NotImplementedError

    def self_test(self) -> str:
        """Wait until the receiver is alive."""
        for _ in looks(_TEST_S):
            reading = self.read(time.time_ns())
            if reading.stamp_ns:
                return f'{self._name}: {self._told(reading)}'
            time.sleep(0.05)
        raise DeviceFault('aircraft.silent', f'{self._name}: no {self.first} within {_TEST_S:g} s')

    def _told(self, reading: AircraftReading) -> str:
        """Sentence of the self-test on the first reading."""
        raise NotImplementedError
