"""Runs that join two kept passes, broken at every message and at every call of a record, and joined again."""

import threading
from collections import Counter
from itertools import count
from pathlib import Path

import cheap_protocol
import numpy as np
import pytest
from cheap_protocol import (
    LIGHT,
    SESSIONS,
    Both,
    Crash,
    Dying,
    Inside,
    Listening,
    Meddling,
    MortalRecord,
)
from protocol_twin import TERMS

from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.keys.entries import KeyStateName, Side
from qkd_gs.qkd.link.channel import Kind
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.streams import channel_pair
from qkd_gs.qkd.protocol import ground_join
from qkd_gs.qkd.protocol.confirmation import confirm_again
from qkd_gs.qkd.protocol.detection_log import DetectionLog
from qkd_gs.qkd.protocol.ground_join import GroundJoin
from qkd_gs.qkd.protocol.ground_side import GroundSession
from qkd_gs.qkd.protocol.kept_bits import joined_session

ALIVE = Dying()
KEEPING = TERMS.model_copy(update={'keep': 'all'})
JOINED = joined_session(SESSIONS)
CALLS = 8  # of the record of a side, more than a run makes


@pytest.fixture(autouse=True)
def stubs(monkeypatch):
    cheap_protocol.use_stubs(monkeypatch)
    cheap_protocol.watch_pads(monkeypatch)
    monkeypatch.setattr(ground_join, 'check_gain', lambda *arguments: None)


class Two(Both):
    """Both sides, whose terms say that passes are kept."""

    terms = KEEPING

    def keep(self, session, *meddlings, dying=ALIVE):
        """Process a session; its bits are kept."""

        def ground(channel, store):
            (detections, locked), log_ns = LIGHT[session]
            run = GroundSession(channel, KEEPING, session, self.pre_shared(Side.GROUND, store), store)
            run.open()
            run.request_beacon_log(*log_ns)
            made = run.make_key(DetectionLog.of(detections, locked), locked)
            assert made.secret_bits == 0
            store.put(session, made.key_id, made.key, made.epsilon, {}, kept=made.kept)
            run.confirm()
            store.confirm(session, made.key_id)

        return self._both(session, ground, meddlings, dying)

    def join(self, *meddlings, dying=ALIVE, sessions=SESSIONS):
        """Join the sessions."""

        def ground(channel, store):
            passes = [store.kept(session) for session in sessions]
            run = GroundJoin(channel, KEEPING, passes, self.pre_shared(Side.GROUND, store), store)
            made = run.make_joined_key()
            store.put(joined_session(sessions), made.key_id, made.key, made.epsilon, {}, made.refill)
            run.confirm()
            store.confirm(joined_session(sessions), made.key_id)

        return self._both(joined_session(sessions), ground, meddlings, dying)

    def _both(self, session, ground, meddlings, dying):
        ground_end, satellite_end = channel_pair(timeout_s=120.0)
        inside, heard = Inside(ground_end, meddlings, self.kept), Listening(satellite_end)
        thread = threading.Thread(target=self._satellite, args=(heard, dying))
        thread.start()
        fault = None
        try:
            with self.store(Side.GROUND) as kept:
                store = MortalRecord(kept, dying.call, dying.after) if dying.side is Side.GROUND else kept
                stored = store.entry(session)
                if stored is None:
                    ground(inside, store)
                elif stored.state is KeyStateName.PENDING:
                    pre_shared = self.pre_shared(Side.GROUND, store)
                    confirm_again(inside, KEEPING, session, stored.key_id, pre_shared)
                    store.confirm(session, stored.key_id)
        except (ProtocolError, StationError, Crash) as caught:
            fault = caught
        finally:
            inside.close()
            thread.join()
        self._note(session, inside, heard)
        return fault, inside.said, heard.said

    def booked(self):
        """Nothing of the joined bits was disclosed unbooked."""
        for side in Side:
            with self.store(side) as store:
                assert store.disclosed_before(JOINED) >= self.disclosed[side, JOINED]

    def finish(self):
        """Join again, undisturbed: both sides have the same key, and keep no bits any more; its length."""
        self.join()
        fault, *_ = self.join()
        assert fault is None
        self.booked()
        with self.store(Side.GROUND) as ground, self.store(Side.SATELLITE) as satellite:
            mine, theirs = ground.entry(JOINED), satellite.entry(JOINED)
            assert mine.state is theirs.state is KeyStateName.CONFIRMED
            assert mine.key_id == theirs.key_id
            for store in (ground, satellite):
                assert all(store.kept(session) is None for session in SESSIONS)
            if mine.length_bits:
                piece = ground.take(8)
                assert satellite.take_named(piece.name).material.reveal() == piece.material.reveal()
            return mine.length_bits


