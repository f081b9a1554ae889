"""Commands and answers of Cobolt lasers: ASCII, one line each way; a setting is answered ``OK``."""

from __future__ import annotations

UNKNOWN = 'Syntax error'  # how an answer to a command begins that the laser does not have or does not accept

FAULTS = {1: 'temperature', 3: 'interlock_fault', 4: 'power_timeout'}  # f?; 0: none

STATES = {  # gom?
    'diode': ('off', 'waiting for key', 'on', 'on/off modulation', 'modulation', 'fault', 'aborted'),
    'dpss': ('off', 'waiting for temperatures', 'waiting for key', 'warming up', 'on', 'fault', 'aborted'),
}
WARMING = ('waiting for temperatures', 'waiting for key', 'warming up')


def number(command: str, answer: str) -> float:
    """Number in an answer; raises ValueError with both if it is none."""
    try:
        return float(answer)
    except ValueError:
        raise ValueError(f'{command!r} was answered {answer[:40]!r}') from None


def switch(command: str, answer: str) -> bool:
    """Answer ``0`` or ``1`` as bool; raises ValueError with both if it is neither."""
    if answer not in ('0', '1'):
        raise ValueError(f'{command!r} was answered {answer[:40]!r}')
    return answer == '1'


def set_power(power_w: float) -> str:
    """Command for a power in W."""
    return f'p {power_w:.4f}'


def state_name(series: str, answer: str) -> str:
    """State in words, from the answer to ``gom?``."""
    names = STATES[series]
    value = int(number('gom?', answer))
    return names[value] if 0 <= value < len(names) else f'state {value}'
