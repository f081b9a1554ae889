"""One side of an authenticated conversation: messages over a channel, and tags on all that was said."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from pydantic import ValidationError

from qkd_gs.errors import StationError
from qkd_gs.qkd.link.auth import Authenticator, Transcript, forgery_probability, secret_bytes
from qkd_gs.qkd.link.channel import Channel, Kind, Message, expect
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.settings.loader import Section

TAGS = 7  # log, sifting and key are tagged by both sides, the storing by the ground
SECRET_BITS = 8 * secret_bytes(TAGS)
MAX_JSON = 1 << 20
_SATELLITE, _STATION = 0, 1
_LONGEST_TRANSCRIPT = 1 << 32  # bytes; a long pass has 2^24
EPSILON = TAGS * forgery_probability(_LONGEST_TRANSCRIPT)  # that any tag of a pass is forged

S = TypeVar('S', bound=Section)


class Taken(Protocol):
    """Pre-shared bits that were taken."""

    def reveal(self) -> bytes:
        """Return the bits, packed."""

    def wipe(self) -> None:
        """Overwrite them."""


class PreShared(Protocol):
    """The key shared beforehand (`qkd_gs.keys.preshared`)."""

    @property
    def used_bits(self) -> int:
        """Bits used so far."""

    def take(self, bits: int, first: int | None = None) -> Taken:
        """Use bits, from the first unused one or a later one that both sides agreed on; never the same twice."""


class Conversation:
    """Say, hear, and vouch for it.

    A tag is over everything said since the start, so a later tag vouches again for what an earlier one covered.

    Parameters
    ----------
    channel : Channel
        To the other side.
    station : bool
        Whether this is the ground's end.
    """

    def __init__(self, channel: Channel, station: bool):
        self._channel = channel
        self._me, self._other = (_STATION, _SATELLITE) if station else (_SATELLITE, _STATION)
        self._unrecorded: list[tuple[int, tuple[bytes, ...]]] = []
        self._authenticator: Authenticator | None = None
        self._transcript: Transcript | None = None
        self._tags = 0
        self._digest = hashlib.sha256()
        self._spoke_last = False
        self.round_trips = 0  # turns of ours that the other side answered

    def say(self, kind: Kind, content: bytes | Section = b'') -> None:
        """Send a message."""
        message = Message(kind, content if isinstance(content, bytes) else content.model_dump_json().encode())
        self._channel.send(message)
        self._spoke_last = True
        self._record(self._me, message)

    def hear(self, *kinds: Kind) -> Message:
        """Receive a message of one of these kinds.

        Raises
        ------
        ProtocolError
            Nothing, something else, or something damaged came.
        """
        message = self._expect(*kinds)
        self._record(self._other, message)
        return message

    def hear_section(self, kind: Kind, model: type[S]) -> S:
        """Receive a small message with named figures."""
        payload = self.hear(kind).payload
        if len(payload) > MAX_JSON:
            raise ProtocolError('oversize', f'{kind.name} has {len(payload)} bytes')
        try:
            return model.model_validate_json(payload)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            where = '.'.join(map(str, first['loc']))
            raise ProtocolError('malformed', f'{kind.name} {where}: {first["msg"]}') from error

    def authenticate(self, pre_shared: PreShared, first: int) -> None:
        """Take the pre-shared bits that the tags of this conversation use up."""
        secret = pre_shared.take(SECRET_BITS, first)
        self._authenticator = Authenticator(secret.reveal())
        secret.wipe()
        self._transcript = self._authenticator.transcript()
        for sender, line in self._unrecorded:
            self._transcript.record(sender, *line)
        self._unrecorded.clear()

    def vouch(self) -> None:
        """Send a tag on everything said so far."""
        authenticator, transcript = self._ready()
        tag = authenticator.tag(self._tags, transcript)
        self._tags += 1
        self.say(Kind.TAG, tag)

    def check(self) -> None:
        """Receive the other side's tag.

        Raises
        ------
        ProtocolError
            It does not fit what was heard and said here.
        """
        message = self._expect(Kind.TAG)
        authenticator, transcript = self._ready()
        number = self._tags
        self._tags += 1
        try:
            authenticator.check(number, transcript, message.payload)
        except StationError as error:
            raise ProtocolError('authentication', str(error)) from error
        self._record(self._other, message)

    def refuse(self, reason: str) -> None:
        """End the run and say why, if the other side still listens; the reason holds nothing secret."""
        try:
            self._channel.send(Message(Kind.REFUSE, reason.encode('ascii', 'replace')))
        except ProtocolError:  # it will find the link closed
            pass
        self._channel.close()

    @contextmanager
    def ended_by_faults(self) -> Iterator[None]:
        """Whatever goes wrong inside ends the run for both sides: the other one is told, and the channel closed."""
        try:
            yield
        except StationError as error:
            self.refuse(error.what)
            raise
        except ProtocolError as error:
            self.refuse(error.code)
            raise
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def public_digest(self) -> str:
        """Name of everything said so far, 32 hexadecimal digits: the same on both sides, and no secret."""
        return self._digest.hexdigest()[:32]

    @property
    def pre_shared_bits(self) -> int:
        """Pre-shared key that this conversation used up."""
        return SECRET_BITS if self._authenticator else 0

    def _expect(self, *kinds: Kind) -> Message:
        message = expect(self._channel, *kinds)
        self.round_trips += self._spoke_last
        self._spoke_last = False
        return message

    def _record(self, sender: int, message: Message) -> None:
        line = bytes([message.kind]), message.payload
        self._digest.update(bytes([sender]) + sum(map(len, line)).to_bytes(8, 'big'))
        for part in line:
            self._digest.update(part)
        if self._transcript is None:
            self._unrecorded.append((sender, line))
        else:
            self._transcript.record(sender, *line)
            if self._transcript.length_bytes > _LONGEST_TRANSCRIPT:
                raise ProtocolError('oversize', f'more than {_LONGEST_TRANSCRIPT} bytes were said')

    def _ready(self) -> tuple[Authenticator, Transcript]:
        if self._authenticator is None or self._transcript is None:
            raise RuntimeError('tags need the pre-shared key first')
        return self._authenticator, self._transcript
