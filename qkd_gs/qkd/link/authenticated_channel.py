"""One end of the authenticated channel: messages, and tags on the transcript of all messages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from pydantic import ValidationError

from qkd_gs.errors import StationError
from qkd_gs.qkd.link.auth import Authenticator, Transcript, forgery_probability, secret_bytes
from qkd_gs.qkd.link.channel import Channel, Kind, Message, expect
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.transcript_file import TranscriptFile
from qkd_gs.settings.loader import Section

TAGS = 8  # of both sides: log, announcement and answer, key, and that it is stored
SECRET_BITS = 8 * secret_bytes(TAGS)  # a slot of the pre-shared key
TAGS_A_PART = 4  # log, announcement and answer once more
MAX_JSON = 1 << 20
_SATELLITE, _STATION = 0, 1
_LONGEST_TRANSCRIPT = 1 << 32  # bytes; a long pass has 2^24
FIRST_TAGS = 16  # wrong first tags that a slot of pre-shared bits may be tried with
MOST_RUNS = 1 << 30  # of a session; their pre-shared bits would be 155 GB

S = TypeVar('S', bound=Section)


class ReservedBits(Protocol):
    """Pre-shared bits reserved for one use."""

    def reveal(self) -> bytes:
        """Return the bits, packed."""

    def wipe(self) -> None:
        """Overwrite the bits."""


class PreShared(Protocol):
    """The key shared beforehand, in slots of `SECRET_BITS` (`qkd_gs.keys.preshared`)."""

    def offers(self) -> list[str]:
        """Names of unused slots, on the side that greets."""

    def choose(self, offered: Sequence[str]) -> str:
        """One of the offered slots that is unused here, on the side that is greeted."""

    def take(self, slot: str) -> ReservedBits:
        """Use up a slot, to send the first tag with; never twice."""

    def attempt(self, slot: str) -> ReservedBits:
        """Bits of a slot, to verify the first tag with; a wrong tag does not use it up."""

    def accept(self, slot: str, offered: Sequence[str] = ()) -> None:
        """The other side's first tag was right: use up the slot, and give up what its greeting skipped."""


def tag_key_bits(parts: int) -> int:
    """Pre-shared bits of a run that may sift in so many parts: one slot, or two."""
    return SECRET_BITS if parts == 1 else 2 * SECRET_BITS


def forgery_epsilon(parts: int) -> float:
    """Probability that any tag of any run of a pass is forged, if each may sift in so many parts."""
    tags = TAGS + (parts - 1) * TAGS_A_PART
    return MOST_RUNS * (tags - 1 + FIRST_TAGS) * forgery_probability(_LONGEST_TRANSCRIPT)


