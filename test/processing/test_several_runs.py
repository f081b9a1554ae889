"""A detector process that dies in mid-pass and starts again: several tag files, one key."""

import os
import shutil

import numpy as np
import pytest

from qkd_gs.bench.security.short_sessions import process, short_session
from qkd_gs.errors import StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.session.manifest import load_manifest, update_manifest
from qkd_gs.session.tag_files import next_tags_path
from qkd_gs.timing.sealed.hybrid import ENCAPSULATED_BYTES

HEADER = 42 + ENCAPSULATED_BYTES + 32

FROM_S, TO_S, END_S = 8.0, 11.0, 19.0


@pytest.fixture(scope='module')
def interrupted(tmp_path_factory):
    """Eight seconds, three without a TDC, eight more."""
    folder = tmp_path_factory.mktemp('interrupted')
    keys = KeyFolder.create(folder / 'keys')
    short_session(seconds=END_S, before_s=9.5, gain=6.0, outages=((FROM_S, TO_S),)).write(
        folder / 'session', keys.session_public_key
    )
    return folder


@pytest.fixture(scope='module')
def both(interrupted, tmp_path_factory):
    return run(copy_of(interrupted, tmp_path_factory.mktemp('both')))


@pytest.fixture
def copy(interrupted, tmp_path):
    return copy_of(interrupted, tmp_path)


def copy_of(interrupted, tmp_path):
    shutil.copytree(interrupted, tmp_path / 'copy')
    return tmp_path / 'copy'


def run(folder):
    done = process(folder / 'session', KeyFolder(folder / 'keys'))
    bits = np.unpackbits(np.frombuffer(done.ground_key, np.uint8))
    np.testing.assert_array_equal(bits, done.satellite.key[: len(bits)])
    return done


def runs(done):
    return done.figures['timing']['runs']


def one_run(done):
    return [entry['counted_s'] for entry in runs(done) if 'counted_s' in entry]


def test_the_events_of_both_runs_make_one_key(both):
    first, second = runs(both)
    assert (first['file'], second['file']) == ('tags.sealed', 'tags-2.sealed')
    assert (first['cut_short'], second['cut_short']) == (True, False)
    assert first['unused'] == second['unused'] == ''
    assert second['started'] > first['started']
    assert FROM_S - 0.6 < first['counted_s'] <= FROM_S  # the last half second died with the process
    assert second['counted_s'] == pytest.approx(END_S - TO_S, abs=0.1)
    assert both.figures['timing']['counted_s'] == pytest.approx(first['counted_s'] + second['counted_s'])
    assert both.key['secret_bits'] > 0
    assert both.key['qber'] < 0.02  # a pulse number that is off in one run would show
    assert both.key['anomalies'] == []
    assert both.figures['timing']['sync_rms_ns'] < 0.15


def test_a_damaged_run_costs_that_run_alone(copy, both):
    path = copy / 'session' / 'tags.sealed'
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    done = run(copy)
    assert 'has been changed' in runs(done)[0]['unused']
    assert one_run(done) == [runs(both)[1]['counted_s']]
    assert 0 < done.key['sifted_bits'] < 0.6 * both.key['sifted_bits']


@pytest.mark.parametrize(
    ('size', 'complaint'), [(0, 'not a sealed tag file'), (HEADER, 'no beacon tags'), (0.2, 'PPS pulses')]
)
def test_an_empty_or_too_short_run_costs_itself_alone(copy, both, size, complaint):
    path = copy / 'session' / 'tags.sealed'
    os.truncate(path, round(size * path.stat().st_size) if isinstance(size, float) else size)
    done = run(copy)
    assert complaint in runs(done)[0]['unused']
    assert one_run(done) == [runs(both)[1]['counted_s']]


def test_a_third_run_without_a_tag_changes_nothing(copy, both):
    next_tags_path(copy / 'session').touch()
    done = run(copy)
    assert [entry['unused'] == '' for entry in runs(done)] == [True, True, False]
    assert done.key['sifted_bits'] == both.key['sifted_bits']


def test_a_run_that_is_there_twice_counts_once(copy, both):
    session = copy / 'session'
    shutil.copy(session / 'tags-2.sealed', next_tags_path(session))
    done = run(copy)
    assert [entry['unused'] == '' for entry in runs(done)].count(False) == 1
    assert 'a pulse counts once' in ''.join(entry['unused'] for entry in runs(done))
    assert done.key['sifted_bits'] == both.key['sifted_bits']


def test_a_run_of_another_session_is_left_out(copy, both, tmp_path):
    keys = KeyFolder(copy / 'keys')
    short_session(seconds=8.0, before_s=4.0, seed=2).write(tmp_path / 'other', keys.session_public_key)
    shutil.copy(tmp_path / 'other' / 'tags.sealed', next_tags_path(copy / 'session'))
    done = run(copy)
    assert 'another key' in runs(done)[2]['unused']
    assert done.key['sifted_bits'] == both.key['sifted_bits']


def test_without_a_usable_run_nothing_is_asked_and_the_reason_is_given(copy):
    for path in (copy / 'session').glob('tags*.sealed'):
        os.truncate(path, HEADER)
    with pytest.raises(StationError, match=r'none of the 2 runs of the TDC can be used; .*no beacon tags'):
        run(copy)
    for path in (copy / 'session').glob('tags*.sealed'):
        path.unlink()
    with pytest.raises(StationError, match='has no tag files'):
        run(copy)


def test_the_last_run_of_a_whole_session_must_have_its_end(copy, both):
    session = copy / 'session'
    os.truncate(session / 'tags-2.sealed', (session / 'tags-2.sealed').stat().st_size * 9 // 10)
    manifest = load_manifest(session)
    assert manifest.closed
    done = run(copy)
    assert 'cut short' in runs(done)[1]['unused']
    assert one_run(done) == [runs(both)[0]['counted_s']]


def test_the_last_run_of_a_session_cut_off_is_used_as_far_as_it_goes(copy, both):
    session = copy / 'session'
    os.truncate(session / 'tags-2.sealed', (session / 'tags-2.sealed').stat().st_size * 9 // 10)
    update_manifest(session, lambda _: {'closed': False})
    done = run(copy)
    assert [entry['cut_short'] for entry in runs(done)] == [True, True]
    assert len(one_run(done)) == 2
    assert 0.8 < one_run(done)[1] / runs(both)[1]['counted_s'] < 1.0
