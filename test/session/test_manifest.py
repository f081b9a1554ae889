"""Processes that change the manifest of a session lose nothing of each other, and no failure damages it."""

import errno
import json
import os
import resource
import subprocess
import sys

import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from qkd_gs.errors import StationError
from qkd_gs.session.manifest import (
    FILE_NAME,
    LockedSpan,
    create_manifest,
    load_manifest,
    update_manifest,
    update_run_metrics,
)
from qkd_gs.tracking.record.manifest_writer import ManifestWriter

COUNT = 40
COUNTING = (
    'import sys; from pathlib import Path; from qkd_gs.session.manifest import update_run_metrics\n'
    f'for number in range({COUNT}): update_run_metrics(Path(sys.argv[1]), **{{sys.argv[2] + str(number): number}})'
)


@pytest.fixture
def folder(tmp_path):
    create_manifest(tmp_path, synthetic.manifest(result=None, locked=[], tracking={}, run={'seed': 1}))
    return tmp_path


def whole(folder):
    return (folder / FILE_NAME).read_bytes()


def renew(writer, number):
    writer.renew([LockedSpan(start_ns=0, end_ns=number)], number, -number, run={'pass_s': number})
    return {'locked': [{'start_ns': 0, 'end_ns': number}], 'time_bias_s': number, 'cross_track_m': -number}


WRITERS = ('tracker', 'resumed tracker', 'key', 'figures', 'costs')


@given(steps=st.lists(st.sampled_from(WRITERS), max_size=12))
def test_writers_in_any_order_keep_what_the_others_have_written(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp('session')
    create_manifest(folder, synthetic.manifest(result=None, locked=[], tracking={}, run={'seed': 1}))
    writers = {name: ManifestWriter.resume(folder) for name in WRITERS[:2]}  # each remembers the state of its own start
    expected = json.loads(whole(folder))
    for number, step in enumerate(steps):
        if step in writers:
            expected |= renew(writers[step], number)
            expected['run'] = expected['run'] | {'pass_s': number}
        elif step == 'key':
            update_manifest(folder, lambda now: {'result': {'tracking': now.tracking, 'run': now.run}})
            expected['result'] = {'tracking': expected['tracking'], 'run': dict(expected['run'])}
        elif step == 'figures':
            update_manifest(folder, lambda now, n=number: {'tracking': {'losses': n}, 'run': now.run | {'own': n}})
            expected |= {'tracking': {'losses': number}, 'run': expected['run'] | {'own': number}}
        else:
            update_run_metrics(folder, demo_s=number)
            expected['run'] = expected['run'] | {'demo_s': number}
            expected['result'] = (expected['result'] or {}) | {'run': expected['run']}
    assert json.loads(whole(folder)) == expected


def test_processes_that_write_at_once_lose_nothing(folder):
    children = [subprocess.Popen([sys.executable, '-c', COUNTING, folder, name]) for name in ('a', 'b', 'c')]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert load_manifest(folder).run == {'seed': 1} | {f'{n}{k}': k for n in ('a', 'b', 'c') for k in range(COUNT)}


def test_a_disk_that_is_full_in_mid_file_leaves_the_old_manifest(folder):
    """The kernel takes the first hundred bytes of a file and refuses the others, as a full disk does."""
    before, (soft, hard) = whole(folder), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(StationError, match=r'session\.json: cannot be written: File too large'):
            update_run_metrics(folder, demo_s=1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert whole(folder) == before
    assert not (folder / f'.{FILE_NAME}.new').exists()
    assert update_run_metrics(folder, demo_s=2.0).run == {'seed': 1, 'demo_s': 2.0}


@pytest.mark.parametrize('step', ['fsync', 'replace'])
@pytest.mark.parametrize('what', [OSError(errno.ENOSPC, 'No space left on device'), KeyboardInterrupt()])
def test_a_save_that_is_broken_off_leaves_the_old_manifest(folder, monkeypatch, step, what):
    def broken(*_):
        raise what

    writer = ManifestWriter.resume(folder)
    before = whole(folder)
    with monkeypatch.context() as patch:
        patch.setattr(os, step, broken)
        with pytest.raises((StationError, KeyboardInterrupt)):
            renew(writer, 3)
    assert whole(folder) == before
    renew(writer, 4)
    assert load_manifest(folder).time_bias_s == 4


def test_a_process_killed_in_mid_save_leaves_the_manifest_and_its_lock(folder):
    before = whole(folder)
    dying = (
        'import os, signal, sys; from pathlib import Path; from qkd_gs.session.manifest import update_run_metrics\n'
        'os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL); update_run_metrics(Path(sys.argv[1]), x=1)'
    )
    assert subprocess.run([sys.executable, '-c', dying, folder], check=False).returncode == -9
    assert whole(folder) == before
    assert update_run_metrics(folder, y=2).run == {'seed': 1, 'y': 2}


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'schema_version': 4}, 'schema version 4 is not 3'),
        ({'seal': 'x'}, 'seal is a key that this version does not know'),
        ({'site': {'height_of_the_dome_m': 3}}, 'site.height_of_the_dome_m is a key that this version does not know'),
    ],
)
def test_the_manifest_of_another_version_is_refused_and_stays_as_it_is(folder, change, said):
    data, writer = json.loads(whole(folder)), ManifestWriter.resume(folder)
    for key, value in change.items():
        data[key] = data[key] | value if isinstance(value, dict) else value
    (folder / FILE_NAME).write_text(json.dumps(data))
    before = whole(folder)
    for act in (lambda: update_run_metrics(folder, x=1), lambda: renew(writer, 1)):
        with pytest.raises(StationError) as refused:
            act()
        assert said in str(refused.value)
        assert str(refused.value).count('\n') == 0
    assert whole(folder) == before


@pytest.mark.parametrize('fields', [{'lokced': []}, {'time_bias_s': float('nan')}, {'closed': 'perhaps'}])
def test_a_field_that_could_not_be_read_again_is_not_written(folder, fields):
    before = whole(folder)
    with pytest.raises(ValidationError):
        update_manifest(folder, lambda _: fields)
    assert whole(folder) == before


def test_a_new_session_does_not_replace_another(folder):
    with pytest.raises(StationError, match='is a session already'):
        create_manifest(folder, synthetic.manifest())


def test_without_a_folder_there_is_nothing_to_change(tmp_path):
    with pytest.raises(StationError, match='no such folder'):
        update_run_metrics(tmp_path / 'none', x=1)
    with pytest.raises(StationError, match='is not a session'):
        update_run_metrics(tmp_path, x=1)
