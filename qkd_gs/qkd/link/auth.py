"""Authentication of the classical channel: Wegman-Carter tags on the transcripts of phases.

Each phase of the protocol ends with one tag over everything said in it, both ways.  A tag is the transcript's
polynomial hash at a secret point, plus a one-time pad (Wegman, Carter 1981).  The point stays secret behind the pads,
so it serves all tags of a pass; no pad serves twice.  Security is unconditional, and what it costs is counted.
"""

from __future__ import annotations

import hmac

from qkd_gs.errors import StationError
from qkd_gs.qkd.link.polynomial import PolynomialHash, agreement_probability

TAG_BYTES = 16
MAX_TAGS = 8  # a pass; with the point that is 1152 bits of pre-shared key
_EXPONENT = 127
_PRIME = (1 << _EXPONENT) - 1


def secret_bytes(tags: int) -> int:
    """Pre-shared key that `tags` tags of one pass use up.

    Raises
    ------
    ValueError
        If a pass may not have that many tags.
    """
    if not 1 <= tags <= MAX_TAGS:
        raise ValueError(f'{tags} tags are not between 1 and {MAX_TAGS}')
    return TAG_BYTES * (1 + tags)


def forgery_probability(transcript_bytes: int) -> float:
    """Largest probability that a changed transcript of at most this length passes with any tag of the forger's."""
    # agreement, and the pad's own 2^-127 (drawn like the point)
    return agreement_probability(transcript_bytes, _EXPONENT) + 2.0**-_EXPONENT


class Transcript:
    """Everything said in a phase, hashed as it goes by.

    Both sides record each message with who sent it; the order is the protocol's.  Message borders are part of the
    transcript, so that no two conversations have the same.
    """

    def __init__(self, point: int):
        self._hash = PolynomialHash(point, _EXPONENT)
        self.length_bytes = 0

    def record(self, sender: int, *message: bytes) -> None:
        """Append a message of `sender` (0 the satellite's side, 1 the station's), in one part or several."""
        if sender not in (0, 1):
            raise ValueError(f'sender {sender} is neither 0 nor 1')
        head = bytes([sender]) + sum(map(len, message)).to_bytes(8, 'little')
        for part in (head, *message):
            self._hash.update(part)
            self.length_bytes += len(part)

    def value(self) -> int:
        """Hash of the transcript: secret, never to be sent without its pad."""
        return self._hash.value()


class Authenticator:
    """Makes and checks the tags of one pass; each side has its own.

    Parameters
    ----------
    secret : bytes
        Pre-shared key, `secret_bytes` long, used for nothing else before or after.

    Raises
    ------
    ValueError
        If the secret has no such length.
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
        """Pre-shared key used so far: the point with the first tag, and a pad for each."""
        tags = sum(self._used)
        return 8 * TAG_BYTES * (tags + 1) if tags else 0

    def transcript(self) -> Transcript:
        """Start the transcript of a phase."""
        return Transcript(self._point)

    def tag(self, number: int, transcript: Transcript) -> bytes:
        """Tag with pad `number` (which both sides agree on, and use once).

        Raises
        ------
        StationError
            If the pad is used up.
        """
        return self._tag(number, transcript)

    def check(self, number: int, transcript: Transcript, tag: bytes) -> None:
        """Compare the other side's tag with one's own transcript, in a time that does not tell where they differ.

        Raises
        ------
        StationError
            If it differs: somebody changed a message, or the pre-shared keys are not the same.
        """
        if not hmac.compare_digest(self._tag(number, transcript), tag):
            raise StationError(
                f'tag {number} does not fit the conversation: a message was changed on its way, or the pre-shared'
                ' keys differ',
                hint='the key of this pass must be thrown away',
            )

    def _tag(self, number: int, transcript: Transcript) -> bytes:
        if not 0 <= number < len(self._pads):
            raise StationError(f'tag {number} has no pad: {len(self._pads)} were taken for this pass')
        if self._used[number]:
            raise StationError(f'pad {number} is used already: a pad for two tags would give the hash away')
        self._used[number] = True
        self.epsilon += forgery_probability(transcript.length_bytes)
        return ((transcript.value() + self._pads[number]) % _PRIME).to_bytes(TAG_BYTES, 'little')


def _field_element(secret: bytes) -> int:
    return (int.from_bytes(secret, 'little') & _PRIME) % _PRIME
