"""The file of a transcript: messages in their order, chained by hashes (doc/protocol.md, "Transcript")."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from qkd_gs.errors import StationError

_FIRST_LINE = b'qkd_gs transcript 1\n'
_HASH, _HEAD = 32, 6

# names and letters of the kinds of messages, in the order of their numbers
_KINDS = (
    'HELLO:h WELCOME:w LOG_REQUEST:l LOG_HEAD:L LOG_BLOCK:b SIFT_HEAD:s DETECTIONS:d SIFT_ANSWER:a ERROR_COUNTS:e'
    ' PARITY_REQUEST:p PARITY_ANSWER:P VERIFY_REQUEST:v VERIFY_ANSWER:V VERIFY_OUTCOME:o AMPLIFY:k AMPLIFIED:K TAG:t'
    ' STORED:x REFUSE:r SYNDROMES:y MATRIX:m CONFIRMED:X JOIN:j JOINED:J REPEATED:q'
)
KINDS = dict(enumerate(_KINDS.split(), start=1))


@dataclass(frozen=True)
class Message:
    """A message of the transcript."""

    ground: bool  # said by the ground
    kind: int
    payload: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """Name of its kind."""
        return KINDS[self.kind].split(':')[0]

    @property
    def letter(self) -> str:
        """Letter of its kind; a tag is g by the ground and z by the satellite, a repetition q and Q."""
        letter = KINDS[self.kind].split(':')[1]
        return {'t': 'gz', 'q': 'qQ'}.get(letter, 2 * letter)[not self.ground]


@dataclass(frozen=True)
class Transcript:
    """Messages of a run.

    Attributes
    ----------
    messages : list of Message
    chain : list of str
        Hash after each message, hexadecimal.
    broken : str
        What is wrong with the file from some place on; empty if nothing is.
    """

    path: Path
    messages: list[Message]
    chain: list[str]
    broken: str

    def digest(self, count: int) -> str:
        """The name that the first `count` messages give to a key."""
        total = hashlib.sha256()
        for message in self.messages[:count]:
            total.update(bytes([message.ground]) + (1 + len(message.payload)).to_bytes(8, 'big'))
            total.update(bytes([message.kind]))
            total.update(message.payload)
        return total.hexdigest()[:32]


def read_transcript(path: Path) -> Transcript:
    """Read a transcript up to its end, or to where the chain breaks.

    Raises
    ------
    StationError
        The file cannot be read, or is no transcript.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StationError(f'cannot be read: {error.strerror}', where=path) from error
    if not data.startswith(_FIRST_LINE):
        raise StationError('is not a transcript of a run', where=path)
    messages, chain = list[Message](), list[str]()
    at, last, broken = len(_FIRST_LINE), hashlib.sha256(_FIRST_LINE).digest(), ''
    while at < len(data):
        sender, kind = data[at], data[at + 1] if at + 1 < len(data) else 0
        end = at + _HEAD + int.from_bytes(data[at + 2 : at + _HEAD], 'big')
        last = hashlib.sha256(last + data[at:end]).digest()
        if end + _HASH > len(data):
            broken = f'message {len(messages) + 1} is cut short'
        elif data[end : end + _HASH] != last:
            broken = f'the hash chain breaks at message {len(messages) + 1}'
        elif sender > 1 or kind not in KINDS:
            broken = f'message {len(messages) + 1} is of no known sender and kind'
        if broken:
            break
        messages.append(Message(bool(sender), kind, data[at + _HEAD : end]))
        chain.append(last.hex())
        at = end + _HASH
    return Transcript(path, messages, chain, broken)
