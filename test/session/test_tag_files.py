"""The numbered tag files of a session's runs."""

import pytest

from qkd_gs.errors import StationError
from qkd_gs.session.tag_files import next_tags_path, tags_paths


def test_each_run_gets_the_next_name(tmp_path):
    names = []
    for _ in range(11):
        path = next_tags_path(tmp_path)
        path.touch()
        names.append(path.name)
    assert names[:3] == ['tags.sealed', 'tags-2.sealed', 'tags-3.sealed']
    assert [path.name for path in tags_paths(tmp_path)] == names  # 10 stands behind 9


def test_a_lost_file_leaves_its_number_unused(tmp_path):
    (tmp_path / 'tags-2.sealed').touch()
    assert next_tags_path(tmp_path).name == 'tags-3.sealed'


@pytest.mark.parametrize(
    'name', ['tags-1.sealed', 'tags-02.sealed', 'tags-.sealed', 'tags.sealed.bak', 'xtags.sealed', 'tags-2.sealed~']
)
def test_other_names_are_no_runs(tmp_path, name):
    (tmp_path / name).touch()
    assert tags_paths(tmp_path) == []


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(StationError, match='cannot be read'):
        next_tags_path(tmp_path / 'gone')
