"""The note of the pass under way: believed by the same world alone, and refused before a pass if it cannot be kept."""

import os
import re

import pytest

from qkd_gs.errors import StationError
from qkd_gs.tracking.record.current_pass import CurrentPass


def test_what_was_kept_is_found_by_another_process_of_the_same_clock(tmp_path):
    note = CurrentPass(tmp_path / 'state')
    note.prepare('one', 'utc')
    assert CurrentPass(tmp_path / 'state').folder('utc') == ''  # the pass has not begun yet
    note.keep()
    assert CurrentPass(tmp_path / 'state').folder('utc') == 'one'


def test_in_another_world_it_is_forgotten(tmp_path):
    note = CurrentPass(tmp_path)
    note.prepare('one', '17')
    note.keep()
    assert note.folder('18') == ''
    assert note.folder('17') == ''
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_a_pass_leaves_nothing(tmp_path):
    note = CurrentPass(tmp_path)
    note.forget()
    note.prepare('one', 'utc')
    note.keep()
    note.prepare('two', 'utc')  # refused afterwards
    note.forget()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('text', ['', 'no json', '[]', '{"folder": "one"}', '"one"', '{"folder": 1'])
def test_a_damaged_note_is_refused_and_kept_under_another_name(tmp_path, text):
    for kept in ('current_pass.json.damaged', 'current_pass.json.damaged-2'):
        (tmp_path / 'current_pass.json').write_text(text)
        with pytest.raises(StationError, match=r'current_pass\.json: is damaged .* kept as ' + re.escape(kept)):
            CurrentPass(tmp_path).folder('utc')
        assert (tmp_path / kept).read_text() == text
    note = CurrentPass(tmp_path)
    assert note.folder('utc') == ''
    note.prepare('one', 'utc')
    note.keep()
    assert note.folder('utc') == 'one'


def test_a_note_that_may_not_be_read_is_told_and_stays(tmp_path):
    (tmp_path / 'current_pass.json').mkdir()
    with pytest.raises(StationError, match=r'current_pass\.json: cannot be read: Is a directory'):
        CurrentPass(tmp_path).folder('utc')
    assert (tmp_path / 'current_pass.json').is_dir()


def test_a_state_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / 'state').write_text('a file, where a folder is wanted')
    with pytest.raises(StationError, match='cannot be written'):
        CurrentPass(tmp_path / 'state').prepare('one', 'utc')


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(StationError, match='No space left on device'):
        CurrentPass(tmp_path).prepare('one', 'utc')
