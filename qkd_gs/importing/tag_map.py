"""The map of a tag file: which input is which detector, and when the recording began."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from qkd_gs.arrays import ByteArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.settings.loader import Section, load_yaml
from qkd_gs.tag_formats.raw import MARKER, MARKERS, MAX_INPUT, SYNC
from qkd_gs.timing.tags import Channel

_MARKER = re.compile(r'marker (\d+)')
_INPUT = re.compile(r'(?:input )?(-?\d+)')
UNUSED = 0
TABLE_OFFSET = MAX_INPUT  # sources below 0 are falling edges


class TagMap(Section):
    """All of a map file."""

    channels: dict[int | str, Literal['H', 'V', 'D', 'A', 'BEACON']] = Field(
        description='input as its maker counts it, from 1 (negative: its falling edge), or sync, or marker N'
    )
    pps: int | str = Field(description='sync, marker N, or input N')
    edge: Literal['rising', 'falling'] = Field(
        default='rising', description='edge of the PPS that marks the second, where both are tagged'
    )
    resolution_ps: float | None = Field(default=None, gt=0, le=1e6, description='for formats that do not tell theirs')
    start: str = Field(description='UTC of time 0 of the file, within 0.4 s')
    delays_ns: dict[Literal['H', 'V', 'D', 'A', 'BEACON', 'PPS'], float] = Field(
        default_factory=dict, description='cable and detector delay of each channel; not given: 0'
    )
    delay_uncertainty_ns: float = Field(
        default=0.3,
        gt=0,
        le=0.3,
        description='largest error of the delays of H, V, D, A relative to each other, calibrated beforehand',
    )

    @field_validator('start', mode='before')
    @classmethod
    def _as_text(cls, value: object) -> object:
        if not isinstance(value, datetime):
            return value
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat().replace('+00:00', 'Z')

    @field_validator('start')
    @classmethod
    def _a_time(cls, value: str) -> str:
        parse_utc(value)
        return value

    @field_validator('delays_ns')
    @classmethod
    def _possible_delays(cls, value: dict[str, float]) -> dict[str, float]:
        far = [name for name, delay_ns in value.items() if abs(delay_ns) > 1e9]
        if far:
            raise ValueError(f'{far[0]}: a delay of more than a second is no cable')
        return value

    @model_validator(mode='after')
    def _each_once(self) -> TagMap:
        names = list(self.channels.values())
        missing = [name for name in ('H', 'V', 'D', 'A') if name not in names]
        if missing:
            raise ValueError(f'channels: no input is {", ".join(missing)}')
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f'channels: {twice} is named twice')
        sources = [source_number(key) for key in (*self.channels, self.pps)]
        if len(set(sources)) < len(sources):
            raise ValueError('an input has two meanings')
        return self

    @property
    def has_beacon(self) -> bool:
        """True if an input is the beacon."""
        return Channel.BEACON.name in self.channels.values()

    @property
    def start_ns(self) -> int:
        """UTC of time 0 of the file, ns since the Unix epoch."""
        return parse_utc(self.start)

    def table(self) -> ByteArray:
        """Channel of each source, `UNUSED` for the others; indexed by source + `TABLE_OFFSET`."""
        table = np.full(SYNC + MARKERS + 1 + TABLE_OFFSET, UNUSED, np.uint8)
        for key, name in self.channels.items():
            table[source_number(key) + TABLE_OFFSET] = Channel[name]
        table[source_number(self.pps) + TABLE_OFFSET] = Channel.PPS
        return table


def load_map(path: Path) -> TagMap:
    """Read a map file.

    Raises
    ------
    StationError
        Unreadable, or a key that is unknown, missing, or contradicts another; with file, line and key.
    """
    return load_yaml(path, TagMap)


def source_number(key: int | str) -> int:
    """Number of a source, as `RawTags.source` has it, from its name.

    Raises
    ------
    StationError
        Neither an input, nor sync, nor a marker.
    """
    text = str(key).strip().lower()
    if text == 'sync':
        return SYNC
    marker, tagger = _MARKER.fullmatch(text), _INPUT.fullmatch(text)
    if marker and 1 <= int(marker[1]) <= MARKERS:
        return MARKER + int(marker[1])
    if tagger and abs(int(tagger[1])) <= MAX_INPUT:
        return int(tagger[1])
    raise StationError(f'{key!r} is neither an input, nor sync, nor marker 1 to {MARKERS}')
