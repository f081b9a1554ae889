"""Common part of the drivers of GPS receivers: the newest fix, its checks, silence."""

from __future__ import annotations

import time
from math import inf, nan

from qkd_gs.devices.gps import GpsReading
from qkd_gs.devices.open_state import OpenState
from qkd_gs.drivers.gnss.fix import Fix, FixChecks, GnssLimits, reading_of
from qkd_gs.drivers.steady import Forward, looks
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.site import Site

_TEST_S = 10.0


class GnssReceiver:
    """Base of the drivers; implements `Gps` except for ``open()`` and ``close()``.

    Messages are taken when the node reads: their stamps are late by at most its period.
    """

    def __init__(self, limits: GnssLimits, site: Site) -> None:
        self._limits, self._site = limits, site
        self._state = OpenState('gps')
        self._begin()

    def _begin(self) -> None:
        """Forget everything about the receiver."""
        self._lost: DeviceFault | None = None
        self._checks = FixChecks(self._limits, self._site)
        self._newest: GpsReading | None = None
        self._heard_ns: int | None = None
        self._known: dict[str, str] = {}
        self._time = Forward('gps')

    def read(self, now_ns: int) -> GpsReading:
        """Newest navigation message; without satellites and time before the first.

        Raises
        ------
        DeviceFault
            ``gps.silent``: the receiver or the way to it is gone, or there is no message; ``gps.time_jump``,
            ``gps.time_offset``, ``gps.leap_seconds``, ``gps.position``: the receiver is not to be believed; others of
            the driver.  All of them last until the device is opened again.
        """
        self._state.require()
        if self._lost is not None:
            raise self._lost
        try:
            self._time.check(now_ns)
            self._take(now_ns, self._newest_fix())
        except DeviceFault as fault:
            self._lost = fault
            raise
        return self._newest or GpsReading(now_ns, 0, nan, nan, nan, 0, inf)

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return self._known | {
            'offset_s': f'{self._checks.offset_s:.3f}',
            'distance_from_site_m': f'{self._checks.distance_m:.0f}',
        }

    def self_test(self, move: bool = False) -> str:
        """Wait for a fix; what the receiver tells."""
        for _ in looks(_TEST_S):
            if self.read(time.time_ns()).satellites:
                return ', '.join(f'{name} {value}' for name, value in self.health().items())
            time.sleep(0.1)
        raise DeviceFault('gps.no_fix', f'the receiver answers, but has no fix within {_TEST_S:g} s')

    def _newest_fix(self) -> Fix | None:
        """Take the messages that have arrived; the newest of position and time, if there is one."""
        raise NotImplementedError

    def _take(self, now_ns: int, fix: Fix | None) -> None:
        self._heard_ns = now_ns if self._heard_ns is None or fix is not None else self._heard_ns
        if fix is not None:
            self._checks.check(now_ns, fix)
            self._newest = reading_of(fix, now_ns)
            self._known['satellites_used'] = str(fix.satellites)
        elif now_ns - self._heard_ns > self._limits.timeout_s * 1e9:
            waited_s = (now_ns - self._heard_ns) * 1e-9
            raise DeviceFault('gps.silent', f'connected, but no navigation message for {waited_s:.1f} s')
