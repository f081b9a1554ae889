"""Blocks of keys, and keys that wait, in a key store: what was destroyed is gone, and little is rewritten."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_keys import BITS, HALF, KEY, RECEIVE, SEND, bits_of, key_store, stored

from qkd_gs.errors import StationError
from qkd_gs.keys import key_blocks
from qkd_gs.qkd.sifting.packed_bits import PackedBits


@given(
    block=st.sampled_from([1, 16, 61, 250]),
    takes=st.lists(st.tuples(st.integers(1, 900), st.sampled_from([SEND, RECEIVE])), max_size=8),
)
@settings(max_examples=20, deadline=None)
def test_what_was_given_is_destroyed_and_nothing_else(tmp_path_factory, block, takes):
    left = BITS.copy()
    with pytest.MonkeyPatch.context() as patch, key_store(tmp_path_factory.mktemp('store')) as store:
        patch.setattr(key_blocks, 'BLOCK_BYTES', block)
        stored(store)
        (row,) = store.database.rows()
        at, end = {SEND: 0, RECEIVE: HALF}, {SEND: HALF, RECEIVE: len(KEY)}
        for amount, purpose in takes:
            first = at[purpose]
            if first + amount <= end[purpose]:
                np.testing.assert_array_equal(bits_of(store.take(amount, purpose)), left[first : first + amount])
                left[first : first + amount] = 0
                at[purpose] += amount
        if left.any():
            with store.database.change():
                found = store.database.read(row, 0, -(-len(KEY) // 8))
            np.testing.assert_array_equal(np.unpackbits(np.frombuffer(found, np.uint8), count=len(KEY)), left)


def test_bits_that_are_skipped_are_destroyed_with_the_blocks_in_which_they_lie(tmp_path, monkeypatch):
    monkeypatch.setattr(key_blocks, 'BLOCK_BYTES', 16)
    with key_store(tmp_path) as store:
        stored(store)
        (before,) = store.database.sql.execute('SELECT count(*) FROM items').fetchone()
        store.take_named(f'k-{HALF + 1000}-8')
        (after,) = store.database.sql.execute('SELECT count(*) FROM items').fetchone()
        assert 6 <= before - after <= 8


def test_a_change_rewrites_neither_other_keys_nor_other_blocks(tmp_path):
    with key_store(tmp_path) as store:
        for number in range(3):
            stored(store, f's{number}', f'k{number}', PackedBits.of(np.resize(BITS, 100_000)))
        before = set(store.database.sql.execute('SELECT sealed FROM items'))
        store.take(256)
        after = set(store.database.sql.execute('SELECT sealed FROM items'))
        assert len(before) == len(after) == 3 * 7
        assert len(before - after) == 1


def test_many_keys_wait_and_each_is_destroyed_alone(tmp_path):
    with key_store(tmp_path) as store:
        names = [f'n{number}' for number in range(150)]
        with store.database.change():
            for number, name in enumerate(names):
                store.database.hold(name, 'k' if number % 2 else 'j', name.encode())
        with store.database.change():
            for name in names[:64:3]:
                store.database.drop_held(name)
        with store.database.change():
            store.database.drop_held_of('j')
            store.database.hold('late', 'i', b'late')
        with store.database.change():
            left = [name for number, name in enumerate(names) if number % 2 and not (number < 64 and number % 3 == 0)]
            assert [name for name in names if store.database.holds(name)] == left
            assert all(store.database.unseal_held(name) == name.encode() for name in left)
            assert store.database.unseal_held('late') == b'late'


def test_an_item_under_another_name_or_in_another_place_is_noticed(tmp_path):
    with key_store(tmp_path) as store:
        with store.database.change():
            store.database.hold('a', 'k', b'1')
            store.database.hold('b', 'k', b'2')
        store.database.sql.execute('UPDATE held SET item = 1 - item')
        with pytest.raises(StationError, match='was changed'), store.database.change():
            store.database.unseal_held('a')
