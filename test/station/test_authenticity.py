"""Messages of this station are accepted once; others, changed, old and repeated ones never."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.station.authenticity import Signer, Verifier, station_key

KEY = bytes(range(32))
S = 10**9
MESSAGE = b'\x00\x01\x00\x00' + bytes(40)


def at(now_ns):
    """Age at a reading of the monotonic clock."""
    return lambda monotonic_ns: now_ns - monotonic_ns


BODIES = st.binary(min_size=16, max_size=80).map(lambda body: b'\x00\x01\x00\x00' + body)


@given(BODIES, st.integers(1, 2**62))
def test_what_was_signed_is_accepted_once(data, now_ns):
    verifier = Verifier(KEY, '/mount/command', S, at(now_ns))
    signed = Signer(KEY, '/mount/command').sign(data, now_ns)
    assert len(signed) == len(data)
    assert signed[:-16] == data[:-16]
    assert verifier.objection(signed) == ''
    assert verifier.objection(signed) == 'was sent before'


@given(BODIES, st.data())
def test_one_changed_bit_is_refused(data, draw):
    signed = bytearray(Signer(KEY, '/a').sign(data, S))
    bit = draw.draw(st.integers(0, 8 * len(signed) - 1))
    signed[bit // 8] ^= 1 << bit % 8
    assert Verifier(KEY, '/a').objection(bytes(signed)) == 'is not of this station'


@given(st.binary(max_size=100))
def test_nonsense_is_refused(data):
    assert Verifier(KEY, '/a').objection(data) == 'is not of this station'


def test_another_topic_and_another_key_are_refused():
    signed = Signer(KEY, '/a').sign(MESSAGE, S)
    assert Verifier(KEY, '/b').objection(signed) != ''
    assert Verifier(bytes(32), '/a').objection(signed) != ''
    assert Verifier(KEY, '/a').objection(MESSAGE) != ''


def test_an_old_one_is_refused_where_age_matters_also_after_a_restart():
    signed = Signer(KEY, '/a').sign(MESSAGE, S)
    assert Verifier(KEY, '/a', S // 2, at(2 * S)).objection(signed) == 'was sent more than 0.5 s ago'
    assert Verifier(KEY, '/a', S // 2, at(S // 4)).objection(signed) == 'is of the future'
    assert Verifier(KEY, '/a').objection(signed) == ''


def test_two_messages_of_one_moment_are_both_accepted():
    signer, verifier = Signer(KEY, '/a'), Verifier(KEY, '/a', S, at(S))
    for _ in range(5):
        assert verifier.objection(signer.sign(MESSAGE, S)) == ''


def test_processes_that_start_together_have_one_key(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: station_key(tmp_path / 'state'), range(64)))
    assert len(keys) == 1
    assert [path.name for path in (tmp_path / 'state').iterdir()] == ['station.key']
    assert stat.S_IMODE((tmp_path / 'state' / 'station.key').stat().st_mode) == 0o600


def test_a_key_that_others_can_read_or_that_is_damaged_is_refused(tmp_path):
    station_key(tmp_path)
    path = tmp_path / 'station.key'
    path.chmod(0o644)
    with pytest.raises(StationError, match='others can reach it'):
        station_key(tmp_path)
    path.chmod(0o600)
    os.truncate(path, 7)
    with pytest.raises(StationError, match='has 7 bytes, not 32'):
        station_key(tmp_path)
