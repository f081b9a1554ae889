"""Keys with IDs at two stations: each bit to one pair at most, both ends equal or neither, whatever fails."""

import shutil
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from two_stations import NOW, Stations

from qkd_gs.errors import StationError
from qkd_gs.keys.delivery import issuer
from qkd_gs.keys.delivery.issuer import IssueRequest
from qkd_gs.keys.delivery.users import Share


def test_the_slave_gets_what_the_master_got_once(tmp_path):
    stations = Stations(tmp_path)
    keys = stations.enc('X', 3, 256)
    assert len(keys) == 3
    for key_id, (name, material) in keys.items():
        assert material == stations.expected(name)
        assert stations.dec('Y', [key_id]) == {key_id: material}
        assert stations.dec('Y', [key_id]) == {}


def test_some_keys_of_a_request_are_none(tmp_path):
    stations = Stations(tmp_path)
    first, second = stations.enc('X', 2, 256)
    assert stations.dec('Y', [first])
    assert stations.dec('Y', [first, second]) == {}
    assert stations.dec('Y', [second])


def test_another_slave_gets_nothing(tmp_path):
    stations = Stations(tmp_path)
    (key_id,) = stations.enc('X', 1, 256)
    assert stations.dec('Y', [key_id], slave='mallory') == {}
    assert stations.dec('Y', [key_id])


def test_a_repeated_fetch_within_its_time_and_not_after_the_clock_was_set_back(tmp_path):
    stations = Stations(tmp_path)
    (key_id,) = stations.enc('X', 1, 256)
    got = stations.dec('Y', [key_id], repeat_s=60)
    assert stations.dec('Y', [key_id], repeat_s=60, now=NOW + timedelta(seconds=59)) == got
    assert stations.dec('Y', [key_id], repeat_s=60, now=NOW - timedelta(seconds=1)) == {}
    assert stations.dec('Y', [key_id], repeat_s=60, now=NOW + timedelta(seconds=61)) == {}


def test_a_clock_that_is_set_back_gives_no_second_quota(tmp_path):
    stations, share = Stations(tmp_path), Share(bits_per_day=512)
    assert stations.enc('X', 2, 256, share=share)
    assert stations.enc('X', 1, 256, share=share) == {}
    assert stations.enc('X', 1, 256, share=share, now=NOW - timedelta(days=1)) == {}
    assert stations.enc('X', 1, 256, share=share, now=NOW + timedelta(days=1))


def test_the_reserve_stays(tmp_path):
    stations = Stations(tmp_path, lengths=(2048,))  # 1024 to send with
    assert stations.enc('X', 1, 256, share=Share(reserve_bits=800)) == {}
    assert stations.enc('X', 1, 256, share=Share(reserve_bits=768))


@pytest.mark.parametrize('lost', ['request', 'reply'])
def test_what_the_peer_did_not_confirm_nobody_gets(tmp_path, lost):
    stations = Stations(tmp_path)
    assert stations.enc('X', 2, 256, lose=lost) == {}
    (key_id,) = keys = stations.enc('X', 1, 256)
    assert keys[key_id][0] == 'k0-512-256', 'the bits before are gone'
    with stations.store('Y') as store:
        held = {row[0] for row in store.database.sql.execute('SELECT key_id FROM held')}
    assert held == {key_id}, 'what was offered in vain is destroyed'


def test_the_held_keys_of_an_erased_session_are_gone_and_harm_no_others(tmp_path):
    stations = Stations(tmp_path)
    (gone,) = stations.enc('X', 1, 1024)
    assert stations.enc('X', 1, 960)
    (other,) = keys = stations.enc('X', 1, 512)
    with stations.store('Y') as store:
        store.erase('s-k0')
    assert keys[other][0].startswith('k1-')
    assert stations.dec('Y', [gone]) == {}
    assert stations.dec('Y', [other])


def test_more_keys_than_a_message_offers(tmp_path, monkeypatch):
    monkeypatch.setattr(issuer, 'MAX_OFFERS', 3)
    requests = [IssueRequest('a', ('b',), number, 8, Share()) for number in (1, 2, 3, 1, 1, 2, 1)]
    assert [[one.number for one in part] for part in issuer._parts(requests)] == [[1, 2], [3], [1, 1], [2, 1]]


