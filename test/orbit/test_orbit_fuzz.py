"""Damaged files of orbit data: a right result or one sentence."""

import pytest
from orbit_fuzz import campaign


@pytest.mark.parametrize('seed', [1, 2])
def test_damaged_files_give_a_right_result_or_one_sentence(tmp_path, seed):
    counts = campaign(600, seed, tmp_path)
    outcomes = {what for _, what in counts}
    assert outcomes == {'read', 'refused'}


@pytest.mark.long
@pytest.mark.parametrize('seed', range(100, 108))
def test_many_damaged_files(tmp_path, seed):
    assert sum(campaign(25_000, seed, tmp_path).values()) == 25_000
