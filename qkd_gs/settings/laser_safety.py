"""Settings of what protects people from our beacon: aircraft, keep-out sectors, permitted times."""

from __future__ import annotations

import re
from datetime import datetime, time
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from qkd_gs.settings.loader import Section

_DAILY = re.compile(r'([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)')


class AircraftSettings(Section):
    """Aircraft, as the receiver of the devices file (`aircraft`) reports them."""

    watch: bool = Field(
        default=True, description='false: light is emitted without looking for aircraft; must be written explicitly'
    )
    cone_deg: float = Field(
        default=3.0, ge=0.5, le=30, description='half-angle about every possible position of an aircraft kept dark'
    )
    look_ahead_s: float = Field(default=30.0, ge=5, le=120, description='positions are predicted this far ahead')
    manoeuvre_m_s2: float = Field(
        default=3.0, ge=0, le=50, description='largest acceleration of an aircraft, in any direction'
    )
    latency_s: float = Field(
        default=1.0, ge=0, le=10, description='largest delay from the measurement of a position to its message'
    )
    silent_s: float = Field(default=5.0, gt=0, le=60, description='no message for this long: the feed is missing')
    quiet_s: float = Field(
        default=120.0, gt=0, le=3600, description='no position of any aircraft for this long: the receiver may be deaf'
    )
    forget_s: float = Field(
        default=60.0, ge=10, le=600, description='an aircraft counts for this long after its last position'
    )


class KeepOutSector(Section):
    """Part of the sky, and of the ground, that the beam must not enter."""

    name: str = Field(min_length=1, description='what is there, for the operator')
    from_az_deg: float = Field(ge=-360, le=360, description='the sector runs clockwise (through east) from here')
    to_az_deg: float = Field(ge=-360, le=360, description='to here; the same as from_az_deg: all around')
    min_el_deg: float = Field(default=-90.0, ge=-90, le=90, description='lower end')
    max_el_deg: float = Field(ge=-90, le=90, description='upper end')

    @model_validator(mode='after')
    def _ends_in_order(self) -> Self:
        if not self.min_el_deg < self.max_el_deg:
            raise ValueError(f'min_el_deg {self.min_el_deg:g} is not below max_el_deg {self.max_el_deg:g}')
        return self


class LaserSafetySettings(Section):
    """Conditions under which our beacon may emit.  What is not decided forbids light."""

    aircraft: AircraftSettings = Field(default_factory=AircraftSettings)
    keep_out: Literal['none'] | tuple[KeepOutSector, ...] | None = Field(
        default=None, description="sectors, or 'none'; not given: no light"
    )
    keep_out_margin_deg: float = Field(default=0.5, ge=0, le=20, description='kept free around every sector')
    permitted_times: Literal['any'] | tuple[str, ...] | None = Field(
        default=None,
        description="daily 'HH:MM-HH:MM' of the site's time zone or single 'START/END' in UTC (ISO 8601), or 'any';"
        ' not given: no light',
    )

    @field_validator('keep_out', 'permitted_times')
    @classmethod
    def _not_empty(cls, value: object) -> object:
        if value == ():
            raise ValueError("is an empty list: write 'none' or 'any' if nothing is to be kept")
        return value

    @field_validator('permitted_times')
    @classmethod
    def _times(cls, value: Literal['any'] | tuple[str, ...] | None) -> Literal['any'] | tuple[str, ...] | None:
        if value is not None and value != 'any':
            for text in value:
                if daily_span(text) is None:
                    single_span(text)
        return value


def daily_span(text: str) -> tuple[time, time] | None:
    """Local begin and end of ``HH:MM-HH:MM``, which may run through midnight; None if it has another form."""
    found = _DAILY.fullmatch(text.strip())
    if found is None:
        return None
    begin_h, begin_min, end_h, end_min = map(int, found.groups())
    return time(begin_h, begin_min), time(end_h, end_min)


def single_span(text: str) -> tuple[datetime, datetime]:
    """Begin and end of ``START/END``.

    Raises
    ------
    ValueError
        Not two times in UTC (ISO 8601 with a Z), or the end is not after the begin.
    """
    begin_text, _, end_text = text.partition('/')
    try:
        begin, end = (datetime.fromisoformat(part.strip()) for part in (begin_text, end_text))
    except ValueError as error:
        raise ValueError(f'{text!r} is neither HH:MM-HH:MM nor START/END in ISO 8601') from error
    if begin.tzinfo is None or end.tzinfo is None:
        raise ValueError(f'{text!r}: write UTC with a Z at the end')
    if begin >= end:
        raise ValueError(f'{text!r} ends before it begins')
    return begin, end
