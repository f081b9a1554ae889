"""The rule of the public pulses: the share it says, counted without listing them, and the same for the auditor."""

import numpy as np
import pytest
from pydantic import ValidationError

from qkd_gs.audit import public_pulses as audited
from qkd_gs.settings.public_pulses import PublicPulses
from qkd_gs.timing.public_pulses import disclosed_in, is_public, public_in, starts

RULE = PublicPulses(block=1000, every=8, disclosed=4)
SPANS = [(123_456, 123_499), (200_000, 913_777), (1_000_000, 1_007_999)]


def test_one_block_of_every_group_is_public():
    pulse = np.arange(1_600_000)
    mask = is_public(RULE, pulse)
    assert mask.reshape(-1, 8000).sum(axis=1).tolist() == [1000] * 200
    assert (np.diff(np.flatnonzero(np.diff(mask.astype(int)) == 1)) >= 1000).all()
    places = starts(RULE, np.arange(1000)) // 1000 % 8
    assert np.bincount(places, minlength=8).min() > 80  # of 125: no place is left out


def test_the_margin_is_left_out_at_both_ends():
    begin = int(starts(RULE, np.array([5]))[0])
    inside = is_public(RULE, np.arange(begin, begin + 1000), margin=125)
    assert np.flatnonzero(inside).tolist() == list(range(125, 875))


def test_public_pulses_are_counted_as_they_are():
    pulses = np.concatenate([np.arange(first, last + 1) for first, last in SPANS])
    assert public_in(RULE, SPANS) == int(is_public(RULE, pulses).sum())


def test_the_auditor_knows_the_same_rule():
    pulses = np.random.default_rng(1).integers(0, 1 << 55, 3000)
    assert audited.among(RULE.model_dump(), pulses).tolist() == is_public(RULE, pulses).tolist()
    assert audited.number(RULE.model_dump(), np.array(SPANS)) == public_in(RULE, SPANS)


def test_disclosed_blocks_are_whole_public_and_one_in_so_many():
    begin = disclosed_in(RULE, 100, 8000 * 400 - 1)
    assert 99 <= len(begin) <= 100
    assert is_public(RULE, begin).all()
    assert is_public(RULE, begin + 999).all()
    assert np.unique(begin // 8000 % 4).tolist() == [0]
    assert disclosed_in(RULE, int(begin[3]) + 1, int(begin[5]) + 998).tolist() == [int(begin[4])]


@pytest.mark.parametrize('wrong', [{'block': 10}, {'block': 1000, 'every': 1}, {'block': 1000, 'disclosed': 0}])
def test_a_rule_that_is_none_is_refused(wrong):
    with pytest.raises(ValidationError):
        PublicPulses.model_validate(wrong)
