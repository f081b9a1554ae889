"""The table of attacks: each is stopped, and the bounds fail no more often than they say."""

from dataclasses import replace
from math import log

import numpy as np
import pytest

from qkd_gs.bench.security import coverage as coverage_module
from qkd_gs.bench.security.coverage import ALLOWED, LIGHT, coverage, passes_of
from qkd_gs.bench.security.link_attacks import link_attacks
from qkd_gs.bench.security.store_attacks import store_attacks

CHEAP = [*link_attacks(), *store_attacks()]  # those on the light: test/processing


@pytest.mark.parametrize('attack', CHEAP, ids=lambda attack: attack.name.replace(' ', '-'))
def test_an_attack_on_link_or_store_is_stopped(attack):
    row = attack.row()
    assert row.held, row
    assert row.stopped_by


def test_the_bounds_fail_no_more_often_than_they_say():
    covered = coverage(passes=60, drawn=150)
    assert len(covered) == len(LIGHT) + 3
    assert all(row['held'] for row in covered), covered


@pytest.mark.long
def test_the_bounds_fail_no_more_often_than_they_say_in_many_passes():
    covered = coverage(passes=3000, drawn=10_000, seed=2)
    assert all(row['held'] for row in covered), covered


def test_a_bound_that_failed_too_often_would_be_seen(monkeypatch):
    """Of an ordinary link the bound could promise four times the price of its failure probability more; not six."""
    real = coverage_module.joint_bound

    def careless(counts, failure_probability):
        bound = real(counts, failure_probability)
        return replace(bound, entropy=bound.entropy + 6 * log(5 / failure_probability) / bound.scale)

    monkeypatch.setattr(coverage_module, 'joint_bound', careless)
    failures = passes_of(LIGHT['an ordinary link'], 20, np.random.default_rng(3))
    assert failures > 20 * ALLOWED * 5
