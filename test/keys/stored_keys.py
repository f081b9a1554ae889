"""A key store with a key in it."""

import numpy as np

from qkd_gs.keys.entries import Purpose, border
from qkd_gs.keys.store import KeyStore
from qkd_gs.qkd.sifting.packed_bits import PackedBits

MASTER = bytes(range(32))
RNG = np.random.default_rng(5)
BITS = RNG.integers(0, 2, 4001).astype(np.uint8)
KEY = PackedBits.of(BITS)
HALF = border(len(KEY))  # the ground sends with the bits before it, the satellite with those behind
SEND, RECEIVE = Purpose.SEND, Purpose.RECEIVE


def key_store(folder, **options):
    """A store of real keys of the ground in a folder."""
    return KeyStore(folder / 'keys.db', MASTER, simulated=False, **options)


def stored(store, session_id='s', key_id='k', bits=KEY, result=None):
    """A key that both sides hold."""
    store.put(session_id, key_id, bits, 1e-10, result or {})
    store.confirm(session_id, key_id)


def bits_of(piece):
    return np.unpackbits(np.frombuffer(piece.material.reveal(), np.uint8), count=piece.length_bits)
