"""Half-wave-plate rotator on an Elliptec rotation stage."""

from __future__ import annotations

import time
from math import isfinite, nan, pi, radians, remainder, tau
from typing import Literal

from pydantic import Field

from qkd_gs.devices.driver import DriverContext, Probed, driver
from qkd_gs.devices.hwp import HwpReading, HwpRotator
from qkd_gs.devices.open_state import OpenState
from qkd_gs.drivers.addresses import is_serial
from qkd_gs.drivers.elliptec.protocol import (
    BAUD,
    Answer,
    ModuleInfo,
    Status,
    counts_text,
    parse,
    parse_info,
    parse_position,
    parse_status,
    request,
)
from qkd_gs.drivers.serial_line import SerialLine
from qkd_gs.drivers.steady import Forward, Waiting, looks
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.loader import Section

_MOVES = ('ma', 'mr', 'ho')


class ElliptecOptions(Section):
    """Options of the driver ``hwp.elliptec``."""

    port: str = Field(min_length=1, description='serial port, e.g. /dev/ttyUSB0, or socket://HOST:PORT')
    address: str = Field('0', pattern='^[0-9A-F]$', description='address of the module on its bus')
    serial_number: str | None = Field(
        None, pattern='^[0-9A-F]{8}$', description='eight characters; another module is refused'
    )
    sign: Literal[1, -1] = Field(1, description='+1: counts grow counter-clockwise seen against the light')
    least_move_deg: float = Field(0.02, ge=0, le=1, description='[deg] shorter moves are left out')
    timeout_s: float = Field(0.5, ge=0.1, le=1.5, description='[s] longest time until an answer at rest')
    move_timeout_s: float = Field(1.5, ge=0.3, le=5, description='[s] longest time of a move, a quarter turn')
    home_timeout_s: float = Field(5.0, ge=1, le=30, description='[s] longest time of a reference run')
    home_counter_clockwise: bool = Field(False, description='direction of the reference run')


