"""Which bags are deleted when newer ones are enough, and what never is."""

import pytest
import synthetic
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.recording.retention import retire_bags
from qkd_gs.session.manifest import KEY, PENDING, create_manifest
from qkd_gs.session.writers import writing


def session(sessions, day, closed=True, **run):
    """A session with a bag and tags."""
    folder = sessions / f'pass-{day:02d}'
    folder.mkdir()
    create_manifest(folder, synthetic.manifest(created_utc=f'2026-11-{day:02d}T20:00:00Z', closed=closed, run=run))
    bag = folder / 'bag'
    bag.mkdir()
    for name in ('bag_0.mcap', 'bag_1.mcap', 'metadata.yaml'):
        (bag / name).write_bytes(b'x')
    (folder / 'tags.sealed').write_bytes(b'x')
    return folder


def with_bag(sessions):
    return sorted(int(path.parent.name[-2:]) for path in sessions.glob('*/bag'))


@settings(max_examples=25)
@given(days=st.lists(st.integers(1, 28), unique=True, max_size=8), keep=st.integers(0, 10))
def test_the_newest_are_kept_and_nothing_but_bags_is_deleted(tmp_path_factory, days, keep):
    sessions = tmp_path_factory.mktemp('sessions')
    for day in days:
        session(sessions, day)
    gone = retire_bags(sessions, keep)
    assert with_bag(sessions) == (sorted(days)[-keep:] if keep else sorted(days))
    assert len(gone) == len(days) - len(with_bag(sessions))
    for day in days:
        assert {'session.json', 'tags.sealed'} <= {path.name for path in (sessions / f'pass-{day:02d}').iterdir()}


def test_what_is_recorded_now_or_has_no_key_yet_is_neither_deleted_nor_counted(tmp_path):
    for day, options in ((1, {'closed': False}), (2, {KEY: PENDING}), (3, {}), (4, {})):
        session(tmp_path, day, **options)
    retire_bags(tmp_path, 1)
    assert with_bag(tmp_path) == [1, 2, 4]


def test_a_session_that_somebody_writes_into_keeps_its_bag(tmp_path):
    folder = session(tmp_path, 1)
    session(tmp_path, 2)
    with writing(folder):
        assert retire_bags(tmp_path, 1) == []
    assert len(retire_bags(tmp_path, 1)) == 1


@pytest.mark.parametrize('name', ['notes.txt', 'folder.mcap', 'elsewhere.mcap'])
def test_a_bag_with_anything_else_in_it_is_left_alone(tmp_path, name):
    bag = session(tmp_path, 1) / 'bag'
    session(tmp_path, 2)
    if name == 'notes.txt':
        (bag / name).write_text('mine', encoding='utf-8')
    elif name == 'folder.mcap':
        (bag / name).mkdir()
    else:
        (bag / name).symlink_to(tmp_path / 'other')
    assert retire_bags(tmp_path, 1) == []
    assert with_bag(tmp_path) == [1, 2]


def test_a_damaged_session_is_left_alone(tmp_path):
    folder = session(tmp_path, 1)
    session(tmp_path, 2)
    (folder / 'session.json').write_text('{', encoding='utf-8')
    assert retire_bags(tmp_path, 1) == []


def test_a_bag_that_cannot_be_deleted_is_named(tmp_path, monkeypatch):
    folder = session(tmp_path, 1)
    session(tmp_path, 2)

    def refuse(path):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr('shutil.rmtree', refuse)
    with pytest.raises(StationError, match='cannot be deleted: Permission denied') as refused:
        retire_bags(tmp_path, 1)
    assert refused.value.where == str(folder / 'bag')
