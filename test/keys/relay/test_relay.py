"""Two stations joined by the satellite: the same key at both or at none, whatever is killed, changed or replayed."""

import base64
import itertools
import os
import signal
from datetime import UTC, datetime
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.cli import main
from qkd_gs.errors import StationError
from qkd_gs.keys import sealed_database
from qkd_gs.keys.entries import KeyStateName, Purpose, Side
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.relay.announcement import ATTEMPTS, TAG_SECRET_BITS, Announcement, read_announcement, tag_of
from qkd_gs.keys.relay.ledger import RelayLedger
from qkd_gs.keys.relay.satellite_end import announce, xor
from qkd_gs.keys.relay.station_end import accept
from qkd_gs.qkd.sifting.packed_bits import PackedBits

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LENGTH = 4096


class Cities:
    """Key folders of two stations, and of the satellite for each."""

    def __init__(self, folder, lengths=(LENGTH, LENGTH - 480)):
        self.ground, self.satellite, self.bits = {}, {}, {}
        for name, length in zip(('Beijing', 'Shanghai'), lengths, strict=True):
            self.bits[name] = np.random.default_rng(length).integers(0, 2, length).astype(np.uint8)
            for side, found in ((Side.GROUND, self.ground), (Side.SATELLITE, self.satellite)):
                found[name] = KeyFolder.create(folder / f'{name}-{side}')
                with found[name].store(False, side) as store:
                    store.put(f's-{name}', f'k-{name}', PackedBits.of(self.bits[name]), 1e-10, {})
                    store.confirm(f's-{name}', f'k-{name}')

    def announce(self, bits=None, publish=lambda _: None):
        stores = {name: folder.store(False, Side.SATELLITE) for name, folder in self.satellite.items()}
        try:
            return announce(stores, bits, False, NOW, publish)
        finally:
            for store in stores.values():
                store.close()

    def accept(self, name, announcement):
        return accept(self.ground[name], announcement, NOW)

    def relayed(self, name):
        (other,) = set(self.ground) - {name}
        return self.ground[name].relayed_store(name, other, False)


@pytest.fixture
def cities(tmp_path):
    return Cities(tmp_path)


def test_both_stations_get_the_same_key_and_each_direction_its_own_part(cities):
    announcement = cities.announce(1024)
    entries = [cities.accept(name, announcement) for name in cities.ground]
    assert [entry.length_bits for entry in entries] == [1024, 1024]
    assert entries[0].epsilon == entries[1].epsilon == pytest.approx(2e-10, rel=1e-6)
    with cities.relayed('Beijing') as beijing, cities.relayed('Shanghai') as shanghai:
        for sender, receiver in ((beijing, shanghai), (shanghai, beijing)):
            piece = sender.take(512)
            assert receiver.take_named(piece.name).material.reveal() == piece.material.reveal()
    half = LENGTH // 2  # the satellite sends with the second half
    key = np.packbits(cities.bits['Beijing'][half : half + 1024]).tobytes()
    with pytest.raises(AssertionError):
        assert key.startswith(piece.material.reveal()), 'the last piece was of the other direction'
    assert key.endswith(piece.material.reveal())


