"""Packed bits against plain arrays of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.qkd.sifting.packed_bits import PackedBits

BITS = st.lists(st.integers(0, 1), max_size=70).map(lambda bits: np.array(bits, np.uint8))
PLACES = st.one_of(st.none(), st.integers(0, 80))


@given(bits=BITS, start=PLACES, stop=PLACES)
def test_slices_are_those_of_the_array(bits, start, stop):
    np.testing.assert_array_equal(PackedBits.of(bits)[start:stop], bits[start:stop])


@given(bits=BITS, data=st.data())
def test_what_is_put_in_changes_its_place_alone(bits, data):
    start = data.draw(st.integers(0, len(bits)))
    stop = data.draw(st.integers(start, len(bits)))
    new = np.array(data.draw(st.lists(st.integers(0, 1), min_size=stop - start, max_size=stop - start)), np.uint8)
    packed, before = PackedBits.of(bits), PackedBits.of(bits)
    kept = packed.copy()
    packed[start:stop] = new
    bits[start:stop] = new
    np.testing.assert_array_equal(packed[:], bits)
    np.testing.assert_array_equal(kept[:], before[:])  # a copy has bits of its own
    places = np.array(data.draw(st.lists(st.integers(0, max(len(bits) - 1, 0)), max_size=9)), np.int64)
    if len(bits):
        np.testing.assert_array_equal(packed.at(places), bits[places])


@given(st.lists(BITS, max_size=8))
def test_parts_are_joined_in_order_and_wiped(arrays):
    parts = [PackedBits.of(bits) for bits in arrays]
    held = list(parts)
    whole = PackedBits.joined(parts)
    np.testing.assert_array_equal(whole[:], np.concatenate([np.empty(0, np.uint8), *arrays]))
    assert not parts
    assert not any(part[:].any() for part in held)


@settings(max_examples=20)
@given(BITS)
def test_plain_bits_are_wiped_after_use_and_the_packed_ones_on_demand(bits):
    packed = PackedBits.of(bits)
    with packed.plain() as plain:
        np.testing.assert_array_equal(plain, bits)
    assert not plain.any()
    np.testing.assert_array_equal(packed[:], bits)
    packed.wipe()
    assert not packed[:].any()


def test_bits_of_another_number_are_refused_and_none_shows():
    packed = PackedBits.of(np.ones(20, np.uint8))
    with pytest.raises(ValueError, match='slice of 5'):
        packed[3:8] = np.zeros(4, np.uint8)
    with pytest.raises(ValueError, match='do not hold'):
        PackedBits(np.zeros(2, np.uint8), 17)
    assert repr(packed) == '<PackedBits: 20>'