class AuthenticatedChannel:
    """Sends and receives messages, and authenticates them by tags.

    A tag covers all messages since the start, so a later tag covers again those of an earlier one.

    Parameters
    ----------
    channel : Channel
        Channel to the other side.
    station : bool
        True at the ground's end.
    transcript : TranscriptFile, optional
        Gets all messages.

    Attributes
    ----------
    round_trips : int
        Turns of this side that the other side answered.
    pre_shared_bits : int
        Bits of pre-shared key consumed.
    """

    def __init__(self, channel: Channel, station: bool, transcript: TranscriptFile | None = None):
        self._channel, self._file = channel, transcript
        self._me, self._other = (_STATION, _SATELLITE) if station else (_SATELLITE, _STATION)
        self._unrecorded: list[tuple[int, tuple[bytes, ...]]] = []
        self._authenticator: Authenticator | None = None
        self._transcript: Transcript | None = None
        self._tags = 0
        self._digest = hashlib.sha256()
        self._sent_last = False
        self.round_trips = self.pre_shared_bits = 0

    def send(self, kind: Kind, content: bytes | Section = b'') -> None:
        """Send a message."""
        message = Message(kind, content if isinstance(content, bytes) else content.model_dump_json().encode())
        self._record(self._me, message)  # first: a transcript has all that may have been heard
        self._channel.send(message)
        self._sent_last = True

    def receive(self, *kinds: Kind) -> Message:
        """Receive a message of one of these kinds.

        Raises
        ------
        ProtocolError
            No message, another kind, or a damaged message arrived.
        """
        message = self._expect(*kinds)
        self._record(self._other, message)
        return message

    def receive_section(self, kind: Kind, model: type[S]) -> S:
        """Receive a small message with named fields."""
        return read_section(self.receive(kind), model)

    def authenticate(self, *slots: ReservedBits) -> None:
        """Use these pre-shared bits for the tags of this channel, and overwrite them."""
        self._authenticator = Authenticator(b''.join(slot.reveal() for slot in slots))
        self.pre_shared_bits = SECRET_BITS * len(slots)
        for slot in slots:
            slot.wipe()
        self._transcript = self._authenticator.transcript()
        for sender, parts in self._unrecorded:
            self._transcript.record(sender, *parts)
        self._unrecorded.clear()

    def send_tag(self) -> None:
        """Send a tag on all messages so far."""
        authenticator, transcript = self._ready()
        tag = authenticator.tag(self._tags, transcript)
        self._tags += 1
        self.send(Kind.TAG, tag)

    def verify_tag(self) -> None:
        """Receive the other side's tag and verify it.

        Raises
        ------
        ProtocolError
            It does not match the messages sent and received here.
        """
        message = self._expect(Kind.TAG)
        authenticator, transcript = self._ready()
        number = self._tags
        self._tags += 1
        try:
            authenticator.verify(number, transcript, message.payload)
        except StationError as error:
            raise ProtocolError('authentication', str(error)) from error
        self._record(self._other, message)

    def refuse(self, reason: str) -> None:
        """End the run and send the reason, if the other side still receives; the reason contains no secret."""
        try:
            self._channel.send(Message(Kind.REFUSE, reason.encode('ascii', 'replace')))
        except ProtocolError:  # the other side finds the link closed
            pass
        self._channel.close()

    @contextmanager
    def ended_by_faults(self) -> Iterator[None]:
        """Context in which any error ends the run for both sides: the reason is sent and the channel closed."""
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
        """Digest of all messages so far, 32 hexadecimal digits: the same on both sides, not secret."""
        return self._digest.hexdigest()[:32]

    def _expect(self, *kinds: Kind) -> Message:
        message = expect(self._channel, *kinds)
        self.round_trips += self._sent_last
        self._sent_last = False
        return message

    def _record(self, sender: int, message: Message) -> None:
        parts = bytes([message.kind]), message.payload
        self._digest.update(bytes([sender]) + sum(map(len, parts)).to_bytes(8, 'big'))
        for part in parts:
            self._digest.update(part)
        if self._file is not None:
            self._file.record(sender, message.kind, message.payload)
        if self._transcript is None:
            self._unrecorded.append((sender, parts))
        else:
            self._transcript.record(sender, *parts)
            if self._transcript.length_bytes > _LONGEST_TRANSCRIPT:
                raise ProtocolError('oversize', f'the transcript is longer than {_LONGEST_TRANSCRIPT} bytes')

    def _ready(self) -> tuple[Authenticator, Transcript]:
        if self._authenticator is None or self._transcript is None:
            raise RuntimeError('call authenticate() before the first tag')
        return self._authenticator, self._transcript


def read_section(message: Message, model: type[S]) -> S:
    """Content of a small message with named fields.

    Raises
    ------
    ProtocolError
        Too long, or not such a message.
    """
    if len(message.payload) > MAX_JSON:
        raise ProtocolError('oversize', f'{message.kind.name} has {len(message.payload)} bytes')
    try:
        return model.model_validate_json(message.payload)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = '.'.join(map(str, first['loc']))
        raise ProtocolError('malformed', f'{message.kind.name} {where}: {first["msg"]}') from error
