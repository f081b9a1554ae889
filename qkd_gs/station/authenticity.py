"""Proof that a message comes from a process of this station, and is not an old one that somebody sends again.

rclpy tells no publisher's identity: whoever is in the ROS domain could move the mount.  So messages that command,
permit, or that safety rests on end with a counter and a tag.  The tag is a keyed BLAKE2b (RFC 7693) of the serialized
message and its topic; the key lies in the station's state folder and is readable by its user alone.  The counter is the
machine's monotonic clock, so it grows across restarts of the sender too.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path
from struct import Struct

from qkd_gs.errors import StationError
from qkd_gs.keys.files import read_secret

_FILE = 'station.key'
_KEY_BYTES = 32
_TAG_BYTES = 8
_COUNTER = Struct('<Q')
_LITTLE_ENDIAN = 1  # second byte of a serialized message
TOO_OLD = 'was sent more than'  # an objection begins with it


def station_key(state_dir: Path) -> bytes:
    """Key of the station; the first process that asks makes it.

    Raises
    ------
    StationError
        It cannot be made or read, or others can read it.
    """
    path = state_dir / _FILE
    if not path.exists():
        try:
            state_dir.mkdir(parents=True, exist_ok=True)
            number, draft = tempfile.mkstemp(prefix=f'.{_FILE}-', dir=state_dir)  # mode 0600
            try:
                with os.fdopen(number, 'wb') as file:
                    file.write(os.urandom(_KEY_BYTES))
                    file.flush()
                    os.fsync(file.fileno())
                os.link(draft, path)
            finally:
                os.unlink(draft)
        except FileExistsError:
            pass  # another process was faster
        except OSError as error:
            raise StationError(f'cannot be written: {error.strerror}', where=path) from error
    key = read_secret(path)
    if len(key) != _KEY_BYTES:
        raise StationError(f'has {len(key)} bytes, not {_KEY_BYTES}', where=path, hint='stop the station and delete it')
    return key


class Signer:
    """Adds counter and tag to the serialized messages of a topic.

    Parameters
    ----------
    key : bytes
        From `station_key`.
    topic : str
        Full name.
    """

    def __init__(self, key: bytes, topic: str) -> None:
        self._key = _topic_key(key, topic)
        self._last = 0

    def sign(self, data: bytes, now_ns: int | None = None) -> bytes:
        """A serialized message (CDR, little-endian) whose last fields are ``uint64 counter`` and ``uint64 tag``."""
        self._last = max(self._last + 1, time.monotonic_ns() if now_ns is None else now_ns)
        body = data[: -_COUNTER.size - _TAG_BYTES] + _COUNTER.pack(self._last)
        return body + blake2b(body, key=self._key, digest_size=_TAG_BYTES).digest()


class Verifier:
    """Tells messages of this station's processes from others.

    Parameters
    ----------
    key : bytes
        From `station_key`.
    topic : str
        Full name.
    fresh_ns : int, optional
        An older message is refused; None: age does not matter.
    age_ns : callable
        Age of a reading of the monotonic clock, as `StationClock.age_ns` has it: simulated time may be slow.
    """

    def __init__(
        self,
        key: bytes,
        topic: str,
        fresh_ns: int | None = None,
        age_ns: Callable[[int], int] = lambda monotonic_ns: time.monotonic_ns() - monotonic_ns,
    ) -> None:
        self._key, self._fresh_ns, self._age_ns = _topic_key(key, topic), fresh_ns, age_ns
        self._last = 0

    def objection(self, data: bytes) -> str:
        """Reason why a serialized message is refused; empty: it is accepted, and not accepted again."""
        body, tag = data[:-_TAG_BYTES], data[-_TAG_BYTES:]
        if len(body) < 4 + _COUNTER.size or body[1] != _LITTLE_ENDIAN:
            return 'is not of this station'
        if not compare_digest(tag, blake2b(body, key=self._key, digest_size=_TAG_BYTES).digest()):
            return 'is not of this station'
        (counter,) = _COUNTER.unpack(body[-_COUNTER.size :])
        if counter <= self._last:
            return 'was sent before'
        age_ns = self._age_ns(counter) if self._fresh_ns is not None else 0
        if self._fresh_ns is not None and not -self._fresh_ns <= age_ns <= self._fresh_ns:
            return f'{TOO_OLD} {self._fresh_ns * 1e-9:g} s ago' if age_ns > 0 else 'is of the future'
        self._last = counter
        return ''


def _topic_key(key: bytes, topic: str) -> bytes:
    return blake2b(topic.encode(), key=key, digest_size=_KEY_BYTES).digest()
