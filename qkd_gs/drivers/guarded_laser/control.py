"""Control of a laser over its line: a pure step that reads, decides and sends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from math import nan
from typing import Any, ClassVar

from qkd_gs.drivers.guarded_laser.commands import LaserCommands, LaserLine
from qkd_gs.drivers.guarded_laser.options import LaserOptions
from qkd_gs.drivers.guarded_laser.state import LaserState
from qkd_gs.drivers.steady import Waiting
from qkd_gs.errors import DeviceFault, StationError

_AGAIN_NS = 50_000_000  # between two commands to switch off, while the laser is not known to be off
_RETRY_NS = 200_000_000  # between two attempts to open a lost port
_RAMP_NS = 50_000_000  # between two powers of the ramp
_STUCK_NS = 300_000_000  # the laser must be off by then
_EXCESS = 1.2  # power read back / power set
_SETTLE_NS = 1_000_000_000


class LaserControl(ABC):
    """One laser, from the first command to switch off to the last.

    Time is an argument, in ns of any clock that never goes back.

    The laser emits only while ``order(True)`` has been repeated within the watchdog time, the interlock is closed,
    all commands after opening have been answered, and there is no fault.  In every other case the command to switch off
    is sent until the laser has answered that it is off, also to a laser that does not answer, and as the first command
    after a lost port could be opened again.

    Parameters
    ----------
    power_w : float
        Full power.
    name : str
        Of the port, for messages.
    """

    Options: ClassVar[type[LaserOptions]]

    def __init__(
        self, options: LaserOptions, power_w: float, line: LaserLine, commands: LaserCommands, name: str
    ) -> None:
        self._laser_options, self._power_w = options, power_w
        self._line, self._commands, self._name = line, commands, name
        self._opened, self._tried_ns = False, -_RETRY_NS
        self._fault: DeviceFault | None = None
        self._ordered_ns: int | None = None
        self._missing: set[str] = set()  # commands that this laser does not have
        self._health: dict[str, str] = {}
        self._forget()

    def _forget(self) -> None:
        """Nothing is known of a laser whose port has just been opened."""
        self._asked: deque[tuple[str, int]] = deque()  # commands that wait for their answers, with the times
        self._waiting = Waiting()  # for the first of them
        self._known: dict[str, tuple[int, Any]] = {}  # answers by command, with the time of asking
        self._to_ask: deque[str] = deque(self._commands.once)
        self._off_ns: int | None = None  # of the first command to switch off of those that are not confirmed
        self._off_sent_ns = -_AGAIN_NS
        self._off_confirmed = self._lit = self._powered = False
        self._ask_light = False  # next
        self._set_w, self._set_ns, self._ramp_ns = 0.0, 0, 0

    # --- differing by laser ---

    @abstractmethod
    def _answered(self, now_ns: int, command: str, asked_ns: int, answer: str) -> None:
        """Take the answer to a command: `_know`, `_fail`; raises DeviceFault or ValueError to end the conversation."""

    def _before_light(self, now_ns: int) -> str:
        """Command that must come before the light; '' if none."""
        return ''

    @property
    def _interlock_closed(self) -> bool:
        return bool(self._value(self._commands.interlock, False))

    @property
    def _warming(self) -> bool:
        """Whether the ramp must wait."""
        return False

    # --- orders and readings ---

    def order(self, on: bool, now_ns: int) -> None:
        """Emit for the watchdog time from `now_ns`, or switch off."""
        self._ordered_ns = now_ns if on else None

    @property
    def state(self) -> LaserState:
        """State of the laser."""
        commands = self._commands
        power_w = self._value(commands.measured, nan)
        fault = self._fault
        return LaserState(
            at_ns=min(self._known[one][0] if one in self._known else 0 for one in commands.often),
            emitting=self._lit
            or self._value(commands.light, False)
            or power_w > 0.05 * self._laser_options.rated_power_w,
            power_w=power_w,
            interlock_closed=self._interlock_closed,
            fault=fault.code if fault else '',
            message=str(fault).partition(': ')[2] if fault else '',
            off_confirmed=self._off_confirmed,
            health=dict(self._health),
        )

    def _value(self, command: str, otherwise: Any) -> Any:
        return self._known[command][1] if command in self._known else otherwise

    # --- step ---

    def step(self, now_ns: int) -> None:
        """Take the answers, then send what is due."""
        if not self._opened and not self._open(now_ns):
            return
        try:
            for answer in self._line.answers():
                self._take(now_ns, answer)
            waited_s = self._waiting.look(now_ns)
            if self._asked and waited_s > self._laser_options.timeout_s:
                raise DeviceFault(
                    'beacon.silent', f'{self._name}: no answer to {self._asked[0][0]!r} for {waited_s:.2f} s'
                )
            self._send_due(now_ns)
        except (DeviceFault, ValueError) as error:
            self._lose(error, now_ns)

    def close(self) -> None:
        """Close the port."""
        self._line.close()
        self._opened = False

    def _open(self, now_ns: int) -> bool:
        if now_ns - self._tried_ns < _RETRY_NS:
            return False
        self._tried_ns = now_ns
        try:
            self._line.open()
        except DeviceFault as fault:
            self._fail(fault)
            return False
        except StationError as error:
            self._fail(DeviceFault('beacon.refused', str(error)))
            return False
        self._forget()
        self._opened = True
        return True

    def _lose(self, error: Exception, now_ns: int) -> None:
        """The conversation is broken: switch off without waiting for an answer, and begin it again."""
        self._fail(error if isinstance(error, DeviceFault) else DeviceFault('beacon.garbled', str(error)))
        self.send_off()
        self.close()
        self._tried_ns = now_ns

    def send_off(self) -> None:
        """Send the command to switch off without waiting for its answer, which `step` will not understand."""
        try:
            self._line.tell(self._commands.off)
        except DeviceFault:
            pass  # there is no port; `step` opens it again

    def _fail(self, fault: DeviceFault) -> None:
        self._fault = self._fault or fault
        self._ordered_ns = None

    def _may_emit(self, now_ns: int) -> bool:
        if self._ordered_ns is not None and now_ns - self._ordered_ns > self._laser_options.watchdog_s * 1e9:
            self._ordered_ns = None
        identified = self._fault is None and not self._to_ask
        return self._ordered_ns is not None and identified and self._interlock_closed

    def _send_due(self, now_ns: int) -> None:
        emit = self._may_emit(now_ns)
        if not emit:
            self._lit = self._powered = False
            if not self._off_confirmed and now_ns - self._off_sent_ns >= _AGAIN_NS:
                self._off_ns = now_ns if self._off_ns is None else self._off_ns
                self._off_sent_ns, self._ask_light = now_ns, True
                self._ask(now_ns, self._commands.off)
        if self._asked:
            return
        command = self._next_to_emit(now_ns) if emit else ''
        self._ask(now_ns, command or self._next_question())

    def _next_to_emit(self, now_ns: int) -> str:
        if command := self._before_light(now_ns):
            return command
        start_w = min(self._laser_options.start_power_w, self._power_w)
        if not self._powered:
            self._powered = True
            self._set_w = start_w
            return self._commands.power(self._set_w)
        if not self._lit:
            self._lit, self._off_confirmed, self._off_ns = True, False, None
            self._ask_light = True
            self._ramp_ns = self._set_ns = now_ns
            return self._commands.on
        if self._warming:
            self._ramp_ns = now_ns
        elif self._set_w != self._power_w and now_ns - self._set_ns >= _RAMP_NS:
            ramp_s = self._laser_options.ramp_s
            share = (now_ns - self._ramp_ns) * 1e-9 / ramp_s if ramp_s else 1.0
            self._set_w, self._set_ns = start_w + (self._power_w - start_w) * min(share, 1.0), now_ns
            return self._commands.power(self._set_w)
        return ''

    def _next_question(self) -> str:
        if self._ask_light:
            self._ask_light = False
            return self._commands.light
        if self._to_ask:
            return self._to_ask.popleft()
        known = self._known
        questions = [one for one in (*self._commands.often, *self._commands.seldom) if one not in self._missing]
        return min(questions, key=lambda one: known[one][0] if one in known else 0)

    def _ask(self, now_ns: int, command: str) -> None:
        self._line.ask(command)
        if not self._asked:
            self._waiting.begin(now_ns)
        self._asked.append((command, now_ns))

    # --- answers ---

    def _take(self, now_ns: int, answer: str) -> None:
        if not self._asked:
            return  # greeting, or noise
        command, asked_ns = self._asked.popleft()
        self._waiting.begin(now_ns)
        self._health['round_trip_ms'] = f'{(now_ns - asked_ns) * 1e-6:.0f}'
        self._answered(now_ns, command, asked_ns, answer.strip())

    def _know_serial_number(self, serial_number: str) -> None:
        self._health['serial_number'] = serial_number
        expected = self._laser_options.serial_number
        if expected is not None and serial_number != expected:
            raise DeviceFault('beacon.other', f'laser {serial_number} instead of {expected}')

    def _know(self, now_ns: int, command: str, asked_ns: int, value: Any) -> None:
        """Keep the answer to a question, and see whether it means a fault."""
        self._known[command] = (asked_ns, value)
        if command == self._commands.measured:
            settled = self._lit and now_ns - self._set_ns > _SETTLE_NS
            if settled and value > _EXCESS * self._set_w:
                self._fail(DeviceFault('beacon.power', f'{value:.3f} W instead of {self._set_w:.3f} W'))
        elif command == self._commands.light and not self._lit:
            self._check_off(now_ns, asked_ns, on=value)

    def _check_off(self, now_ns: int, asked_ns: int, on: bool) -> None:
        """Whether an answer about the light confirms the last command to switch off."""
        if asked_ns < self._off_sent_ns or self._off_ns is None:
            return
        if not on:
            self._off_confirmed, self._off_ns = True, None
        elif now_ns - self._off_ns > _STUCK_NS:
            self._fail(DeviceFault('beacon.stuck_on', 'the laser does not switch off: take its power or its key'))
