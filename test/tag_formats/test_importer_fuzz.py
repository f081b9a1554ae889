"""Damaged files of tags: the tags that stand in it, or one sentence."""

import pyarrow as pa
import pyarrow.parquet
import pytest
from importer_fuzz import campaign

from qkd_gs.errors import StationError
from qkd_gs.tag_formats.open_file import open_tags


@pytest.mark.parametrize('seed', [1, 2])
def test_damaged_files_give_their_tags_or_one_sentence(tmp_path, seed):
    counts = campaign(600, seed, tmp_path)
    for ending in ('.ptu', '.bin', '.csv', '.h5', '.parquet'):
        assert counts[ending, 'read'], ending
        assert counts[ending, 'refused'], ending


@pytest.mark.long
@pytest.mark.parametrize('seed', range(100, 104))
def test_many_damaged_files(tmp_path, seed):
    assert sum(campaign(50_000, seed, tmp_path).values()) == 50_000


def test_a_parquet_file_whose_rows_are_gone_is_refused(tmp_path):
    """The library gives what is left, without a word."""
    path = tmp_path / 'x.parquet'
    pa.parquet.write_table(pa.table({'time_ps': [1, 2, 3], 'channel': pa.array([1, 2, 3], pa.int16())}), path)
    whole = path.read_bytes()
    found = 0
    for at in range(len(whole) - 600, len(whole)):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 6,)) + whole[at + 1 :])
        try:
            rows = sum(len(block.time_ps) for block in open_tags(path).blocks())
        except StationError as error:
            found += 'announces' in str(error)
        else:
            assert rows == 3
    assert found
