"""The pre-shared key: no bit twice, whatever happens in between."""

import os
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.keys import preshared
from qkd_gs.keys.preshared import MAX_SKIP_BITS, PreSharedKey, SimulatedPreSharedKey

MATERIAL = os.urandom(1 << 16)


@given(amounts=st.lists(st.integers(1, 64), min_size=1, max_size=8))
@settings(max_examples=15, deadline=None)
def test_bits_come_in_order_and_once(tmp_path_factory, amounts):
    path = tmp_path_factory.mktemp('psk') / 'pre-shared.key'
    PreSharedKey.create(path, MATERIAL)
    taken = b''.join(PreSharedKey(path).take(8 * amount).reveal() for amount in amounts)  # a new object each time
    assert taken == MATERIAL[: sum(amounts)]
    assert path.read_bytes() == bytes(len(taken)) + MATERIAL[len(taken) :]  # used bytes are overwritten


def test_the_other_side_may_be_ahead_but_not_behind(tmp_path):
    key = PreSharedKey.create(tmp_path / 'pre-shared.key', MATERIAL)
    key.take(64)
    assert key.take(64, first=1024).reveal() == MATERIAL[128:136]
    for first in (0, 1024, 1088 + MAX_SKIP_BITS + 8):
        with pytest.raises(StationError, match='the other side wants to start'):
            key.take(64, first=first)


def test_it_ends(tmp_path):
    key = PreSharedKey.create(tmp_path / 'pre-shared.key', MATERIAL[:16])
    key.take(64)
    with pytest.raises(StationError, match='only 64 bits are left'):
        key.take(72)
    assert key.left_bits == 64


@pytest.mark.parametrize('text', [b'', b'12', b'-0000000000000000008\n', b'99999999999999999999\n'])
def test_a_damaged_counter_is_refused(tmp_path, text):
    key = PreSharedKey.create(tmp_path / 'pre-shared.key', MATERIAL)
    (tmp_path / 'pre-shared.used').write_bytes(text)
    with pytest.raises(StationError, match='not the counter'):
        key.take(8)


def test_a_lost_counter_is_not_taken_for_zero(tmp_path):
    key = PreSharedKey.create(tmp_path / 'pre-shared.key', MATERIAL)
    (tmp_path / 'pre-shared.used').unlink()
    with pytest.raises(StationError, match='is missing'):
        key.take(8)


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
        key.take(512)
        os._exit(0)
    os.waitpid(child, 0)
    after = key.take(512).reveal()
    # either nothing had left the file, or the counter was ahead of it
    assert after in (MATERIAL[:64], MATERIAL[64:128])
    assert key.used_bits in (512, 1024)


def test_the_counter_is_on_disk_before_the_bits_are_read(tmp_path, monkeypatch):
    key = PreSharedKey.create(tmp_path / 'pre-shared.key', MATERIAL)
    seen = []
    monkeypatch.setattr(preshared, 'Secret', lambda material: seen.append(key.used_bits) or material)
    key.take(256)
    assert seen == [256]


def test_both_ends_of_a_simulated_session_hold_the_same():
    one, other = SimulatedPreSharedKey(7, 'a' * 32), SimulatedPreSharedKey(7, 'a' * 32)
    assert one.take(256).reveal() + one.take(256).reveal() == other.take(512).reveal()
    assert (
        SimulatedPreSharedKey(7, 'b' * 32).take(256).reveal() != SimulatedPreSharedKey(7, 'a' * 32).take(256).reveal()
    )
    for first in (8, 516, 1 << 62):  # used, not a whole byte, far away
        with pytest.raises(StationError, match='pre-shared bits'):
            one.take(8, first=first)
