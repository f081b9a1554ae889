"""Polynomial evaluation over a Mersenne prime: the universal hash under verification and authentication.

The message is divided into blocks, which are the coefficients of a polynomial that is evaluated at a secret or fresh
random point.  The last coefficient is the length, so that messages of different lengths are different polynomials.
Two different messages agree at no more points than the degree (den Boer 1993; Bierbrauer et al. 1993).
"""

from __future__ import annotations

from qkd_gs.qkd.link import field127

_AT_ONCE = 1 << 20  # bytes
MERSENNE_EXPONENTS = (127, 521)  # block sizes of 15 and 64 bytes


class PolynomialHash:
    """Incremental polynomial hash of a message.

    Parameters
    ----------
    point : int
        Point of evaluation, uniformly random in [0, p).
    exponent : int
        The prime p is 2^exponent - 1.

    Raises
    ------
    ValueError
        `exponent` is not in `MERSENNE_EXPONENTS`, or `point` is not in the field.
    """

    def __init__(self, point: int, exponent: int):
        if exponent not in MERSENNE_EXPONENTS:
            raise ValueError(f'2^{exponent} - 1 is not one of the supported primes')
        self.prime = (1 << exponent) - 1
        if not 0 <= point < self.prime:
            raise ValueError('the point of evaluation is not in the field')
        self._point = point
        self._block_bytes = block_bytes(exponent)
        self._sum = 0
        self._rest = b''
        self._length = 0

    def update(self, message: bytes) -> None:
        """Append to the message."""
        for start in range(0, len(message), _AT_ONCE):  # bounds the memory of the copies
            self._append(message[start : start + _AT_ONCE])

    def _append(self, message: bytes) -> None:
        self._length += len(message)
        data = self._rest + message
        size, prime, point, total = self._block_bytes, self.prime, self._point, self._sum
        whole = len(data) - len(data) % size
        if prime == field127.PRIME:
            total = field127.horner(total, point, data[:whole])
        else:
            for start in range(0, whole, size):
                total = (total + int.from_bytes(data[start : start + size], 'little')) * point % prime
        self._sum, self._rest = total, data[whole:]

    def value(self) -> int:
        """Hash of the message so far, in [0, p)."""
        total = self._sum
        if self._rest:
            total = (total + int.from_bytes(self._rest, 'little')) * self._point % self.prime
        return (total + self._length) * self._point % self.prime


def block_bytes(exponent: int) -> int:
    """Bytes of a block: the largest number of bytes whose value is always below the prime."""
    return (exponent - 1) // 8


def agreement_probability(message_bytes: int, exponent: int) -> float:
    """Upper bound on the probability that two different messages of at most this length have a given hash difference.

    It is the degree over the prime, plus 2^-exponent because the point is drawn from `exponent` random bits, of which
    the one value outside the field is mapped to zero.
    """
    degree = -(-message_bytes // block_bytes(exponent)) + 1
    return degree / float((1 << exponent) - 1) + 2.0**-exponent