class ElliptecRotator:
    """Implements `HwpRotator`.

    The module loses its reference when it loses power, and cannot tell.  So the first ``move()`` after ``open()``
    begins with a reference run; until that has ended, the angle is not a number.  A module that turns answers when it
    has arrived: meanwhile the newest angle is the one before the move, and only the newest of the angles commanded
    meanwhile is kept.
    """

    def __init__(self, options: ElliptecOptions) -> None:
        self._options = options
        self._state = OpenState('hwp')
        self._line = SerialLine('hwp', options.port, BAUD)
        self.info: ModuleInfo | None = None
        self._forget()

    def _forget(self) -> None:
        self._lost: DeviceFault | None = None
        self._fault: DeviceFault | None = None
        self._referenced = False
        self._counts: int | None = None
        self._counts_ns = 0
        self._goal_rad: float | None = None
        self._asked, self._asked_ns = '', 0  # command that waits for its answer
        self._round_trip_s = nan
        self._time, self._waiting = Forward('hwp'), Waiting()

    # --- Protocol ---

    def open(self) -> None:
        """Open the port and identify the module; it does not move.

        Raises
        ------
        DeviceFault
            ``hwp.silent``: no port or no answer within twice the time-out; ``hwp.other``: another module than the
            options name, or one that does not rotate.
        """
        self.close()
        self._forget()
        self._line.open()
        try:
            self.info = self._identify()
        except DeviceFault:
            self._line.close()
            raise
        self._state.is_open = True

    def move(self, now_ns: int, angle_rad: float) -> None:
        """Go to an angle by the shorter way modulo pi, after the reference run if there was none."""
        self._check()
        if not isfinite(angle_rad):
            raise DeviceFault('hwp.command', f'angle {angle_rad} is not a number')
        self._goal_rad = angle_rad
        self._work(now_ns, ask_position=False)

    def read(self, now_ns: int) -> HwpReading:
        """Newest angle, with the time of its reading (mid-way between request and answer)."""
        self._check()
        self._work(now_ns, ask_position=True)
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault
        moving = self._goal_rad is not None or self._asked in _MOVES
        if self._counts is None or not self._referenced:
            return HwpReading(now_ns, nan, moving)
        angle_rad = self._options.sign * self._counts * self._rad_per_count % pi
        return HwpReading(self._counts_ns, 0.0 if angle_rad == pi else angle_rad, moving)

    def stop(self, now_ns: int) -> None:
        """Forget the commanded angle and end the move."""
        self._goal_rad = None
        if not self._state.is_open or self._lost is not None or self._asked not in _MOVES:
            return
        if self._asked == 'ho':
            self._asked = 'mr'  # its end is no reference
        try:
            self._line.send(request(self._options.address, 'ms'))
        except DeviceFault as fault:
            self._lost = fault  # read() reports it

    def close(self) -> None:
        """End the move and close the port."""
        if self._state.is_open:
            self.stop(0)
        self._state.is_open = False
        self._line.close()

    # --- beyond the Protocol ---

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return {
            'model': f'ELL{self.info.model}' if self.info else '',
            'serial_number': self.info.serial_number if self.info else '',
            'firmware': self.info.firmware if self.info else '',
            'round_trip_ms': f'{self._round_trip_s * 1e3:.0f}',
        }

    def self_test(self, move: bool = False) -> str:
        """Status of the module and time of a round trip; with `move`, a reference run and a turn of 10 deg."""
        self._check()
        began_s = time.monotonic()
        status = parse_status(self._ask('gs', self._options.timeout_s))
        said = f'{self.name}, status {_words(status)}, round trip {(time.monotonic() - began_s) * 1e3:.0f} ms'
        if status is not Status.OK:
            raise DeviceFault('hwp.status', said)
        if move:
            home = self._ask(f'ho{self._options.home_counter_clockwise:d}', self._options.home_timeout_s)
            if parse_position(home) is None:
                raise DeviceFault('hwp.status', f'{said}; reference run: {_words(parse_status(home))}')
            goal = round(self._counts_per_turn / 36)
            answer = self._ask('ma' + counts_text(goal), self._options.move_timeout_s)
            counts = parse_position(answer)
            if counts is None or abs(counts - goal) > self._counts_per_turn / 3600:
                raise DeviceFault('hwp.position', f'{said}; after a move by 10 deg it answered {answer.data!r}')
            said += f', stands at {360 * counts / self._counts_per_turn:.2f} deg after a move to 10 deg'
        return said

    # --- the conversation ---

    @property
    def _counts_per_turn(self) -> int:
        return self.info.counts_per_turn if self.info else 0

    @property
    def _rad_per_count(self) -> float:
        return tau / self._counts_per_turn

    @property
    def name(self) -> str:
        """Model, serial number and firmware."""
        info = self.info
        if info is None:
            return 'unidentified module'
        return (
            f'ELL{info.model} serial {info.serial_number} firmware {info.firmware}, {info.counts_per_turn} counts/turn'
        )

    def _check(self) -> None:
        self._state.require()
        if self._lost is not None:
            raise self._lost

    def _identify(self) -> ModuleInfo:
        info = None
        for _ in range(2):  # the first one may find the module at the end of a move, or noise on the line
            answer = self._ask('in', self._options.timeout_s, missing_ok=True)
            info = parse_info(answer) if answer else None
            if info is not None:
                break
        if info is None:
            raise DeviceFault(
                'hwp.silent', f'{self._options.port}: no Elliptec module with address {self._options.address}'
            )
        if not info.rotates or not info.counts_per_turn:
            raise DeviceFault('hwp.other', f'{self._options.port}: an ELL{info.model} is no rotation stage')
        wanted = self._options.serial_number
        if wanted is not None and wanted != info.serial_number:
            raise DeviceFault('hwp.other', f'{self._options.port}: module {info.serial_number} instead of {wanted}')
        return info

    def _ask(self, command: str, timeout_s: float, missing_ok: bool = False) -> Answer:
        """Send and wait for the answer; only while nothing else goes on."""
        self._line.send(request(self._options.address, command))
        for left_s in looks(timeout_s):
            for line in self._line.lines(left_s):
                answer = parse(line)
                if answer is not None and answer.address == self._options.address:
                    return answer
        if missing_ok:
            return Answer('', '', '')
        raise DeviceFault('hwp.silent', f'{self._options.port}: no answer to {command!r} within {timeout_s:g} s')

    def _work(self, now_ns: int, ask_position: bool) -> None:
        """Take the answers that have arrived, then send the next request if none is under way."""
        try:
            self._time.check(now_ns)
            for line in self._line.lines():
                answer = parse(line)
                if answer is not None and answer.address == self._options.address:
                    self._take(now_ns, answer)
            self._check_time(now_ns)
            if not self._asked:
                self._send_next(now_ns, ask_position)
        except DeviceFault as fault:
            self._lost, self._goal_rad, self._referenced = fault, None, False
            raise

    def _take(self, now_ns: int, answer: Answer) -> None:
        counts, status = parse_position(answer), parse_status(answer)
        if counts is not None:
            at_ns = (self._asked_ns + now_ns) // 2 if self._asked == 'gp' else now_ns
            self._counts, self._counts_ns = counts, max(at_ns, self._counts_ns)
            self._referenced |= self._asked == 'ho'
            self._round_trip_s = (now_ns - self._asked_ns) * 1e-9 if self._asked == 'gp' else self._round_trip_s
            self._asked = ''
        elif status is Status.COMMAND_NOT_SUPPORTED and self._asked in _MOVES:
            pass  # a module without the command to stop: its move ends by itself
        elif status is not None:
            if status is not Status.OK and not (status is Status.BUSY and self._asked == 'gp'):
                self._goal_rad = None
                self._fault = DeviceFault(f'hwp.{status.name.lower()}', f'{self.name}: {_words(status)}')
            self._asked = ''

    def _check_time(self, now_ns: int) -> None:
        options = self._options
        limit_s = {'ho': options.home_timeout_s, 'ma': options.move_timeout_s, 'mr': options.move_timeout_s}
        waited_s = self._waiting.look(now_ns)
        if self._asked and waited_s > limit_s.get(self._asked, options.timeout_s):
            raise DeviceFault('hwp.silent', f'{options.port}: no answer to {self._asked!r} for {waited_s:.1f} s')

    def _send_next(self, now_ns: int, ask_position: bool) -> None:
        if self._goal_rad is not None and not self._referenced:
            self._request(now_ns, 'ho', f'{self._options.home_counter_clockwise:d}')
            return
        if self._goal_rad is not None and self._counts is not None:
            goal_rad, self._goal_rad = self._goal_rad, None
            here_rad = self._options.sign * self._counts * self._rad_per_count
            turn_rad = remainder(goal_rad - here_rad, pi)
            if abs(turn_rad) >= radians(self._options.least_move_deg):
                self._request(now_ns, *self._move_by(round(self._options.sign * turn_rad / self._rad_per_count)))
                return
        if ask_position:
            self._request(now_ns, 'gp')

    def _move_by(self, counts: int) -> tuple[str, str]:
        """Absolute move within the turn, which a lost answer cannot falsify; relative one through the zero mark."""
        goal = (self._counts or 0) + counts
        return ('ma', counts_text(goal)) if 0 <= goal < self._counts_per_turn else ('mr', counts_text(counts))

    def _request(self, now_ns: int, command: str, data: str = '') -> None:
        self._line.send(request(self._options.address, command, data))
        self._asked, self._asked_ns = command, now_ns
        self._waiting.begin(now_ns)


def _words(status: Status | None) -> str:
    return status.name.lower().replace('_', ' ') if status is not None else 'unknown'


def probe(address: str) -> Probed | None:
    """Look for a rotation stage with bus address 0 at a serial port."""
    if not is_serial(address):
        return None
    rotator = ElliptecRotator(ElliptecOptions(port=address))
    try:
        rotator.open()
    except DeviceFault:
        return None
    rotator.close()
    info = rotator.info
    return Probed({'port': address, 'serial_number': info.serial_number}, rotator.name) if info else None


@driver(ElliptecOptions, probe)
def elliptec(context: DriverContext[ElliptecOptions]) -> HwpRotator:
    """Driver ``hwp.elliptec``."""
    return ElliptecRotator(context.options)
