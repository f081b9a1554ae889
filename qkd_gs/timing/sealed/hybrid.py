"""Hybrid key encapsulation: X25519 and ML-KEM-768 together; who breaks only one of them learns nothing.

Tags stay secret until the raw key in them is used up, so a recording of today must also withstand a quantum computer
of later (FIPS 203).  Both parts come from the package cryptography.
"""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_X25519_BYTES, _SEED_BYTES = 32, 64
_MLKEM_PUBLIC_BYTES, _MLKEM_CIPHERTEXT_BYTES = 1184, 1088
PUBLIC_BYTES = _X25519_BYTES + _MLKEM_PUBLIC_BYTES
PRIVATE_BYTES = _X25519_BYTES + _SEED_BYTES
ENCAPSULATED_BYTES = _X25519_BYTES + _MLKEM_CIPHERTEXT_BYTES


class SealingKey:
    """Private key that opens what was sealed to its public key.

    Parameters
    ----------
    raw : bytes
        `PRIVATE_BYTES`: X25519 private key, then the seed of ML-KEM-768.
    """

    def __init__(self, raw: bytes) -> None:
        if len(raw) != PRIVATE_BYTES:
            raise ValueError(f'{len(raw)} bytes are not a sealing key of {PRIVATE_BYTES}')
        self._raw = raw
        self._x25519 = X25519PrivateKey.from_private_bytes(raw[:_X25519_BYTES])
        self._mlkem = MLKEM768PrivateKey.from_seed_bytes(raw[_X25519_BYTES:])

    @classmethod
    def generate(cls) -> SealingKey:
        """A new key."""
        return cls(X25519PrivateKey.generate().private_bytes_raw() + MLKEM768PrivateKey.generate().private_bytes_raw())

    def private_bytes(self) -> bytes:
        """The key itself, `PRIVATE_BYTES`."""
        return self._raw

    def public_bytes(self) -> bytes:
        """Public key, `PUBLIC_BYTES`."""
        return self._x25519.public_key().public_bytes_raw() + self._mlkem.public_key().public_bytes_raw()

    def decapsulate(self, encapsulated: bytes) -> bytes:
        """Shared secret of 32 bytes from `encapsulate`; another one if it was changed.

        Raises
        ------
        ValueError
            No public key of X25519 in it.
        """
        ephemeral, ciphertext = encapsulated[:_X25519_BYTES], encapsulated[_X25519_BYTES:]
        exchanged = self._x25519.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        return _combined(exchanged, self._mlkem.decapsulate(ciphertext), encapsulated, self.public_bytes())

    def __repr__(self) -> str:  # never the contents: a repr ends up in logs
        return '<SealingKey>'


def encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """Shared secret of 32 bytes, and what gives it to the holder of the private key.

    Raises
    ------
    ValueError
        Not a public key of `PUBLIC_BYTES`.
    """
    if len(public) != PUBLIC_BYTES:
        raise ValueError(f'{len(public)} bytes are not a public sealing key of {PUBLIC_BYTES}')
    ephemeral = X25519PrivateKey.generate()
    exchanged = ephemeral.exchange(X25519PublicKey.from_public_bytes(public[:_X25519_BYTES]))
    shared, ciphertext = MLKEM768PublicKey.from_public_bytes(public[_X25519_BYTES:]).encapsulate()
    encapsulated = ephemeral.public_key().public_bytes_raw() + ciphertext
    return _combined(exchanged, shared, encapsulated, public), encapsulated


def _combined(x25519: bytes, mlkem: bytes, encapsulated: bytes, public: bytes) -> bytes:
    """One secret of both, bound to all that was exchanged."""
    info = b'qkd_gs X25519 ML-KEM-768' + encapsulated + public
    return HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(mlkem + x25519)
