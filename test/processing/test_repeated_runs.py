"""A session that is processed again says what it said before, and both sides have the same key or none."""

import os
import shutil
import threading
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from cut_link import Cut

from qkd_gs.bench.security.short_sessions import short_session
from qkd_gs.errors import StationError
from qkd_gs.keys.entries import KeyStateName, Side
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.preshared import SLOT_BYTES
from qkd_gs.keys.refilled import RefilledKey
from qkd_gs.processing.agreement import tie_breaker_of
from qkd_gs.processing.pipeline import process_session
from qkd_gs.processing.tag_runs import scan_session
from qkd_gs.processing.timing_stage import number_clicks
from qkd_gs.qkd.link.channel import Kind
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.spool import Spool
from qkd_gs.qkd.link.streams import channel_pair
from qkd_gs.qkd.protocol.satellite_side import serve
from qkd_gs.qkd.protocol.session_record import Booking
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.session.manifest import load_manifest, update_manifest
from qkd_gs.sim.photons.satellite_record import load_record
from qkd_gs.sim.satellite import present_ns


@pytest.fixture(scope='module')
def taken(tmp_path_factory):
    folder = tmp_path_factory.mktemp('taken')
    keys = KeyFolder.create(folder / 'keys')
    manifest = short_session(seconds=8.0, before_s=4.0, gain=8.0).write(folder / 'session', keys.session_public_key)
    return folder / 'session', keys, manifest


@pytest.mark.parametrize('simulated', [False, True])
def test_the_announcement_of_a_session_is_always_the_same(taken, simulated):
    """Cross clicks have random bases: drawn again, they would be announced in both."""
    folder, keys, manifest = taken
    manifest = manifest.model_copy(update={'simulated': simulated})

    def numbered():
        scanned = scan_session(folder, manifest, keys.session_private_key(manifest.session_id))
        log = load_record(folder).transmitter().beacon_log(*scanned.log_span_ns)
        tape = KeyFolder(keys.path).session_random_tape(manifest.session_id)
        numbered = number_clicks(manifest, scanned, log, tie_breaker_of(manifest, tape), Spool(), lambda step: None)
        tape.save()
        return numbered

    first, again = numbered(), numbered()
    assert first.cross_clicks > 20
    assert first.pulse_spans == again.pulse_spans
    assert list(first.detections.announcements()) == list(again.detections.announcements())
    bits = [np.concatenate([block.bit for block in timed.detections.taken()]) for timed in (first, again)]
    np.testing.assert_array_equal(*bits)


def test_a_real_session_that_was_taken_for_a_simulated_one_is_refused(taken, tmp_path):
    """Somebody who may write session.json had parities told that the real record does not know of."""
    folder, keys = tmp_path / 'session', KeyFolder.create(tmp_path / 'keys')
    shutil.copytree(taken[0], folder)
    session_id = update_manifest(folder, lambda _: {'simulated': False, 'seed': None}).session_id
    with keys.store(simulated=True) as store:
        store.book_pulses(Booking(session_id, 'micius', ((1000, 2000),), 'digest'))
    with pytest.raises(StationError, match='was processed as a simulated session'):
        process_session(folder, keys, None, lambda step, done: None)


def real_run(folder, keys, satellite, cut=None):
    """Process a session as a real one, over a link that breaks before a message of kind `cut`."""
    record, manifest = load_record(folder), load_manifest(folder)

    @contextmanager
    def link():
        ground, other = channel_pair(timeout_s=300.0)

        def answer():
            with satellite.store(simulated=False, side=Side.SATELLITE) as store, suppress(ProtocolError):
                pre_shared = RefilledKey(satellite.pre_shared_key(), store)
                terms = Terms.of_station(manifest.station)
                serve(other, record.transmitter(), terms, pre_shared, store, lambda: present_ns(manifest))

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield Cut(ground, cut) if cut else ground
        finally:
            ground.close()
            thread.join()

    return process_session(folder, keys, link, lambda step, done: None)


def entries(keys, satellite, session_id):
    with keys.store(simulated=False) as mine, satellite.store(simulated=False, side=Side.SATELLITE) as theirs:
        return mine.entry(session_id), theirs.entry(session_id)


def test_a_real_session_whose_link_breaks_again_and_again(tmp_path, caplog):
    material = os.urandom(5 * SLOT_BYTES)
    keys, satellite = (KeyFolder.create(tmp_path / name, material) for name in ('keys', 'satellite'))
    folder = tmp_path / 'session'
    session_id = short_session(seconds=8.0, before_s=4.0, gain=8.0).write(folder, keys.session_public_key).session_id
    update_manifest(folder, lambda _: {'simulated': False, 'seed': None})
    for kind in (Kind.DETECTIONS, Kind.ERROR_COUNTS):  # nothing of the key has been said by then
        with pytest.raises(ProtocolError):
            real_run(folder, keys, satellite, kind)
        assert entries(keys, satellite, session_id) == (None, None)
    key = real_run(folder, keys, satellite, Kind.STORED)['key']
    mine, theirs = entries(keys, satellite, session_id)
    assert mine.state is theirs.state is KeyStateName.PENDING
    assert mine.length_bits == key['secret_bits'] > 10_000
    assert 'the pre-shared key is enough for 3 more runs' in caplog.text
    assert 'the satellite has not confirmed the key' in caplog.text
    with pytest.raises(StationError, match='no key to the tags of session'):  # destroyed with the key in the store
        keys.session_private_key(session_id)
    assert real_run(folder, keys, satellite)['key']['key_id'] == key['key_id']
    mine, theirs = entries(keys, satellite, session_id)
    assert mine.state is theirs.state is KeyStateName.CONFIRMED
    with keys.store(simulated=False) as ground, satellite.store(simulated=False, side=Side.SATELLITE) as other:
        piece = ground.take(4096)
        assert other.take_named(piece.name).material.reveal() == piece.material.reveal()
        assert ground.refills() == other.refills() == [mine.key_id]
