"""Counts of several passes as those of one key: what they give, and what the freedom to choose them costs."""

from math import log

import pytest

from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.counts import MOST_PASSES, BasisCounts, Intensities, KeyCounts, Receiver, Tally
from qkd_gs.qkd.finite_key.joined import all_given_away, failure_of_a_choice, joined_counts
from qkd_gs.qkd.finite_key.key_length import key_length
from qkd_gs.qkd.finite_key.receiver_flaws import bits_given_away

RECEIVER = Receiver(within_basis=0.03, between_bases=0.01, cross_clicks=20)


def a_pass(decoy_share=0.25, receiver=RECEIVER, mu=0.8):
    """12,000 sifted bits with 1.4 % of errors."""
    sent = 10**9
    basis = BasisCounts(
        signal=Tally(sent=sent // 2, sifted=6000, errors=84),
        decoy=Tally(sent=round(sent * decoy_share), sifted=380, errors=6),
        vacuum=Tally(sent=round(sent * (0.5 - decoy_share)), sifted=8, errors=4),
    )
    intensities = Intensities(signal=mu, decoy=0.1, vacuum=0.0)
    return KeyCounts(intensities=intensities, receiver=receiver, hv=basis, da=basis)


def bits(counts):
    return key_length(counts, epsilon_total=1e-10, f_ec=1.1).secret_bits


def test_passes_that_give_nothing_alone_give_a_key_together():
    assert bits(a_pass()) == 0
    assert bits(joined_counts([a_pass()] * 2, 2)) > 500


def test_every_pass_that_could_have_been_chosen_costs_something():
    lengths = [bits(joined_counts([a_pass()] * 4, choices)) for choices in (4, 8, 16, MOST_PASSES)]
    assert lengths == sorted(lengths, reverse=True)
    assert len(set(lengths)) == 4
    assert lengths[0] - lengths[1] < 0.1 * lengths[0]


def test_the_price_of_a_choice_is_that_of_all_choices_and_scales():
    joined = joined_counts([a_pass()] * 3, 5)
    assert log(1e-20 / failure_of_a_choice(joined, 1e-20)) == pytest.approx(log(240) + 4 * log(2))
    assert failure_of_a_choice(a_pass(), 1e-20) == 1e-20


def test_each_receiver_has_a_bound_of_its_own():
    receivers = [RECEIVER, RECEIVER.model_copy(update={'within_basis': 0.05, 'edge_bits': 7})]
    joined = joined_counts([a_pass(receiver=one) for one in receivers], 2)
    due = sum(bits_given_away(one, 1e-12 / MOST_PASSES) for one in receivers)
    assert all_given_away(joined, 1e-12) == pytest.approx(due)
    assert (joined.receiver.within_basis, joined.receiver.cross_clicks) == (0.05, 40)


@pytest.mark.parametrize(
    ('other', 'told'),
    [
        (a_pass(mu=0.7), 'different sources'),
        (a_pass(decoy_share=0.2501), 'different sources'),
        (a_pass(receiver=None), 'with and without flaws'),
    ],
)
def test_passes_that_do_not_fit_together_are_refused(other, told):
    with pytest.raises(StationError, match=told):
        joined_counts([a_pass(), other], 2)


def test_there_are_no_more_passes_than_could_be_chosen():
    for choices in (1, MOST_PASSES + 1):
        with pytest.raises(StationError, match='cannot be joined'):
            joined_counts([a_pass()] * 2, choices)
