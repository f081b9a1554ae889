"""Announcement of the satellite: the sum (exclusive or) of two keys, with a tag for each station."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from qkd_gs.errors import StationError
from qkd_gs.keys.entries import parse_piece_name
from qkd_gs.qkd.link.auth import TAG_BYTES, Authenticator, forgery_probability, secret_bytes
from qkd_gs.settings.loader import Section, reason

VERSION = 1
TAG_SECRET_BITS = 8 * secret_bytes(1)  # of each key, behind the bits that are relayed
ATTEMPTS = 16  # wrong tags that a station tries with one key
TRUST = 'The satellite knows the relayed key: whoever controls it can read what the key protects.'
_SATELLITE = 0  # sender in the transcript
_MAX_BYTES = 1 << 26


class RelayEnd(Section):
    """One of the two stations.

    Attributes
    ----------
    station : str
    piece : str
        Bits of its key with the satellite: those that are relayed, then those of the tag.
    """

    station: str = Field(pattern=r'^[0-9A-Za-z][0-9A-Za-z._~@+:-]{0,63}$')
    piece: str = Field(max_length=100)


class Announcement(Section):
    """The announcement, public.

    Attributes
    ----------
    relay_id : str
        Name of the relayed key, 32 hexadecimal digits.
    bits : int
        Its length.
    ends : list of RelayEnd
        Both stations in the order of their names.  The relayed key is that of the first.
    epsilon : dict
        Failure probability of each part; they add up.
    sum : str
        Exclusive or of both keys, base64.
    tags : dict
        Tag for each station, hexadecimal, over everything else.
    """

    version: int
    relay_id: str = Field(pattern=r'^[0-9a-f]{32}$')
    made_utc: str
    simulated: bool
    bits: int = Field(gt=0, multiple_of=8)
    ends: list[RelayEnd] = Field(min_length=2, max_length=2)
    epsilon: dict[str, float]
    sum: str
    tags: dict[str, str]

    @field_validator('ends')
    @classmethod
    def _in_order(cls, value: list[RelayEnd]) -> list[RelayEnd]:
        if value[0].station >= value[1].station:
            raise ValueError('the stations are not two, in the order of their names')
        return value

    def tagged_bytes(self) -> bytes:
        """Bytes that the tags cover."""
        return canonical(self.model_dump(exclude={'tags'}))

    def sum_bytes(self) -> bytes:
        """The sum, packed.

        Raises
        ------
        StationError
            It is not base64, or has another length than the key.
        """
        try:
            found = base64.b64decode(self.sum, validate=True)
        except binascii.Error as error:
            raise StationError('the sum is not base64') from error
        if 8 * len(found) != self.bits:
            raise StationError(f'the sum has {8 * len(found)} bits, the key {self.bits}')
        return found

    def end_of(self, key_ids: set[str]) -> tuple[RelayEnd, RelayEnd]:
        """The end that one of these keys belongs to, and the other one.

        Raises
        ------
        StationError
            It is neither, or both.
        """
        mine = [one for one in self.ends if parse_piece_name(one.piece)[0] in key_ids]
        if len(mine) != 1:
            raise StationError(f'the relay of {" and ".join(one.station for one in self.ends)} is not for this folder')
        other = next(one for one in self.ends if one is not mine[0])
        return mine[0], other


def canonical(content: Mapping[str, Any]) -> bytes:
    """The same bytes for the same content."""
    return json.dumps(content, sort_keys=True, separators=(',', ':')).encode()


def tag_of(secret: bytes, content: bytes) -> str:
    """Tag of an announcement (Wegman, Carter) with bits that are used for nothing else, hexadecimal."""
    authenticator = Authenticator(secret)
    transcript = authenticator.transcript()
    transcript.record(_SATELLITE, content)
    return authenticator.tag(0, transcript).hex()


def forgery_epsilon(content_bytes: int) -> float:
    """Probability that a station accepts a forged announcement of at most this length."""
    return ATTEMPTS * forgery_probability(content_bytes)


def is_tag(text: str) -> bool:
    """True if a text has the form of a tag."""
    try:
        return len(bytes.fromhex(text)) == TAG_BYTES
    except ValueError:
        return False


def read_announcement(path: Path) -> Announcement:
    """Read the file of an announcement.

    Raises
    ------
    StationError
        Unreadable, too long, or no announcement of this version.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise StationError(f'is longer than {_MAX_BYTES} bytes', where=path)
        found = Announcement.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StationError(f'cannot be read: {error.strerror}', where=path) from error
    except ValidationError as error:
        raise StationError(f'is not an announcement of a relay: {reason(error)}', where=path) from error
    if found.version != VERSION:
        raise StationError(f'has version {found.version}, not {VERSION}', where=path)
    return found
