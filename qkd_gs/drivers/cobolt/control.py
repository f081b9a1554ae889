"""Control of the laser over its serial line: a pure step that reads, decides and sends, and never waits."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from math import nan
from typing import Any

from qkd_gs.drivers.cobolt.options import CoboltOptions
from qkd_gs.drivers.cobolt.protocol import FAULTS, UNKNOWN, WARMING, number, set_power, state_name, switch
from qkd_gs.drivers.serial_line import SerialLine
from qkd_gs.errors import DeviceFault, StationError

_AGAIN_NS = 50_000_000  # between two commands to switch off, while the laser is not known to be off
_RETRY_NS = 200_000_000  # between two attempts to open a lost port
_RAMP_NS = 50_000_000  # between two powers of the ramp
_STUCK_NS = 300_000_000  # the laser must be off by then
_EXCESS = 1.2  # power read back / power set
_SETTLE_NS = 1_000_000_000
_ASKED_OFTEN = ('l?', 'ilk?', 'pa?')
_ASKED_ONCE = ('@cobas?', 'sn?', 'ver?')
_OPTIONAL = ('ver?', 'sn?', 'f?', 'gom?')  # which not every laser has


@dataclass(frozen=True)
class LaserState:
    """What is known of the laser.

    Attributes
    ----------
    at_ns : int
        Time of the oldest of the values; 0: not all of them have been heard yet.
    emitting : bool
        Switched on, or power measured.
    fault, message : str
        Code and sentence of a fault; '' if none.  A fault lasts until the laser is opened again.
    off_confirmed : bool
        The laser has answered that it is off, since it was last switched on.
    """

    at_ns: int = 0
    emitting: bool = False
    power_w: float = nan
    interlock_closed: bool = False
    fault: str = ''
    message: str = ''
    off_confirmed: bool = False
    health: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


class LaserControl:
    """One laser, from the first ``l0`` to the last; time is an argument, in ns of any clock that never goes back.

    The laser emits only while ``order(True)`` has been repeated within the watchdog time, the interlock is closed,
    autostart is off, and there is no fault.  In every other case ``l0`` is sent until the laser has answered that it is
    off, also to a laser that does not answer, and as the first command after a lost port could be opened again.
    """

    def __init__(self, options: CoboltOptions, power_w: float) -> None:
        self._options, self._power_w = options, power_w
        self._line = SerialLine('beacon', options.port, options.baud)
        self._opened, self._tried_ns = False, -_RETRY_NS
        self._fault: DeviceFault | None = None
        self._ordered_ns: int | None = None
        self._missing: set[str] = set()  # commands that this laser does not have
        self._health: dict[str, str] = {}
        self._forget()

    def _forget(self) -> None:
        """Nothing is known of a laser whose port has just been opened."""
        self._asked: deque[tuple[str, int]] = deque()  # commands that wait for their answers, with the times
        self._known: dict[str, tuple[int, Any]] = {}  # answers by command, with the time of asking
        self._to_ask: deque[str] = deque(_ASKED_ONCE)
        self._off_ns: int | None = None  # of the first l0 of those that are not confirmed
        self._off_sent_ns = -_AGAIN_NS
        self._off_confirmed = self._lit = self._powered = False
        self._ask_light = False  # next
        self._set_w, self._set_ns, self._ramp_ns = 0.0, 0, 0

    # --- orders and readings ---

    def order(self, on: bool, now_ns: int) -> None:
        """Emit for the watchdog time from `now_ns`, or switch off."""
        self._ordered_ns = now_ns if on else None

    @property
    def state(self) -> LaserState:
        """What is known of the laser."""
        times = [self._known[one][0] if one in self._known else 0 for one in _ASKED_OFTEN]
        power_w = self._value('pa?', nan)
        fault = self._fault
        return LaserState(
            at_ns=min(times),
            emitting=self._lit or self._value('l?', False) or power_w > 0.05 * self._options.rated_power_w,
            power_w=power_w,
            interlock_closed=self._interlock_closed,
            fault=fault.code if fault else '',
            message=str(fault).partition(': ')[2] if fault else '',
            off_confirmed=self._off_confirmed,
            health=dict(self._health),
        )

    def _value(self, command: str, otherwise: Any) -> Any:
        return self._known[command][1] if command in self._known else otherwise

    @property
    def _interlock_closed(self) -> bool:
        """Whether the chain is closed, and the fault that it left (if it was open) is cleared or may be."""
        usable = not self._interlock_fault or self._options.clear_interlock_fault
        return self._value('ilk?', True) is False and usable

    @property
    def _interlock_fault(self) -> bool:
        return bool(self._value('f?', 0) == 3)

    # --- step ---

    def step(self, now_ns: int) -> None:
        """Take the answers, then send what is due."""
        if not self._opened and not self._open(now_ns):
            return
        try:
            for line in self._line.lines():
                self._take(now_ns, line)
            if self._asked and now_ns - self._asked[0][1] > self._options.timeout_s * 1e9:
                command, asked_ns = self._asked[0]
                raise DeviceFault(
                    'beacon.silent',
                    f'{self._options.port}: no answer to {command!r} for {(now_ns - asked_ns) * 1e-9:.2f} s',
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
        """Send ``l0`` without waiting for its answer, which `step` will not understand."""
        try:
            self._line.send(b'l0\r')
        except DeviceFault:
            pass  # there is no port; `step` opens it again

    def _fail(self, fault: DeviceFault) -> None:
        self._fault = self._fault or fault
        self._ordered_ns = None

    def _may_emit(self, now_ns: int) -> bool:
        if self._ordered_ns is not None and now_ns - self._ordered_ns > self._options.watchdog_s * 1e9:
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
                self._send(now_ns, 'l0')
        if self._asked:
            return
        command = self._next_to_emit(now_ns) if emit else ''
        self._send(now_ns, command or self._next_question())

    def _next_to_emit(self, now_ns: int) -> str:
        if self._interlock_fault:
            self._known['f?'] = (now_ns, 0)  # asked again in its turn
            return 'cf'
        if not self._powered:
            self._powered = True
            self._set_w = min(self._options.start_power_w, self._power_w)
            return set_power(self._set_w)
        if not self._lit:
            self._lit, self._off_confirmed, self._off_ns = True, False, None
            self._ask_light = True
            self._ramp_ns = self._set_ns = now_ns
            return 'l1'
        if self._health.get('state') in WARMING:
            self._ramp_ns = now_ns
        elif self._set_w != self._power_w and now_ns - self._set_ns >= _RAMP_NS:
            share = (now_ns - self._ramp_ns) * 1e-9 / self._options.ramp_s if self._options.ramp_s else 1.0
            start_w = min(self._options.start_power_w, self._power_w)
            self._set_w, self._set_ns = start_w + (self._power_w - start_w) * min(share, 1.0), now_ns
            return set_power(self._set_w)
        return ''

    def _next_question(self) -> str:
        if self._ask_light:
            self._ask_light = False
            return 'l?'
        if self._to_ask:
            return self._to_ask.popleft()
        often = [one for one in (*_ASKED_OFTEN, 'f?', 'gom?') if one not in self._missing]
        return min(often, key=lambda one: self._known[one][0] if one in self._known else 0)

    def _send(self, now_ns: int, command: str) -> None:
        self._line.send(command.encode('ascii') + b'\r')
        self._asked.append((command, now_ns))

    # --- answers ---

    def _take(self, now_ns: int, line: str) -> None:
        if not self._asked:
            return  # greeting, or noise
        command, asked_ns = self._asked.popleft()
        self._health['round_trip_ms'] = f'{(now_ns - asked_ns) * 1e-6:.0f}'
        answer = line.strip()
        if answer.startswith(UNKNOWN):
            if command not in _OPTIONAL:
                raise DeviceFault('beacon.refused', f'the laser answers {command!r} with {answer!r}')
            self._missing.add(command)
            if command == 'sn?' and 'gsn?' not in self._missing:
                self._to_ask.appendleft('gsn?')
        elif command in ('@cobas?', 'sn?', 'gsn?', 'ver?'):
            self._take_identity(command, answer)
        elif command.endswith('?'):
            self._take_reading(now_ns, command, asked_ns, answer)
        elif answer != 'OK':
            raise ValueError(f'{command!r} was answered {answer[:40]!r}')

    def _take_identity(self, command: str, answer: str) -> None:
        options = self._options
        if command == '@cobas?':
            if switch(command, answer):
                if not options.disable_autostart:
                    raise DeviceFault(
                        'beacon.autostart', 'autostart is on: the laser would emit by itself (disable_autostart)'
                    )
                self._to_ask.appendleft('@cobas 0')
        elif command == 'ver?':
            self._health['firmware'] = answer
        else:
            self._health['serial_number'] = answer
            if options.serial_number is not None and answer != options.serial_number:
                raise DeviceFault('beacon.other', f'laser {answer} instead of {options.serial_number}')

    def _take_reading(self, now_ns: int, command: str, asked_ns: int, answer: str) -> None:
        value: Any = number(command, answer)
        if command in ('l?', 'ilk?'):
            value = switch(command, answer)
        elif command == 'gom?':
            self._health['state'] = state_name(self._options.series, answer)
        self._known[command] = (asked_ns, value)
        if command == 'f?' and value and value != 3:
            self._fail(
                DeviceFault(f'beacon.{FAULTS.get(int(value), "laser_fault")}', f'the laser reports fault {value:g}')
            )
        elif command == 'pa?' and self._lit and now_ns - self._set_ns > _SETTLE_NS and value > _EXCESS * self._set_w:
            self._fail(DeviceFault('beacon.power', f'{value:.3f} W instead of {self._set_w:.3f} W'))
        elif command == 'l?' and not self._lit:
            self._check_off(now_ns, asked_ns, on=value)

    def _check_off(self, now_ns: int, asked_ns: int, on: bool) -> None:
        """Whether an answer to ``l?`` confirms the last ``l0``."""
        if asked_ns < self._off_sent_ns or self._off_ns is None:
            return
        if not on:
            self._off_confirmed, self._off_ns = True, None
        elif now_ns - self._off_ns > _STUCK_NS:
            self._fail(DeviceFault('beacon.stuck_on', 'the laser does not switch off: take its power or its key'))