def check(stations, given, fetched, lost):
    """The invariant, for keys given (ID: name, bytes), fetched (ID: bytes), and IDs whose fetch was killed or lost."""
    used = {}
    for key_id, (name, material) in given.items():
        assert material == stations.expected(name)
        key, first, bits = name.rsplit('-', 2)
        for bit in range(int(first), int(first) + int(bits)):
            assert used.setdefault((key, bit), key_id) == key_id, 'a bit for two keys'
    assert set(fetched) <= set(given)
    for key_id, material in fetched.items():
        assert material == given[key_id][1]
    for key_id, (name, material) in given.items():
        if key_id not in fetched:
            got = stations.dec('Y' if _sender(name) == 'X' else 'X', [key_id])
            assert got == {key_id: material} or (key_id in lost and got == {})


def _sender(name):
    key, first, _ = name.rsplit('-', 2)
    middle = {'k0': 2000, 'k1': 800}[key]
    return 'X' if int(first) < middle else 'Y'


@pytest.mark.parametrize('stride', [5, pytest.param(1, marks=pytest.mark.long)])
def test_killed_at_every_step_of_a_request(tmp_path, stride):
    killed = 0
    for who in ('kill_at', 'peer_kill_at'):
        for step in range(0, 400, stride):
            stations = Stations(tmp_path / f'{who}-{step}') if _made(tmp_path / f'{who}-{step}') else None
            keys = stations.enc('X', 2, 256, **{who: step})
            killed += keys is None or not keys
            later = stations.enc('X', 1, 256)
            assert later
            check(stations, {**(keys or {}), **later}, {}, set())
            shutil.rmtree(stations.folder)
            if keys:
                break
        else:
            pytest.fail('the last kill must be behind the end')
    assert killed > 60 // stride


@pytest.mark.parametrize('stride', [3, pytest.param(1, marks=pytest.mark.long)])
def test_killed_at_every_step_of_a_fetch(tmp_path, stride):
    outcomes = set()
    for step in range(0, 400, stride):
        folder = tmp_path / str(step)
        folder.mkdir()
        stations = Stations(folder)
        keys = stations.enc('X', 2, 256)
        got = stations.dec('Y', list(keys), kill_at=step)
        if got is None:
            again = stations.dec('Y', list(keys))
            outcomes.add(len(again))
            assert again in ({}, {one: material for one, (_, material) in keys.items()})
        shutil.rmtree(folder)
        if got:
            break
    else:
        pytest.fail('the last kill must be behind the end')
    assert outcomes == {0, 2}


def _made(folder):
    folder.mkdir()
    return True


steps = st.none() | st.integers(0, 120)
asks = st.tuples(
    st.just('enc'), st.sampled_from('XY'), st.integers(1, 3), st.sampled_from([64, 128, 256]), steps, steps,
    st.sampled_from([None, None, None, 'request', 'reply', 'answer']),
)  # fmt: skip
fetches = st.tuples(st.just('dec'), st.integers(0, 50), steps)
restores = st.tuples(st.just('restore'), st.sampled_from('XY'))


def run_history(folder, history):
    stations = Stations(folder)
    given, fetched, lost = {}, {}, set()
    for kind, *details in history:
        if kind == 'enc':
            name, number, size, kill_at, peer_kill_at, lose = details
            keys = stations.enc(
                name, number, size, kill_at=kill_at, peer_kill_at=peer_kill_at, lose=None if lose == 'answer' else lose
            )
            if lose != 'answer':
                given.update(keys or {})
        elif kind == 'dec' and given:
            key_id = sorted(given)[details[0] % len(given)]
            holder = 'Y' if _sender(given[key_id][0]) == 'X' else 'X'
            got = stations.dec(holder, [key_id], kill_at=details[1])
            if got is None:
                lost.add(key_id)
            elif got:
                assert key_id not in fetched, 'a key was handed out twice'
                fetched.update(got)
        elif kind == 'restore':
            old = folder / 'old.db'
            shutil.copy(stations.path(details[0]), old)
            stations.enc('X', 1, 64)
            stations.enc('Y', 1, 64)
            newest = stations.path(details[0]).read_bytes()
            shutil.copy(old, stations.path(details[0]))
            if newest != old.read_bytes():
                with pytest.raises(StationError, match='is not the newest copy'):
                    stations.store(details[0])
            stations.path(details[0]).write_bytes(newest)
    check(stations, given, fetched, lost)


@given(history=st.lists(st.one_of(asks, asks, fetches, fetches, restores), max_size=14))
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_history_of_requests_crashes_and_restores(tmp_path_factory, history):
    run_history(tmp_path_factory.mktemp('history'), history)


@pytest.mark.long
@given(history=st.lists(st.one_of(asks, asks, fetches, fetches, restores), min_size=5, max_size=40))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_many_long_histories(tmp_path_factory, history):
    run_history(tmp_path_factory.mktemp('history'), history)
