"""Attacks on the key stores: the same bits for two messages, and a store that is set back."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from qkd_gs.bench.security.row import Attack, Row
from qkd_gs.errors import StationError
from qkd_gs.keys.entries import Side
from qkd_gs.keys.store import KeyStore
from qkd_gs.qkd.sifting.packed_bits import PackedBits

_BITS, _TAKEN = 8192, 2048


def _store(path: Path, side: Side) -> KeyStore:
    return KeyStore(path, bytes(32), simulated=False, side=side)


def _filled(path: Path, side: Side) -> None:
    bits = np.random.default_rng(1).integers(0, 2, _BITS, np.uint8)
    with _store(path, side) as store:
        store.put('a' * 32, 'key', PackedBits.of(bits), 1e-10, {})
        store.confirm('a' * 32, 'key')


def _same_bits(folder: Path, name: str, eve: str) -> Row:
    """Both ends send with the next bits of their key."""
    taken = []
    for side in (Side.GROUND, Side.SATELLITE):
        _filled(folder / f'{side}.db', side)
        with _store(folder / f'{side}.db', side) as store:
            taken.append(np.frombuffer(store.take(_TAKEN).material.reveal(), np.uint8))
    same = bool((taken[0] == taken[1]).all())
    return Row(name, eve if same else 'nothing', None, 0, 'each side sends with a half of its own', not same)


def _set_back(folder: Path, name: str, eve: str) -> Row:
    """A copy of the database is put back after bits were given."""
    path = folder / 'keys.db'
    _filled(path, Side.GROUND)
    shutil.copy(path, folder / 'copy.db')
    with _store(path, Side.GROUND) as store:
        store.take(_TAKEN)
    shutil.copy(folder / 'copy.db', path)
    try:
        with _store(path, Side.GROUND) as store:
            store.take(_TAKEN)
    except StationError as error:
        return Row(name, 'nothing', None, 0, error.what, True)
    return Row(name, eve, None, 0, 'nothing', False)


def store_attacks() -> list[Attack]:
    """Attacks on the key stores."""
    return [
        Attack('both ends send at once', 'the sum of two messages', _same_bits),
        Attack('the store is set back', 'the sum of two messages', _set_back),
    ]
