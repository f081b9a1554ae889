"""The pre-shared key: no bit twice, whatever happens in between."""

import os
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.keys import preshared
from qkd_gs.keys.preshared import MAX_ATTEMPTS, OFFERED, SLOT_BYTES, PreSharedKey, SimulatedPreSharedKey
from qkd_gs.qkd.link.authenticated_channel import SECRET_BITS

SLOTS = 40
MATERIAL = os.urandom(SLOTS * SLOT_BYTES + 5)


def bits(slot):
    return MATERIAL[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES]


@pytest.fixture
def key(tmp_path):
    return PreSharedKey.create(tmp_path / 'pre-shared.key', MATERIAL)


@given(steps=st.lists(st.tuples(st.sampled_from(['take', 'attempt', 'accept']), st.integers(0, SLOTS)), max_size=25))
@settings(max_examples=30, deadline=None)
def test_no_slot_is_used_twice(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp('psk') / 'pre-shared.key'
    PreSharedKey.create(path, MATERIAL)
    used, tried = set(), None
    for what, slot in steps:
        key = PreSharedKey(path)  # a new object each time
        key.reset_attempts()
        if what == 'accept':
            if tried is not None:
                key.accept(str(tried))
                used.add(tried)
                tried = None
        elif slot in used or slot >= SLOTS:
            with pytest.raises(StationError, match='is used here'):
                getattr(key, what)(str(slot))
        else:
            assert getattr(key, what)(str(slot)).reveal() == bits(slot)
            tried = slot
            if what == 'take':
                used.add(slot)
    assert PreSharedKey(path).runs_left == SLOTS - len(used)
    stored = path.read_bytes()
    for slot in range(SLOTS):  # used bytes are overwritten, and no others
        kept = stored[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES]
        assert kept == (bytes(SLOT_BYTES) if slot in used else bits(slot))


def test_both_sides_agree_on_a_slot_that_neither_has_used(key, tmp_path):
    other = PreSharedKey.create(tmp_path / 'other.key', MATERIAL)
    for slot in ('0', '1', '2'):
        key.take(slot)
    for slot in ('0', '3'):
        other.accept(slot)
    assert key.offers() == [str(slot) for slot in range(3, 3 + OFFERED)]
    assert other.choose(key.offers()) == '4'
    with pytest.raises(StationError, match='none of the pre-shared bits'):
        other.choose(['0', '3', '99', 'key-1'])


def test_a_tagged_greeting_gives_up_what_it_skipped(key, tmp_path):
    key.accept('5', offered=['4', '5', '6'])
    assert key.runs_left == SLOTS - 5
    assert key.offers()[:2] == ['4', '6']
    assert (tmp_path / 'pre-shared.key').read_bytes()[: 6 * SLOT_BYTES] == bytes(4 * SLOT_BYTES) + bits(4) + bytes(
        SLOT_BYTES
    )


def test_it_ends(key):
    key.accept(str(SLOTS - 1), offered=[str(SLOTS - 1)])
    assert key.left_bits == 0
    with pytest.raises(StationError, match='is used up'):
        key.offers()


def test_runs_without_a_right_tag_are_limited(key):
    for slot in range(MAX_ATTEMPTS):
        key.take(str(slot))
    for call in (key.offers, lambda: key.choose(['30']), lambda: key.take('30'), lambda: key.attempt('30'),
                 key.count_attempt):  # fmt: skip
        with pytest.raises(StationError, match='16 runs in a row'):
            call()
    key.reset_attempts()
    assert key.take('30').reveal() == bits(30)


@pytest.mark.parametrize('text', [b'', b'12', b'-0000000000000000008\n', b'99999999999999999999\n'])
def test_a_damaged_counter_is_refused(tmp_path, text):
    key = PreSharedKey.create(tmp_path / 'pre-shared.key', MATERIAL)
    (tmp_path / 'pre-shared.used').write_bytes(text)
    with pytest.raises(StationError, match='not the state'):
        key.take('0')


def test_a_lost_counter_is_not_taken_for_zero(tmp_path):
    key = PreSharedKey.create(tmp_path / 'pre-shared.key', MATERIAL)
    (tmp_path / 'pre-shared.used').unlink()
    with pytest.raises(StationError, match='is missing'):
        key.take('0')


@pytest.mark.parametrize('calls', range(1, 6))
def test_killed_at_any_call_to_the_system_no_bit_comes_twice(tmp_path, calls, monkeypatch):
    key = PreSharedKey.create(tmp_path / 'pre-shared.key', MATERIAL)
    child = os.fork()
    if child == 0:
        left = iter(range(calls))

        def dying(real):
            def call(*arguments, **named):
                if next(left, None) == calls - 1:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **named)

            return call

        for name in ('fsync', 'replace', 'open'):
            setattr(os, name, dying(getattr(os, name)))
        preshared.Secret = dying(preshared.Secret)  # the moment the bits leave the file
        key.take('0')
        os._exit(0)
    os.waitpid(child, 0)
    slot = key.offers()[0]
    # either nothing had left the file, or the state was ahead of it
    assert slot in ('0', '1')
    assert key.take(slot).reveal() == bits(int(slot))


@pytest.mark.parametrize(('used', 'first'), [(0, 0), (8, 1), (SECRET_BITS, 1), (SECRET_BITS + 1024, 2)])
def test_the_counter_of_the_first_version_is_read(tmp_path, used, first):
    key = PreSharedKey.create(tmp_path / 'pre-shared.key', MATERIAL)
    (tmp_path / 'pre-shared.used').write_bytes(f'{used:020d}\n'.encode())
    assert key.offers()[0] == str(first)
    key.take(str(first))
    assert b'"version": 2' in (tmp_path / 'pre-shared.used').read_bytes()


def test_the_state_of_a_later_version_is_refused(key, tmp_path):
    state = (tmp_path / 'pre-shared.used').read_bytes()
    (tmp_path / 'pre-shared.used').write_bytes(state.replace(b'"version": 2', b'"version": 3'))
    with pytest.raises(StationError, match='has version 3, not 2'):
        key.offers()


def test_the_state_is_on_disk_before_the_bits_are_read(key, monkeypatch):
    seen = []
    monkeypatch.setattr(preshared, 'Secret', lambda material: seen.append(key.offers()[0]) or material)
    key.take('0')
    assert seen == ['1']


def test_both_ends_of_a_simulated_session_hold_the_same():
    one, other = SimulatedPreSharedKey(7, 'a' * 32), SimulatedPreSharedKey(7, 'a' * 32)
    assert one.take('0').reveal() == other.attempt('0').reveal() != other.attempt('1').reveal()
    assert SimulatedPreSharedKey(7, 'b' * 32).take('0').reveal() != other.take('0').reveal()
    assert one.offers()[0] == other.choose(one.offers()) == '1'
