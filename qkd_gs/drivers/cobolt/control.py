"""Control of a Cobolt laser: its commands, and what its answers mean."""

from __future__ import annotations

from typing import Any

from qkd_gs.drivers.cobolt.options import CoboltOptions
from qkd_gs.drivers.cobolt.protocol import FAULTS, UNKNOWN, WARMING, number, set_power, state_name, switch
from qkd_gs.drivers.guarded_laser.commands import LaserCommands
from qkd_gs.drivers.guarded_laser.control import LaserControl
from qkd_gs.drivers.serial_line import SerialLine
from qkd_gs.errors import DeviceFault

_COMMANDS = LaserCommands(
    on='l1',
    off='l0',
    power=set_power,
    light='l?',
    interlock='ilk?',
    measured='pa?',
    once=('@cobas?', 'sn?', 'ver?'),
    seldom=('f?', 'gom?'),
)
_OPTIONAL = ('ver?', 'sn?', 'f?', 'gom?')  # which not every laser has


class _Line:
    """Serial line on which a command is a line that ends with CR."""

    def __init__(self, options: CoboltOptions) -> None:
        self._line = SerialLine('beacon', options.port, options.baud)
        self.open, self.answers, self.close = self._line.open, self._line.lines, self._line.close

    def ask(self, command: str) -> None:
        self._line.send(command.encode('ascii') + b'\r')

    tell = ask


class CoboltControl(LaserControl):
    """Control of one laser; one with autostart is refused, or its autostart is switched off."""

    Options = CoboltOptions

    def __init__(self, options: CoboltOptions, power_w: float) -> None:
        super().__init__(options, power_w, _Line(options), _COMMANDS, options.port)
        self._options = options

    @property
    def _interlock_closed(self) -> bool:
        """Whether the chain is closed, and the fault that it left (if it was open) is cleared or may be."""
        usable = not self._interlock_fault or self._options.clear_interlock_fault
        return super()._interlock_closed and usable

    @property
    def _interlock_fault(self) -> bool:
        return bool(self._value('f?', 0) == 3)

    @property
    def _warming(self) -> bool:
        return self._health.get('state') in WARMING

    def _before_light(self, now_ns: int) -> str:
        if not self._interlock_fault:
            return ''
        self._known['f?'] = (now_ns, 0)  # asked again in its turn
        return 'cf'

    def _answered(self, now_ns: int, command: str, asked_ns: int, answer: str) -> None:
        if answer.startswith(UNKNOWN):
            if command not in _OPTIONAL:
                raise DeviceFault('beacon.refused', f'the laser answers {command!r} with {answer!r}')
            self._missing.add(command)
            if command == 'sn?' and 'gsn?' not in self._missing:
                self._to_ask.appendleft('gsn?')
        elif command == '@cobas?':
            self._take_autostart(on=switch(command, answer))
        elif command == 'ver?':
            self._health['firmware'] = answer
        elif command in ('sn?', 'gsn?'):
            self._know_serial_number(answer)
        elif command.endswith('?'):
            self._take_reading(now_ns, command, asked_ns, answer)
        elif answer != 'OK':
            raise ValueError(f'{command!r} was answered {answer[:40]!r}')

    def _take_autostart(self, on: bool) -> None:
        if on:
            if not self._options.disable_autostart:
                raise DeviceFault(
                    'beacon.autostart', 'autostart is on: the laser would emit by itself (disable_autostart)'
                )
            self._to_ask.appendleft('@cobas 0')

    def _take_reading(self, now_ns: int, command: str, asked_ns: int, answer: str) -> None:
        value: Any = number(command, answer)
        if command == 'l?':
            value = switch(command, answer)
        elif command == 'ilk?':
            value = not switch(command, answer)  # 0: closed
        elif command == 'gom?':
            self._health['state'] = state_name(self._options.series, answer)
        self._know(now_ns, command, asked_ns, value)
        if command == 'f?' and value and value != 3:
            self._fail(
                DeviceFault(f'beacon.{FAULTS.get(int(value), "laser_fault")}', f'the laser reports fault {value:g}')
            )
