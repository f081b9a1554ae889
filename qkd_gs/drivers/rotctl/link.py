"""Requests to rotctld, one at a time: ``p`` (position), ``P AZ EL`` (go there), ``S`` (stop); nothing waits.

A request is answered with its values, one a line, or with ``RPRT N``: 0, or a negative error number.
"""

from __future__ import annotations

import time
from math import degrees, isfinite, radians

from qkd_gs.drivers.connection import Connection
from qkd_gs.drivers.steady import Waiting
from qkd_gs.errors import DeviceFault

_WAIT_S = 0.005


class RotctlLink:
    """Connection to rotctld; implements `SlewLink`."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._connection = Connection('mount', host, port)
        self._timeout_s = timeout_s
        self._waiting: tuple[str, int] | None = None
        self._silence = Waiting()
        self.position_rad: tuple[float, float] | None = None
        self.asked_ns, self.refused = 0, ''

    def open(self) -> None:
        """Connect and wait for the position."""
        self.begin()
        try:
            while self.position_rad is None:
                self.step(time.time_ns())
                time.sleep(_WAIT_S)
        except DeviceFault:
            self.close()
            raise
        self._restart_clock()

    def _restart_clock(self) -> None:
        """Station time begins: what was timed by another clock does not count."""
        self._silence, self.asked_ns = Waiting(), 0
        self._waiting = (self._waiting[0], 0) if self._waiting is not None else None

    def begin(self) -> None:
        """Begin to connect."""
        self._connection.open()
        self._data = b''
        self._waiting = self.position_rad = None
        self._silence = Waiting()
        self._target: tuple[float, float] | None = None
        self._stop = False
        self.asked_ns, self.refused = 0, ''

    def close(self) -> None:
        """Disconnect; allowed in every state."""
        self._connection.close()

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return {'rotctld': self._connection.name} | ({'refused': self.refused} if self.refused else {})

    def enable(self) -> None:
        """Nothing is needed."""

    def go(self, now_ns: int, az_rad: float, el_rad: float) -> None:
        """Send a set-point next; an older one that still waits is dropped."""
        self._target = degrees(az_rad), degrees(el_rad)

    def stop(self) -> None:
        """Send a stop before everything else, at once."""
        self._target, self._stop = None, True

    def step(self, now_ns: int) -> None:
        """Take an answer and send the next request.

        Raises
        ------
        DeviceFault
            ``mount.silent``: the server is gone, does not answer, or answers something else.
        """
        data, closed = self._connection.receive()
        self._data += data
        if self._waiting is not None:
            self._take(now_ns)
        if closed:
            raise DeviceFault('mount.silent', f'rotctld at {self._connection.name} has closed the connection')
        silent_s = self._silence.look(now_ns)
        if silent_s > self._timeout_s:
            raise DeviceFault('mount.silent', f'rotctld at {self._connection.name}: no answer for {silent_s:.1f} s')
        if self._waiting is None:
            self._send(now_ns)

    def _take(self, now_ns: int) -> None:
        assert self._waiting is not None
        kind, sent_ns = self._waiting
        lines = self._data.split(b'\n')
        error = self._error(lines[0]) if len(lines) > 1 else None
        if kind == 'p' and len(lines) > 2 and error is None:
            try:
                az_deg, el_deg = float(lines[0]), float(lines[1])
            except ValueError as broken:
                raise DeviceFault(
                    'mount.silent', f'{self._connection.name} is no rotctld: {lines[0][:40]!r}'
                ) from broken
            if not isfinite(az_deg) or not isfinite(el_deg):
                raise DeviceFault('mount.silent', f'{self._connection.name}: no position')
            self.position_rad, self.asked_ns = (radians(az_deg), radians(el_deg)), sent_ns
        elif error is None:
            return
        elif kind == 'P':
            self.refused = f'rotctld answers RPRT -{error}' if error else ''
        self._waiting, self._data = None, b''
        self._silence.begin(now_ns)

    @staticmethod
    def _error(line: bytes) -> int | None:
        words = line.split()
        if len(words) == 2 and words[0] == b'RPRT' and words[1].lstrip(b'-').isdigit():
            return abs(int(words[1]))
        return None

    def _send(self, now_ns: int) -> None:
        if self._stop:
            kind, text, self._stop = 'S', 'S\n', False
        elif self._target is not None:
            kind, text, self._target = 'P', f'P {self._target[0]:.3f} {self._target[1]:.3f}\n', None
        else:
            kind, text = 'p', 'p\n'
        self._waiting = kind, now_ns
        self._connection.send(text.encode('ascii'))
