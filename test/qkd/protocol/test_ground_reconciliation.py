"""How the last part of a pass is corrected, by what the round trips of the earlier ones took."""

import numpy as np
import pytest

from qkd_gs.qkd.protocol import ground_reconciliation
from qkd_gs.qkd.protocol.ground_reconciliation import GroundReconciliation
from qkd_gs.qkd.reconciliation.cascade_bob import EFFICIENT, QUICK
from qkd_gs.qkd.sifting.packed_bits import PackedBits


class Link:
    """Counts round trips, each of the same time."""

    def __init__(self, trip_s):
        self.trip_s, self.round_trips = trip_s, 0

    def now_s(self):
        return 1e6 + self.trip_s * self.round_trips

    def send(self, kind, payload):
        pass


class Account:
    def begin(self, payload):
        pass


class Sifted:
    def __init__(self):
        self.bits, self.qber = PackedBits.of(np.zeros(96, np.uint8)), 0.01


@pytest.mark.parametrize(
    ('trip_s', 'parts', 'slow'), [(1e-3, 2, False), (0.25, 2, True), (0.25, 1, True), (0.25, 0, False)]
)
@pytest.mark.parametrize('few_trips', [False, True])
def test_few_round_trips_are_made_where_it_is_chosen(monkeypatch, trip_s, parts, slow, few_trips):
    """A pass as a whole, which nobody waits for during the pass, is no reason to choose it."""
    used, link = [], Link(trip_s)

    def correct(_link, _bits, _qber, _seed, options, *_):
        used.append(options)
        link.round_trips += 140
        return 100

    monkeypatch.setattr(ground_reconciliation, 'correct', correct)
    terms = type('Terms', (), {'one_way': False})
    made = GroundReconciliation(link, terms, Account(), EFFICIENT, lambda *_: None, link.now_s)
    for number in range(parts):
        made.correct_part(PackedBits.of(np.zeros(8, np.uint8)), 0.01, number)
    assert made.slow == slow
    made.correct(Sifted(), [slice(0, 96)], 7, few_trips)
    assert used[:-1] == [EFFICIENT] * parts
    assert used[-1].deadline == (QUICK if few_trips else EFFICIENT).deadline
    assert not used[-1].hard  # no block is given up for it
