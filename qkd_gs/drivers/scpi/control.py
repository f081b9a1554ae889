"""Control of a laser with SCPI commands: what its answers mean."""

from __future__ import annotations

from typing import Any

from qkd_gs.drivers.guarded_laser.commands import LaserCommands
from qkd_gs.drivers.guarded_laser.control import LaserControl
from qkd_gs.drivers.scpi.options import ScpiOptions
from qkd_gs.drivers.scpi.visa_session import VisaSession
from qkd_gs.errors import DeviceFault

IDENTITY = '*IDN?'
_CLEAR = '*CLS'
_SWITCH = {'1': True, 'ON': True, '0': False, 'OFF': False}


class _Line:
    """A question is answered by the laser; a setting, which has no answer in SCPI, by its error queue.

    The conversation waits for each answer: a laser that is sent a message before it could answer the last one drops
    that answer (IEEE 488.2).  In the guard process nothing else has to wait.
    """

    def __init__(self, options: ScpiOptions) -> None:
        self._session = VisaSession(
            'beacon', options.resource, options.library, options.timeout_s, options.line_end, options.baud
        )
        self._error_query = options.error_query
        self._answers: list[str] = []
        self.tell, self.close = self._session.write, self._session.close

    def open(self) -> None:
        self._answers.clear()
        self._session.open()

    def ask(self, command: str) -> None:
        question = command
        if '?' not in command:
            self._session.write(command)
            question = self._error_query
        self._answers.append(self._session.query(question))

    def answers(self) -> list[str]:
        answers, self._answers = self._answers, []
        return answers


class ScpiControl(LaserControl):
    """Control of one laser, whose commands are options."""

    Options = ScpiOptions

    def __init__(self, options: ScpiOptions, power_w: float) -> None:
        commands = LaserCommands(
            on=options.on_command,
            off=options.off_command,
            power=options.power_message,
            light=options.light_query,
            interlock=options.interlock_query,
            measured=options.power_query or '',
            once=(_CLEAR, IDENTITY, *options.setup_commands, *options.expected_answers),
            seldom=(options.error_query, *filter(None, (options.fault_query,))),
        )
        super().__init__(options, power_w, _Line(options), commands, options.resource)
        self._options = options

    def _answered(self, now_ns: int, command: str, asked_ns: int, answer: str) -> None:
        options = self._options
        if '?' not in command or command == options.error_query:
            self._take_error(now_ns, command, asked_ns, answer)
        elif command == IDENTITY:
            self._take_identity(answer)
        elif command in options.expected_answers:
            if not _same(answer, options.expected_answers[command]):
                expected = options.expected_answers[command]
                raise DeviceFault(
                    'beacon.setting', f'the laser answers {command!r} with {answer[:40]!r}, not {expected!r}'
                )
        else:
            self._know(now_ns, command, asked_ns, self._meaning(command, answer))

    def _meaning(self, command: str, answer: str) -> Any:
        """Value of an answer; raises ValueError with both if it has none."""
        options = self._options
        if command == options.interlock_query:
            return _same(answer, options.interlock_closed_answer)
        if command == options.fault_query:
            if not _same(answer, options.no_fault_answer):
                self._fail(DeviceFault('beacon.laser_fault', f'the laser answers {command!r} with {answer[:40]!r}'))
            return answer
        try:
            if command == options.light_query:
                return _SWITCH[answer.upper()]
            return float(answer) * (1.0 if options.power_unit == 'W' else 1e-3)
        except (KeyError, ValueError):
            raise ValueError(f'{command!r} was answered {answer[:40]!r}') from None

    def _take_identity(self, answer: str) -> None:
        """Maker, model, serial number, firmware (IEEE 488.2)."""
        fields = [one.strip() for one in answer.split(',')]
        if len(fields) < 4:
            raise ValueError(f'{IDENTITY!r} was answered {answer[:40]!r}')
        self._health['model'], self._health['firmware'] = ' '.join(fields[:2]), fields[3]
        self._know_serial_number(fields[2])

    def _take_error(self, now_ns: int, command: str, asked_ns: int, answer: str) -> None:
        """Answer of the error queue, after a setting or in its turn; what it held before it was cleared is old."""
        try:
            code = int(answer.partition(',')[0])
        except ValueError:
            raise ValueError(f'{self._options.error_query!r} was answered {answer[:40]!r}') from None
        self._known[command] = (asked_ns, code)
        if code and _CLEAR in self._known:
            asked = 'an error' if command == self._options.error_query else f'{command!r}'
            # -100 to -299 and -400 to -499: commands; -300 to -399 and above 0: the equipment (SCPI-99, volume 2, 21.8)
            kind = 'laser_fault' if code > 0 or -400 < code <= -300 else 'refused'
            self._fail(DeviceFault(f'beacon.{kind}', f'the laser reports for {asked}: {answer[:80]}'))


def _same(answer: str, expected: str) -> bool:
    return answer.casefold() == expected.casefold()
