"""Options of the driver: the commands of the laser are among them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from qkd_gs.drivers.guarded_laser.options import LaserOptions

_POWER = '{power}'


class ScpiOptions(LaserOptions):
    """Options of the driver ``beacon.scpi``."""

    resource: str = Field(
        pattern=r'^\w\S*::\S+$', description='VISA name of the laser, e.g. TCPIP::192.168.1.30::5025::SOCKET'
    )
    library: str = Field('@py', min_length=1, description='VISA library: @py (PyVISA-py), @ivi, or a file for PyVISA')
    baud: int = Field(9600, ge=300, le=4_000_000, description='bits per second, of a serial resource (ASRL...)')
    line_end: Literal['lf', 'cr', 'crlf'] = Field('lf', description='end of a line, both ways')
    on_command: str = Field('OUTP ON', description='switches the light on')
    off_command: str = Field('OUTP OFF', description='switches the light off')
    light_query: str = Field('OUTP?', description='answered 1 or ON, 0 or OFF')
    power_command: str = Field('SOUR:POW {power}', description='sets the power; {power} stands for the number')
    power_query: str | None = Field('MEAS:POW?', description='measured power; null: the laser cannot tell')
    power_unit: Literal['W', 'mW'] = Field('W', description='unit of both numbers')
    interlock_query: str = Field(description='asks whether the interlock is closed')
    interlock_closed_answer: str = Field(min_length=1, description='answer when it is closed; any other: open')
    fault_query: str | None = Field(None, description='asks for faults of the laser; null: there is no such question')
    no_fault_answer: str = Field('0', min_length=1, description='answer when there is none; any other: a fault')
    error_query: str = Field('SYST:ERR?', description='oldest entry of the error queue, asked after every setting')
    setup_commands: tuple[str, ...] = Field(
        (), description='settings after opening, e.g. constant power; none switches the light on'
    )
    expected_answers: dict[str, str] = Field(
        {}, description='questions after opening and their only right answers, e.g. that autostart is off'
    )

    @field_validator('on_command', 'off_command', 'power_command', 'setup_commands')
    @classmethod
    def _are_settings(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for one in (value,) if isinstance(value, str) else value:
            _check_message(one)
            if '?' in one:
                raise ValueError(f'{one!r} is a question, where a setting belongs')
        return value

    @field_validator('light_query', 'power_query', 'interlock_query', 'fault_query', 'error_query', 'expected_answers')
    @classmethod
    def _are_questions(cls, value: str | dict[str, str] | None) -> str | dict[str, str] | None:
        for one in (value,) if isinstance(value, str) else value or ():
            _check_message(one)
            if '?' not in one:
                raise ValueError(f'{one!r} is no question: it has no ?')
        return value

    @model_validator(mode='after')
    def _fit_together(self) -> ScpiOptions:
        if self.power_command.count(_POWER) != 1:
            raise ValueError(f'power_command: {self.power_command!r} does not have {_POWER} once')
        if self.on_command in (self.off_command, *self.setup_commands):
            raise ValueError(f'on_command: {self.on_command!r} is also off_command or one of setup_commands')
        questions = [self.light_query, self.interlock_query, self.error_query, *self.expected_answers]
        questions += [one for one in (self.power_query, self.fault_query) if one is not None]
        if twice := sorted({one for one in questions if questions.count(one) > 1}):
            raise ValueError(f'{twice[0]!r} is given as the question for two things')
        return self

    def power_message(self, power_w: float) -> str:
        """Command for a power in W."""
        power = power_w if self.power_unit == 'W' else power_w * 1e3
        return self.power_command.replace(_POWER, f'{power:.6g}')


def _check_message(message: str) -> None:
    if not message.strip() or not message.isascii() or not message.isprintable() or ';' in message:
        raise ValueError(f'{message!r} is not one SCPI message: printable ASCII without ;')