def test_the_sum_is_all_that_is_announced(cities):
    announcement = cities.announce(1024)
    half = {name: len(bits) // 16 * 8 for name, bits in cities.bits.items()}
    parts = [np.packbits(bits[half[name] : half[name] + 1024]).tobytes() for name, bits in cities.bits.items()]
    assert base64.b64decode(announcement.sum) == xor(*parts)
    text = announcement.model_dump_json().encode()
    assert not any(part[:16] in text or base64.b64encode(part)[:24] in text for part in parts)


def test_as_long_as_possible(cities):
    announcement = cities.announce()
    assert announcement.bits == (LENGTH - 480) // 2 // 8 * 8 - TAG_SECRET_BITS
    with pytest.raises(StationError, match='cannot be relayed, 0 are the most'):
        cities.announce()


def test_what_was_relayed_is_not_delivered_in_another_way(cities):
    announcement = cities.announce(1024)
    cities.accept('Beijing', announcement)
    end = LENGTH // 2 + 1024 + TAG_SECRET_BITS
    for folders, side, purpose in (
        (cities.ground, Side.GROUND, Purpose.RECEIVE),
        (cities.satellite, Side.SATELLITE, Purpose.SEND),
    ):
        with folders['Beijing'].store(False, side) as store:
            assert store.entry('s-Beijing').partition(purpose).next_bit == end
            assert [one.bits for one in RelayLedger(store).all()] == [1024]


def test_accepted_twice_is_accepted_once(cities):
    announcement = cities.announce(1024)
    first = cities.accept('Beijing', announcement)
    with cities.relayed('Beijing') as store:
        store.take(256)
    assert cities.accept('Beijing', announcement).send.left_bits == first.send.left_bits - 256


def changed(announcement, **items):
    return Announcement.model_validate({**announcement.model_dump(), **items})


def test_a_changed_announcement_is_refused_and_costs_no_bit(cities):
    announcement = cities.announce(1024)
    flipped = bytearray(base64.b64decode(announcement.sum))
    flipped[5] ^= 1
    forgeries = [
        changed(announcement, sum=base64.b64encode(flipped).decode()),
        changed(announcement, relay_id='0' * 32),
        changed(announcement, epsilon={'all': 0.0}),
        changed(announcement, tags={}),
        changed(announcement, tags={**announcement.tags, 'Beijing': 'x'}),
        changed(announcement, tags={**announcement.tags, 'Beijing': announcement.tags['Shanghai']}),
    ]
    for forgery in forgeries:
        with pytest.raises(StationError, match='the tag of the announcement is wrong'):
            cities.accept('Beijing', forgery)
    cities.accept('Beijing', announcement)


def test_forgers_may_not_try_for_ever(cities):
    announcement = cities.announce(1024)
    for _ in range(ATTEMPTS):
        with pytest.raises(StationError, match='is wrong'):
            cities.accept('Beijing', changed(announcement, tags={}))
    with pytest.raises(StationError, match='16 announcements with a wrong tag'):
        cities.accept('Beijing', announcement)


def test_not_for_this_station(cities, tmp_path):
    announcement = cities.announce(1024)
    with pytest.raises(StationError, match='is not for this folder'):
        accept(KeyFolder.create(tmp_path / 'other'), announcement, NOW)


def write_to(path, announcement):
    path.write_text(announcement.model_dump_json())


def killed_at(step, action):
    """True if `action` was killed at a step: a statement of any of the databases it opens."""
    child = os.fork()
    if child == 0:
        left, connect = itertools.count(step, -1), sealed_database.sqlite3.connect

        class Watched:
            def __init__(self, module):
                self._module = module

            def __getattr__(self, name):
                return getattr(self._module, name)

            def connect(self, *args, **options):
                sql = connect(*args, **options)
                sql.set_trace_callback(lambda _: os.kill(os.getpid(), signal.SIGKILL) if next(left) == 0 else None)
                return sql

        sealed_database.sqlite3 = Watched(sealed_database.sqlite3)
        try:
            action()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize('stride', [7, pytest.param(1, marks=pytest.mark.long)])
def test_killed_at_every_statement_of_accepting(tmp_path, stride):
    for step in range(0, 1000, stride):
        cities = Cities(tmp_path / str(step))
        announcement = cities.announce(1024)
        killed = killed_at(step, partial(cities.accept, 'Shanghai', announcement))
        with cities.relayed('Shanghai') as relayed, cities.ground['Shanghai'].store(False) as store:
            confirmed = [one for one in relayed.entries() if one.state is KeyStateName.CONFIRMED]
            untouched = store.entry('s-Shanghai').receive.next_bit == store.entry('s-Shanghai').receive.start
            assert not (confirmed and untouched), 'the bits are in both stores'
        cities.accept('Shanghai', announcement)
        cities.accept('Beijing', announcement)
        with cities.relayed('Beijing') as beijing, cities.relayed('Shanghai') as shanghai:
            piece = beijing.take(512)
            assert shanghai.take_named(piece.name).material.reveal() == piece.material.reveal()
        if not killed:
            break
    else:
        pytest.fail('the last kill must be behind the end')


@pytest.mark.parametrize('stride', [7, pytest.param(1, marks=pytest.mark.long)])
def test_killed_at_every_statement_of_announcing(tmp_path, stride):
    for step in range(0, 1000, stride):
        cities, written = Cities(tmp_path / str(step)), tmp_path / f'{step}.json'
        killed = killed_at(step, partial(cities.announce, 256, partial(write_to, written)))
        again = cities.announce(256)
        if written.exists():
            first = read_announcement(written)
            used = [{one.piece for one in announced.ends} for announced in (first, again)]
            assert not used[0] & used[1], 'bits were announced twice'
            for name in cities.ground:
                cities.accept(name, first)
        for name in cities.ground:
            cities.accept(name, again)
        if not killed:
            break
    else:
        pytest.fail('the last kill must be behind the end')


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=5))
@settings(max_examples=10, deadline=None)
def test_several_relays_share_no_bit(tmp_path_factory, lengths):
    cities = Cities(tmp_path_factory.mktemp('cities'))
    spans = []
    for length in lengths:
        try:
            announcement = cities.announce(8 * length)
        except StationError:
            break
        spans.append(announcement.ends[0].piece.rsplit('-', 2)[1:])
        for name in cities.ground:
            cities.accept(name, announcement)
    firsts = [int(first) for first, _ in spans]
    assert all(
        first + int(bits) <= later
        for (first, bits), later in zip([(int(a), b) for a, b in spans], firsts[1:], strict=False)
    )


def test_a_tag_depends_on_secret_and_content():
    tags = {tag_of(secret, content) for secret in (bytes(32), bytes(range(32))) for content in (b'a', b'b', b'ab')}
    assert len(tags) >= 4  # the secret of zeros has the point 0, where contents agree


def test_the_commands(cities, tmp_path, capsys):
    stations = [f'--station={name}={folder.path}' for name, folder in cities.satellite.items()]
    file = tmp_path / 'relay.json'
    assert main(['relay', 'announce', str(file), *stations, '--bits', '1024']) == 0
    assert 'The satellite knows the relayed key' in capsys.readouterr().out
    assert main(['relay', 'announce', str(file), *stations]) == 2
    for folder in cities.ground.values():
        assert main(['relay', 'accept', str(folder.path), str(file)]) == 0
        assert '1,024 bits shared with' in capsys.readouterr().out
        assert main(['relay', 'list', str(folder.path)]) == 0
        assert 'accepted' in capsys.readouterr().out
        assert main(['keys', 'list', str(folder.path), '--json']) == 0
        assert 'relayed-' in capsys.readouterr().out
    assert main(['relay', 'announce', str(tmp_path / 'x'), '--station', 'Beijing']) == 2
    assert 'is not NAME=KEYS' in capsys.readouterr().err
    file.write_text('{}')
    assert main(['relay', 'accept', str(cities.ground['Beijing'].path), str(file)]) == 2
    assert 'is not an announcement of a relay' in capsys.readouterr().err
