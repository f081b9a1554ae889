"""Options of the driver, and the greeting of a TDC."""

from __future__ import annotations

import ipaddress
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from qkd_gs.settings.loader import Section
from qkd_gs.timing.tags import Channel

PORT = 5500
ChannelName = Literal['H', 'V', 'D', 'A', 'BEACON', 'PPS']


class TagStreamOptions(Section):
    """Options of the driver ``tdc.tag_stream``."""

    host: str = Field(description='address of the TDC: of this machine, or of a private network')
    port: int = Field(PORT, ge=1, le=65535, description='TCP port of the TDC')
    channels: dict[int, ChannelName] = Field(
        description='channel of each input, e.g. {1: H, 2: V, 3: D, 4: A, 5: BEACON, 6: PPS}'
    )
    serial_number: str | None = Field(None, description='another TDC is refused')
    timeout_s: float = Field(1.0, ge=0.3, le=5, description='[s] longest silence of the TDC')

    @field_validator('host')
    @classmethod
    def _near(cls, host: str) -> str:
        """A tag's detector is the raw key bit: the stream, which is not encrypted, may not leave the station."""
        address = ipaddress.ip_address('127.0.0.1' if host == 'localhost' else host)
        if not (address.is_loopback or address.is_private or address.is_link_local):
            raise ValueError(
                'tags are raw key and not encrypted: the TDC must be on this machine or in a private network'
            )
        return host

    @field_validator('channels')
    @classmethod
    def _every_channel_once(cls, channels: dict[int, ChannelName]) -> dict[int, ChannelName]:
        if not all(1 <= number <= 255 for number in channels):
            raise ValueError('inputs are numbered from 1 to 255')
        if sorted(channels.values()) != sorted(channel.name for channel in Channel):
            raise ValueError(f'each of {", ".join(channel.name for channel in Channel)} needs one input')
        return channels


class Hello(BaseModel):
    """Description that a TDC gives of itself."""

    model: str
    serial_number: str
    firmware: str = ''
    tick_ps: tuple[int, int] = Field(description='length of a tick: numerator and denominator')
    simulated: bool = Field(False, description='the tags are not of real light')

    @field_validator('tick_ps')
    @classmethod
    def _positive(cls, tick: tuple[int, int]) -> tuple[int, int]:
        if not (0 < tick[0] <= 10**6 and 0 < tick[1] <= 10**6):
            raise ValueError('not a positive length')
        return tick
