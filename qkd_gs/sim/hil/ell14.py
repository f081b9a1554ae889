"""An ELL14 on its serial line, from Thorlabs' description of the protocol; turns as its time advances."""

from __future__ import annotations

from math import tau

from qkd_gs.devices.hwp import HwpReading
from qkd_gs.sim.hil.serial_device import SerialDevice
from qkd_gs.sim.remote.bus import Bus

COUNTS = 143360
_LENGTHS = {'ma': 11, 'mr': 11, 'ho': 4, 'sv': 5, 'sj': 11, 'so': 11, 'ca': 4}


class Ell14(SerialDevice):
    """A stage with a motion of its own.

    Attributes
    ----------
    counts, goal : int
        Position, and that of a move.
    status : int
        Answered to the next request instead of doing it, once.
    requests : list of str
        The request.
    """

    SPEED = COUNTS / 360 * 200  # counts a second

    def __init__(
        self, counts: int = 12345, stops: bool = True, serial_number: str = '11400517', model: str = '0E'
    ) -> None:
        super().__init__()
        self.counts, self.stops = counts, stops
        self.goal: int | None = None
        self.info = f'0IN{model}{serial_number}20231701016800023000'
        self.status = 0
        self.requests: list[str] = []
        self._buffer = ''
        self._now_ns: int | None = None

    def receive(self, data: bytes) -> None:
        """Answer the requests that are complete."""
        self._buffer += data.decode('ascii').replace('\r', '').replace('\n', '')
        while len(self._buffer) >= 3:
            length = _LENGTHS.get(self._buffer[1:3], 3)
            if len(self._buffer) < length:
                return
            one, self._buffer = self._buffer[:length], self._buffer[length:]
            if one[0] == '0':
                self.requests.append(one[1:])
                self._answer(one[1:3], one[3:])

    def _answer(self, command: str, data: str) -> None:
        if self.status and command not in ('in', 'gs'):
            status, self.status, self.goal = self.status, 0, None
            self.say(f'0GS{status:02X}\r\n')
        elif command == 'in':
            self.say(self.info + '\r\n')
        elif command == 'gs':
            self.say(f'0GS{9 if self.goal is not None else 0:02X}\r\n')
        elif command == 'gp':
            self._say_position()
        elif command == 'ms':
            self._stop()
        elif command in ('ma', 'mr', 'ho'):
            value = int(data, 16) if command != 'ho' else 0
            value = value - 2**32 if value >= 2**31 else value
            self.go(self.counts + value if command == 'mr' else value)
        else:
            self.say('0GS03\r\n')

    def go(self, goal: int) -> None:
        """Begin a move."""
        self.goal = goal

    def _stop(self) -> None:
        if not self.stops:
            self.say('0GS03\r\n')
        elif self.goal is not None:
            self.goal = None
            self._say_position()

    def _say_position(self) -> None:
        self.say(f'0PO{self.counts & 0xFFFFFFFF:08X}\r\n')

    def advance(self, now_ns: int) -> None:
        """Turn on."""
        since_s, self._now_ns = (now_ns - (self._now_ns or now_ns)) * 1e-9, now_ns
        if self.goal is None:
            return
        left, reach = self.goal - self.counts, round(self.SPEED * since_s)
        self.counts += max(-reach, min(reach, left))
        if self.counts == self.goal:
            self._arrive()

    def _arrive(self) -> None:
        self.goal = None
        self._say_position()


class TwinEll14(Ell14):
    """A stage that turns the twin's half-wave plate."""

    _NEAR = COUNTS // 3600  # 0.1 deg: a move is over there, when the HWP stands

    def __init__(self, bus: Bus) -> None:
        super().__init__(counts=0)
        self._bus = bus
        self._reading: HwpReading | None = None
        self._moved_ns = 0
        bus.listen('hwp/state', HwpReading, self._take)

    def _take(self, reading: HwpReading) -> None:
        self._reading = reading

    def go(self, goal: int) -> None:
        """Let the twin move its HWP."""
        super().go(goal)
        self._moved_ns = self._now_ns or 0
        self._bus.send('hwp/move', goal * tau / COUNTS, self._moved_ns)

    def _stop(self) -> None:
        if self.goal is not None:
            self._bus.send('hwp/move', float('nan'), self._now_ns or 0)
        super()._stop()

    def advance(self, now_ns: int) -> None:
        """Position of the HWP; the scale of the twin goes modulo pi, that of the stage goes on."""
        self._now_ns = now_ns
        reading = self._reading
        if reading is None:
            return
        half = COUNTS // 2
        shown = round(reading.angle_rad * COUNTS / tau)
        near = self.goal if self.goal is not None else self.counts
        self.counts = near + (shown - near + half // 2) % half - half // 2
        stands = reading.stamp_ns > self._moved_ns and not reading.moving
        if self.goal is not None and stands and abs(self.goal - self.counts) <= self._NEAR:
            self._arrive()
