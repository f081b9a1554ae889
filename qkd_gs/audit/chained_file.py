"""The file of a transcript: messages in their order, chained by hashes (doc/protocol.md, "Transcript")."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from pathlib import Path

from qkd_gs.errors import StationError

_FIRST_LINE = b'qkd_gs transcript 1\n'
_HASH, _HEAD = 32, 6

# kinds of messages in the order of their numbers, with a letter for each side that may say it: ground, satellite
_KINDS = (
    'HELLO:h- WELCOME:-w LOG_REQUEST:l- LOG_HEAD:-L LOG_BLOCK:-b SIFT_HEAD:s- DETECTIONS:d- SIFT_ANSWER:-a'
    ' ERROR_COUNTS:e- PARITY_REQUEST:p- PARITY_ANSWER:-P VERIFY_REQUEST:v- VERIFY_ANSWER:-V VERIFY_OUTCOME:o-'
    ' AMPLIFY:k- AMPLIFIED:-K TAG:gz STORED:x- REFUSE:-r SYNDROMES:-y MATRIX:m- CONFIRMED:-X JOIN:j- JOINED:-J'
    ' REPEATED:qQ CORRECT:c-'
)
KINDS = dict(enumerate((kind.split(':') for kind in _KINDS.split()), start=1))


@dataclass(frozen=True)
class Message:
    """A message: 1 if the ground said it, number of its kind, name, letter (``-`` if this side never says it)."""

    sender: int
    kind: int
    name: str
    letter: str
    payload: bytes = field(repr=False)


@dataclass(frozen=True)
class Transcript:
    """Messages of a run, the hash after each (hexadecimal), and from where on the file is wrong; empty if nowhere."""

    path: Path
    messages: list[Message]
    chain: list[str]
    broken: str

    def digest(self, count: int) -> str:
        """The name that the first `count` messages give to a key."""
        total = hashlib.sha256()
        for one in self.messages[:count]:
            total.update(struct.pack('>BQB', one.sender, 1 + len(one.payload), one.kind) + one.payload)
        return total.hexdigest()[:32]


def read_transcript(path: Path) -> Transcript:
    """Read a transcript up to its end, or to where the chain breaks; StationError if it is none or cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StationError(f'cannot be read: {error.strerror}', where=path) from error
    if not data.startswith(_FIRST_LINE):
        raise StationError('is not a transcript of a run', where=path)
    messages, chain = list[Message](), list[str]()
    at, last, broken = len(_FIRST_LINE), hashlib.sha256(_FIRST_LINE).digest(), ''
    while at < len(data) and not broken:
        sender, kind = data[at], data[at + 1] if at + 1 < len(data) else 0
        end = at + _HEAD + int.from_bytes(data[at + 2 : at + _HEAD], 'big')
        last = hashlib.sha256(last + data[at:end]).digest()
        if end + _HASH > len(data):
            broken = f'message {len(messages) + 1} is cut short'
        elif data[end : end + _HASH] != last:
            broken = f'the hash chain breaks at message {len(messages) + 1}'
        elif sender > 1 or kind not in KINDS:
            broken = f'message {len(messages) + 1} is of no known sender and kind'
        else:
            name, letters = KINDS[kind]
            messages.append(Message(sender, kind, name, letters[1 - sender], data[at + _HEAD : end]))
            chain.append(last.hex())
        at = end + _HASH
    return Transcript(path, messages, chain, broken)