@pytest.fixture(scope='module')
def kept_folder(tmp_path_factory):
    """Both ends with both sessions kept, to be copied."""
    folder = tmp_path_factory.mktemp('kept')
    both = Two(folder)
    for session in SESSIONS:
        fault, ground, _ = both.keep(session)
        assert fault is None
        assert Kind.PARITY_REQUEST not in [message.kind for message in ground]
    return folder


@pytest.fixture
def fresh(kept_folder, tmp_path):
    """A new copy of both ends with each call."""

    numbers = count()

    def copy():
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        two = object.__new__(Two)
        two.kept, two.answers, two.keys, two.runs, two.disclosed = {}, {}, {}, 0, Counter()
        two.parities, two.hashes, two.died = {}, Counter(), set()
        for path in kept_folder.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
            (folder / path.name).chmod(0o600)
        two.folder = Path(folder)
        cheap_protocol.PADS.clear()
        return two

    return copy


def test_two_kept_passes_become_one_key(fresh):
    length = fresh().finish()
    sifted = 0
    with fresh().store(Side.GROUND) as ground:
        sifted = sum(ground.kept(session).counts.sifted_bits for session in SESSIONS)
    assert 0.5 * sifted < length < sifted


@pytest.mark.parametrize('after', [False, True])
@pytest.mark.parametrize('side', Side)
def test_a_side_that_dies_at_any_call_of_its_record(fresh, side, after):
    for call in range(CALLS):
        two = fresh()
        two.join(dying=Dying(side, call, after))
        two.booked()
        two.finish()


@pytest.mark.parametrize('to_satellite', [True, False])
@pytest.mark.parametrize('what', ['lose', 'alter'])
def test_a_meddled_run_and_its_repetition(fresh, what, to_satellite):
    _, *said = fresh().join()
    kinds = [message.kind for message in said[not to_satellite]]
    alike = {k for k in range(2, len(kinds) - 1) if kinds[k - 1] == kinds[k] == kinds[k + 1]}  # most parities
    lengths = set()
    for number in sorted(set(range(len(kinds))) - alike):
        two = fresh()
        two.join(Meddling(what, to_satellite, number))
        two.booked()
        lengths.add(two.finish())
    assert len(lengths) > 2  # what was disclosed is charged


def test_bits_are_taken_for_one_joined_key_only(fresh):
    two = fresh()
    two.join(Meddling('lose', False, 3))  # parities have been asked for
    fault, *_ = two.join(sessions=SESSIONS[:1])
    assert 'were taken for the joined session' in str(fault)
    two.finish()


def test_bits_that_only_one_side_keeps_are_not_joined(fresh):
    two = fresh()
    with two.store(Side.SATELLITE) as satellite:
        satellite.drop_old_kept(0)
        assert satellite.kept(SESSIONS[0]) is None
    fault, ground, _ = two.join()
    assert isinstance(fault, DeviceFault)
    assert Kind.PARITY_REQUEST not in [message.kind for message in ground]


def test_kept_bits_cannot_be_read_once_they_are_dropped(fresh):
    """The database as it was, and the root key as it is now: the rows do not open."""
    two = fresh()
    path = two.folder / f'{Side.GROUND}.db'
    before = path.read_bytes()
    with two.store(Side.GROUND) as store:
        assert len(store.take_kept(JOINED, SESSIONS)) == 2
        store.drop_old_kept(0)
        with pytest.raises(StationError, match='no sifted bits are kept'):
            store.take_kept(JOINED, SESSIONS)
    path.write_bytes(before)
    with pytest.raises(StationError, match='is not the newest copy'):
        two.store(Side.GROUND)


def test_the_satellite_counts_the_passes_itself(fresh):
    two = fresh()
    with two.store(Side.SATELLITE) as store, store.database.change():
        last_ns = store.kept(SESSIONS[1]).last_ns
        store.database.sql.execute('INSERT INTO bookings VALUES (?, ?, ?, ?)', ('c' * 32, '', 0, last_ns))
    fault, ground, _ = two.join()
    assert fault is not None
    assert Kind.PARITY_REQUEST not in [message.kind for message in ground]


@pytest.mark.parametrize('number', range(12))
def test_a_run_that_keeps_breaks_and_is_repeated(tmp_path, number):
    """Either both sides keep the bits in the end, or a repeated run makes them."""
    two = Two(tmp_path)
    two.keep(SESSIONS[0], Meddling('lose', number % 2 == 0, number // 2))
    for _ in range(2):
        two.keep(SESSIONS[0])
    with two.store(Side.GROUND) as ground, two.store(Side.SATELLITE) as satellite:
        mine, theirs = ground.kept(SESSIONS[0]), satellite.kept(SESSIONS[0])
        assert mine.digest == theirs.digest
        assert ground.entry(SESSIONS[0]).state is satellite.entry(SESSIONS[0]).state is KeyStateName.CONFIRMED
        bits = [store.take_kept(JOINED, SESSIONS[:1])[0].bits[:] for store in (ground, satellite)]
        assert np.mean(bits[0] != bits[1]) < 0.05
