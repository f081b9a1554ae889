"""Authentication of the classical channel: Wegman-Carter tags on transcripts.

Each phase of the protocol ends with one tag over all messages of both directions.  A tag is the transcript's
polynomial hash at a secret point, plus a one-time pad (Wegman, Carter 1981).  The pads hide the point, so all tags of
a pass use the same one; no pad is used twice.  Security is information-theoretic, and the consumed key is counted.
"""

from __future__ import annotations

import hmac

from qkd_gs.errors import StationError
from qkd_gs.qkd.link.polynomial import PolynomialHash, agreement_probability

TAG_BYTES = 16
MAX_TAGS = 17  # in a run that sifts in parts, of two slots of pre-shared bits; others have eight
_EXPONENT = 127
_PRIME = (1 << _EXPONENT) - 1


def secret_bytes(tags: int) -> int:
    """Bytes of pre-shared key that `tags` tags of one pass consume.

    Raises
    ------
    ValueError
        `tags` is not between 1 and `MAX_TAGS`.
    """
    if not 1 <= tags <= MAX_TAGS:
        raise ValueError(f'{tags} tags are not between 1 and {MAX_TAGS}')
    return TAG_BYTES * (1 + tags)


def forgery_probability(transcript_bytes: int) -> float:
    """Upper bound on the probability of forging the tag of a changed transcript of at most this length."""
    # collision, and the pad's own 2^-127 (drawn like the point)
    return agreement_probability(transcript_bytes, _EXPONENT) + 2.0**-_EXPONENT


class Transcript:
    """Incremental hash of all messages.

    Both sides record each message with its sender; the protocol fixes the order.  Message boundaries are part of the
    transcript, so that different sequences of messages have different transcripts.
    """

    def __init__(self, point: int):
        self._hash = PolynomialHash(point, _EXPONENT)
        self.length_bytes = 0

    def record(self, sender: int, *message: bytes) -> None:
        """Append a message of `sender` (0: satellite, 1: station), in one part or several."""
        if sender not in (0, 1):
            raise ValueError(f'sender {sender} is neither 0 nor 1')
        head = bytes([sender]) + sum(map(len, message)).to_bytes(8, 'little')
        for part in (head, *message):
            self._hash.update(part)
            self.length_bytes += len(part)

    def value(self) -> int:
        """Hash of the transcript; secret, not to be sent without a pad."""
        return self._hash.value()


class Authenticator:
    """Computes and verifies the tags of one pass; each side has its own.

    Parameters
    ----------
    secret : bytes
        Pre-shared key, `secret_bytes` long, used for nothing else before or after.

    Raises
    ------
    ValueError
        The secret has another length.
    """

    def __init__(self, secret: bytes):
        tags, rest = divmod(len(secret), TAG_BYTES)
        if rest or not 1 <= tags - 1 <= MAX_TAGS:
            raise ValueError(f'a secret of {len(secret)} bytes is not one point and 1 to {MAX_TAGS} pads of 16 bytes')
        self._point = _field_element(secret[:TAG_BYTES])
        self._pads = [_field_element(secret[i : i + TAG_BYTES]) for i in range(TAG_BYTES, len(secret), TAG_BYTES)]
        self._used = [False] * len(self._pads)
        self.epsilon = 0.0  # of all tags so far

    def __repr__(self) -> str:  # never the contents: a repr ends up in logs
        return f'<Authenticator with {self._used.count(False)} of {len(self._pads)} pads left>'

    @property
    def key_bits_used(self) -> int:
        """Bits of pre-shared key used so far: the point with the first tag, and a pad for each tag."""
        tags = sum(self._used)
        return 8 * TAG_BYTES * (tags + 1) if tags else 0

    def transcript(self) -> Transcript:
        """New transcript."""
        return Transcript(self._point)

    def tag(self, number: int, transcript: Transcript) -> bytes:
        """Tag of a transcript with pad `number`, which both sides use once.

        Raises
        ------
        StationError
            The pad is used already.
        """
        return self._tag(number, transcript)

    def verify(self, number: int, transcript: Transcript, tag: bytes) -> None:
        """Compare the other side's tag with the tag of the own transcript, in constant time.

        Raises
        ------
        StationError
            They differ: a message was changed, or the pre-shared keys are different.
        """
        if not hmac.compare_digest(self._tag(number, transcript), tag):
            raise StationError(
                f'tag {number} does not match the messages: a message was changed on its way, or the pre-shared'
                ' keys differ',
                hint='the key of this pass must be discarded',
            )

    def _tag(self, number: int, transcript: Transcript) -> bytes:
        if not 0 <= number < len(self._pads):
            raise StationError(f'tag {number} has no pad: {len(self._pads)} were reserved for this pass')
        if self._used[number]:
            raise StationError(f'pad {number} is used already: a pad for two tags would reveal the hash')
        self._used[number] = True
        self.epsilon += forgery_probability(transcript.length_bytes)
        return ((transcript.value() + self._pads[number]) % _PRIME).to_bytes(TAG_BYTES, 'little')


def _field_element(secret: bytes) -> int:
    return (int.from_bytes(secret, 'little') & _PRIME) % _PRIME
