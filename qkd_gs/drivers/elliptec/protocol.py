"""Messages of Thorlabs' "ELLx modules protocol": ASCII, 9600 baud, one answer to each request.

A request is ``ADDRESS command [data]`` in small letters, an answer ``ADDRESS CODE [data] CR LF`` in capital ones.
Numbers are hexadecimal of fixed width; positions are signed 32-bit counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

BAUD = 9600
_ANSWER = re.compile(r'([0-9A-F])([A-Z][A-Z0-9])([0-9A-F]*)')
_INFO_CHARACTERS = 30  # behind the code of an answer IN
_ROTATION_STAGES = (8, 14, 16, 18, 21, 22)


class Status(IntEnum):
    """Codes of an answer GS."""

    OK = 0
    COMMUNICATION_TIMEOUT = 1
    MECHANICAL_TIMEOUT = 2
    COMMAND_NOT_SUPPORTED = 3
    VALUE_OUT_OF_RANGE = 4
    MODULE_ISOLATED = 5
    MODULE_OUT_OF_ISOLATION = 6
    INITIALIZING_ERROR = 7
    THERMAL_ERROR = 8
    BUSY = 9
    SENSOR_ERROR = 10
    MOTOR_ERROR = 11
    OUT_OF_RANGE = 12
    OVER_CURRENT = 13
    GENERAL_ERROR = 14


@dataclass(frozen=True)
class Answer:
    """An answer of a module: address, code (two characters) and data."""

    address: str
    code: str
    data: str


@dataclass(frozen=True)
class ModuleInfo:
    """Description that a module gives of itself (answer IN).

    Attributes
    ----------
    model : int
        14 of an ELL14.
    counts_per_turn : int
        Counts of the encoder in a full turn.
    """

    model: int
    serial_number: str
    year: str
    firmware: str
    travel_deg: int
    counts_per_turn: int

    @property
    def rotates(self) -> bool:
        """Whether it is a rotation stage."""
        return self.model in _ROTATION_STAGES


def request(address: str, command: str, data: str = '') -> bytes:
    """Bytes of a request."""
    return f'{address}{command}{data}'.encode('ascii')


def counts_text(counts: int) -> str:
    """Signed 32-bit counts as eight hexadecimal digits; raises ValueError beyond that range."""
    if not -(2**31) <= counts < 2**31:
        raise ValueError(f'{counts} does not fit into 32 bits')
    return f'{counts & 0xFFFFFFFF:08X}'


def parse(line: str) -> Answer | None:
    """Answer in a line; None if it is none (noise on the line)."""
    match = _ANSWER.fullmatch(line.strip())
    return Answer(match[1], match[2], match[3]) if match else None


def parse_position(answer: Answer) -> int | None:
    """Counts in an answer PO; None if it is another one."""
    if answer.code != 'PO' or len(answer.data) != 8:
        return None
    value = int(answer.data, 16)
    return value - 2**32 if value >= 2**31 else value


def parse_status(answer: Answer) -> Status | None:
    """Status in an answer GS; None if it is another one."""
    if answer.code != 'GS' or len(answer.data) != 2:
        return None
    value = int(answer.data, 16)
    return Status(value) if value in set(Status) else Status.GENERAL_ERROR


def parse_info(answer: Answer) -> ModuleInfo | None:
    """Information in an answer IN; None if it is another one."""
    text = answer.data
    if answer.code != 'IN' or len(text) != _INFO_CHARACTERS:
        return None
    return ModuleInfo(
        model=int(text[0:2], 16),
        serial_number=text[2:10],
        year=text[10:14],
        firmware=text[14:16],
        travel_deg=int(text[18:22], 16),
        counts_per_turn=int(text[22:30], 16),
    )
