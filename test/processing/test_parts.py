"""A pass in parts has the bits of the pass as a whole, and a run that breaks says nothing else in the next one."""

import shutil
from contextlib import closing, contextmanager, nullcontext, suppress
from threading import Thread

import pytest
from cut_link import Cut

from qkd_gs.audit.session_audit import audit_session
from qkd_gs.bench.security.short_sessions import short_session
from qkd_gs.keys.entries import Side
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.processing.parts import Recorded
from qkd_gs.processing.parts_plan import load_plan
from qkd_gs.processing.pipeline import process_session
from qkd_gs.qkd.link.channel import Kind
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.tls import Listener, connect
from qkd_gs.qkd.protocol.ground_side import GroundSession
from qkd_gs.sim.satellite import answer

SECONDS = 12.0
WAIT_S = 300.0  # ends a test that fails; nothing is concluded from it


@pytest.fixture(scope='module')
def taken(tmp_path_factory):
    """A session, its key folder, and the result as a whole."""
    folder = tmp_path_factory.mktemp('taken')
    keys = KeyFolder.create(folder / 'keys')
    manifest = short_session(seconds=SECONDS, before_s=6.0, gain=8.0).write(folder / 'session', keys.session_public_key)
    shutil.copytree(folder / 'keys', folder / 'keys-of-the-whole')
    shutil.copytree(folder / 'session', folder / 'whole')
    whole = processed(folder / 'whole', KeyFolder(folder / 'keys-of-the-whole'))
    start_ns = manifest.locked[0].start_ns
    ends_ns = [start_ns + round(end_s * 1e9) for end_s in (6.0, 9.0, SECONDS)]
    return folder, Recorded(start_ns, ends_ns), whole


@pytest.fixture
def fresh(taken, tmp_path):
    for name in ('keys', 'session'):
        shutil.copytree(taken[0] / name, tmp_path / name)
    return tmp_path / 'session', KeyFolder(tmp_path / 'keys')


def processed(folder, keys, recording=None, cut=None):
    """Process a session, over a link that breaks before the n-th message of a kind (`cut`)."""

    @contextmanager
    def link():
        with satellite_of(folder, keys, cut is not None) as channel:
            yield Cut(channel, *cut) if cut else channel

    return process_session(folder, keys, link, lambda step, done: None, recording=recording)['key']


@contextmanager
def satellite_of(folder, keys, is_cut_off):
    """The simulated satellite behind its socket, in a thread: a process of its own would mostly import."""
    failed = []

    def satellite():
        try:
            with suppress(ProtocolError) if is_cut_off else nullcontext():
                answer(listener.accept(WAIT_S), folder, keys)
        except Exception as error:  # noqa: BLE001  raised where the test is
            failed.append(error)

    with Listener(keys.tls_simulated_satellite()) as listener:
        thread = Thread(target=satellite)
        thread.start()
        try:
            with closing(connect(keys.tls_ground(simulated=True), listener.port)) as channel:
                yield channel
        finally:
            thread.join(WAIT_S)
    assert not thread.is_alive()
    assert not failed, failed


def both_have_the_key(keys):
    with keys.store(True) as ground, keys.store(True, Side.SATELLITE) as satellite:
        piece = ground.take(4096, simulated=True)
        other = satellite.take_named(piece.name, simulated=True)
        assert other.material.reveal() == piece.material.reveal()
        assert ground.refills() == satellite.refills()
        return len(ground.refills())


def test_parts_make_the_key_of_the_whole(taken, fresh):
    whole, key = taken[2], processed(*fresh, taken[1])
    assert key['sifted_bits'] == pytest.approx(whole['sifted_bits'], rel=1e-3)  # a second slot of bits, no more
    assert key['secret_bits'] == pytest.approx(whole['secret_bits'], rel=0.03)
    assert key['qber'] == pytest.approx(whole['qber'], rel=0.01)
    assert key['pre_shared_bits'] == 2 * whole['pre_shared_bits']
    assert both_have_the_key(fresh[1]) == 2
    assert audit_session(fresh[0]).differences == []


def check_repeated(taken, fresh):
    """Process it once more, after runs that broke: the key is that of the whole, and only hashes were paid twice."""
    key = processed(*fresh)
    assert key['sifted_bits'] == pytest.approx(taken[2]['sifted_bits'], rel=1e-3)
    assert key['disclosed_before'] < 4096  # parities are said again after the same words, and cost once
    assert key['secret_bits'] > 0.9 * taken[2]['secret_bits']
    both_have_the_key(fresh[1])
    assert audit_session(fresh[0]).differences == []


@pytest.mark.parametrize('cut', [(Kind.DETECTIONS, 1), (Kind.PARITY_REQUEST, 9), (Kind.CORRECT, 2)])
def test_a_broken_run_is_repeated_afterwards_in_the_parts_that_it_had(taken, fresh, cut):
    with pytest.raises(ProtocolError):
        processed(*fresh, taken[1], cut)
    check_repeated(taken, fresh)


@pytest.mark.parametrize('slow', [True, False])
def test_a_run_is_repeated_over_a_faster_or_slower_link(taken, fresh, monkeypatch, slow):
    """Which parities are asked for was chosen by the first run."""
    monkeypatch.setattr(GroundSession, 'slow_link', slow)
    with pytest.raises(ProtocolError):
        processed(*fresh, taken[1], (Kind.AMPLIFY, 1))
    monkeypatch.setattr(GroundSession, 'slow_link', not slow)
    assert load_plan(fresh[0]).few_trips == slow
    check_repeated(taken, fresh)


@pytest.mark.long
def test_a_run_that_breaks_at_every_kind_of_message_one_after_the_other(taken, fresh):
    """Of both sides, the last kind first, so that all parts are announced; behind the key: test_repeated_runs."""
    parts = [
        (kind, number)
        for number in (1, 2, 3)
        for kind in (Kind.LOG_REQUEST, Kind.LOG_HEAD, Kind.LOG_BLOCK, Kind.SIFT_HEAD, Kind.DETECTIONS, Kind.SIFT_ANSWER)
        + (Kind.CORRECT,) * (number < 3)
    ]
    parities = [(kind, number) for number in (1, 30) for kind in (Kind.PARITY_REQUEST, Kind.PARITY_ANSWER)]
    ending = (Kind.ERROR_COUNTS, Kind.VERIFY_REQUEST, Kind.VERIFY_ANSWER, Kind.VERIFY_OUTCOME, Kind.REPEATED)
    tags = [(Kind.TAG, number) for number in range(1, 11)]
    last = [(kind, 1) for kind in (*ending, Kind.AMPLIFY)]
    cuts = [(Kind.HELLO, 1), (Kind.WELCOME, 1), *parts, *parities, *tags, *last]
    for cut in reversed(cuts):
        with pytest.raises(ProtocolError, match=f'cut before {cut[0].name}'):
            processed(*fresh, taken[1], cut)
    check_repeated(taken, fresh)
