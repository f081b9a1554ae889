"""Authentication: an unchanged conversation passes, any change does not, and no pad serves twice."""

import numpy as np
import pytest

from qkd_gs.errors import StationError
from qkd_gs.qkd.link.auth import MAX_TAGS, Authenticator, forgery_probability, secret_bytes

SECRET = np.random.default_rng(9).bytes(secret_bytes(3))
TALK = [(0, b'bases'), (1, b''), (1, b'x' * 1000), (0, b'parities')]


def transcript(authenticator, talk):
    made = authenticator.transcript()
    for sender, message in talk:
        made.record(sender, message)
    return made


def test_an_unchanged_conversation_passes_both_ways():
    alice, bob = Authenticator(SECRET), Authenticator(SECRET)
    bob.verify(0, transcript(bob, TALK), alice.tag(0, transcript(alice, TALK)))
    alice.verify(1, transcript(alice, TALK[:2]), bob.tag(1, transcript(bob, TALK[:2])))
    assert alice.key_bits_used == bob.key_bits_used == 3 * 128
    assert alice.epsilon == bob.epsilon < 1e-35


@pytest.mark.parametrize(
    'changed',
    [
        [(0, b'basis'), *TALK[1:]],
        [(1, b'bases'), *TALK[1:]],
        [(0, b'base'), (1, b's'), *TALK[2:]],
        TALK[:-1],
        [*TALK, (0, b'')],
        TALK[::-1],
        [(0, b'bases\x00'), *TALK[1:]],
    ],
)
def test_any_change_is_noticed(changed):
    alice, bob = Authenticator(SECRET), Authenticator(SECRET)
    with pytest.raises(StationError, match='tag 0'):
        bob.verify(0, transcript(bob, changed), alice.tag(0, transcript(alice, TALK)))


def test_a_different_secret_is_noticed():
    alice, bob = Authenticator(SECRET), Authenticator(SECRET[::-1])
    with pytest.raises(StationError, match='pre-shared'):
        bob.verify(0, transcript(bob, TALK), alice.tag(0, transcript(alice, TALK)))


@pytest.mark.parametrize('tag', [b'', b'\x00' * 16, b'\x00' * 15])
def test_made_up_tags_fail(tag):
    bob = Authenticator(SECRET)
    with pytest.raises(StationError):
        bob.verify(0, transcript(bob, TALK), tag)


def test_no_pad_serves_twice():
    alice = Authenticator(SECRET)
    alice.tag(0, transcript(alice, TALK))
    with pytest.raises(StationError, match='used already'):
        alice.tag(0, transcript(alice, TALK[:1]))
    with pytest.raises(StationError, match='used already'):
        alice.verify(0, transcript(alice, TALK[:1]), b'\x00' * 16)
    with pytest.raises(StationError, match='no pad'):
        alice.tag(3, transcript(alice, TALK))


def test_the_pre_shared_bits_of_a_run_are_limited():
    assert 8 * secret_bytes(8) == 1152  # a slot
    assert secret_bytes(MAX_TAGS) == 2 * secret_bytes(8)
    for tags in (0, MAX_TAGS + 1):
        with pytest.raises(ValueError, match='tags'):
            secret_bytes(tags)
    for wrong in (b'', b'x' * 16, b'x' * 33, b'x' * 16 * 19):
        with pytest.raises(ValueError, match='secret'):
            Authenticator(wrong)


def test_tags_hide_the_hash():
    """With fresh pads, tags of the same transcript look like coins."""
    rng = np.random.default_rng(4)
    point = rng.bytes(16)
    bits = []
    for _ in range(300):
        alice = Authenticator(point + rng.bytes(16))
        bits.append(np.unpackbits(np.frombuffer(alice.tag(0, transcript(alice, TALK)), np.uint8)))
    ones = np.mean(bits, axis=0)
    assert (abs(ones[np.arange(128) != 120] - 0.5) < 0.17).all()  # the field has 127 bits, so one bit is always 0
    assert ones[120] == 0


def test_forging_stays_hard_for_long_conversations():
    assert forgery_probability(10**8) < 1e-31


def test_secrets_stay_out_of_logs():
    assert "b'" not in repr(Authenticator(SECRET))
