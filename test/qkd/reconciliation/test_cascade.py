"""Cascade: it corrects what it is given, counts what it discloses, and keeps Alice's and Bob's sides apart."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.entropy import binary_entropy
from qkd_gs.qkd.reconciliation import cascade_alice
from qkd_gs.qkd.reconciliation.cascade import CascadeOptions, Corrector, ParityServer, reconcile
from qkd_gs.qkd.reconciliation.cascade_bob import QUICK
from qkd_gs.qkd.reconciliation.parity import fill_tree, subset, subset_parities, tree_size
from qkd_gs.qkd.reconciliation.parity_query import PASS_SHIFT, SUBSETS
from qkd_gs.qkd.reconciliation.permutation import in_order, position_of, positions_of, shuffle, shuffle_key


def keys(n, qber, seed=1):
    rng = np.random.default_rng(seed)
    alice = rng.integers(0, 2, n, dtype=np.uint8)
    return alice, alice ^ (rng.random(n) < qber).astype(np.uint8)


def efficiency(found, alice, bob):
    return found.disclosed_bits / (len(alice) * binary_entropy(float((alice != bob).mean())))


@pytest.mark.parametrize(('qber', 'limit'), [(0.01, 1.06), (0.02, 1.06), (0.03, 1.065)])
def test_frames_of_100_kbit_stay_near_the_shannon_limit(qber, limit):
    ratios = []
    for seed in range(8):
        alice, bob = keys(100_000, qber, seed)
        found = reconcile(alice, bob, qber, seed)
        np.testing.assert_array_equal(found.bits, alice)
        assert found.corrected_errors == (alice != bob).sum()
        ratios.append(efficiency(found, alice, bob))
    assert min(ratios) > 1.0  # nobody beats Slepian and Wolf: the count would be wrong
    assert np.mean(ratios) < limit


def test_a_whole_pass_takes_few_round_trips():
    alice, bob = keys(630_000, 0.014)
    found = reconcile(alice, bob, 0.014, 7)
    assert (found.bits == alice).all()
    assert found.round_trips <= 190
    quick = reconcile(alice, bob, 0.014, 7, QUICK)
    assert (quick.bits == alice).all()
    assert quick.round_trips <= 40
    assert efficiency(found, alice, bob) < 1.06
    assert efficiency(quick, alice, bob) < 1.15


@pytest.mark.parametrize('qber', [0.01, 0.02, 0.03])
def test_the_quick_setting_keeps_its_promise_of_40_round_trips(qber):
    ratios = []
    for seed in range(8):
        alice, bob = keys(100_000, qber, seed)
        found = reconcile(alice, bob, qber, seed, QUICK)
        np.testing.assert_array_equal(found.bits, alice)
        assert found.round_trips <= 40
        ratios.append(efficiency(found, alice, bob))
    assert np.mean(ratios) < 1.15


@pytest.mark.parametrize('options', [CascadeOptions(deadline=9, hard=True), replace(QUICK, deadline=6)])
def test_it_ends_at_its_last_round_trip_and_what_is_left_is_known(options):
    alice, bob = keys(30_000, 0.03)
    found = reconcile(alice, bob, 0.03, 7, options)
    assert found.round_trips == options.deadline
    left = (found.bits != alice).sum()
    assert left == (bob != alice).sum() - found.corrected_errors > 0  # verification has to drop such a frame


@settings(max_examples=60, deadline=None)
@given(n=st.integers(0, 20_000), qber=st.floats(0, 0.06), estimate=st.floats(0, 0.11), seed=st.integers(0, 2**32 - 1))
def test_no_key_and_no_estimate_makes_the_quick_setting_take_more_than_40_round_trips(n, qber, estimate, seed):
    alice, bob = keys(n, qber, seed)
    try:
        assert reconcile(alice, bob, estimate, seed, QUICK).round_trips <= 40
    except StationError:  # given up: more disclosed than there is
        assert qber > estimate or n < 2000


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 3000),
    qber=st.floats(0, 0.3),
    estimate=st.floats(0, 0.11),
    seed=st.integers(0, 2**64 - 1),
    options=st.sampled_from([CascadeOptions(), QUICK, CascadeOptions(overlap=2.0)]),
)
def test_any_length_and_any_estimate(n, qber, estimate, seed, options):
    alice, bob = keys(n, qber, seed % 2**32)
    try:
        found = reconcile(alice, bob, estimate, seed, options)
    except StationError:  # given up: more disclosed than there is
        assert qber > 0.05
        return
    left = (found.bits != alice).sum()
    assert left == (alice != bob).sum() - found.corrected_errors
    assert not left or (options.hard and found.round_trips == options.deadline)


@pytest.mark.parametrize(('qber', 'estimate'), [(0.02, 0.005), (0.02, 0.06), (0.0, 0.03), (0.001, 0.0)])
def test_a_wrong_estimate_costs_parities_not_correctness(qber, estimate):
    alice, bob = keys(50_000, qber)
    found = reconcile(alice, bob, estimate, 3)
    assert (found.bits == alice).all()
    assert found.disclosed_bits < 1.4 * 50_000 * binary_entropy(max(qber, estimate)) + 100


def test_bursts_and_single_blocks_of_errors_are_found():
    alice, _ = keys(20_000, 0.0)
    bob = alice.copy()
    bob[5000:5400] ^= 1
    assert (reconcile(alice, bob, 0.02, 3).bits == alice).all()


def test_keys_that_have_nothing_in_common_are_given_up():
    alice, bob = keys(20_000, 0.0)[0], keys(20_000, 0.0, seed=2)[0]
    with pytest.raises(StationError, match='disclosed more bits'):
        reconcile(alice, bob, 0.02, 3)


@pytest.mark.parametrize('qber', [-0.01, 0.12, 0.5, float('nan')])
def test_an_error_rate_without_a_key_is_refused(qber):
    with pytest.raises(StationError, match='no key'):
        reconcile(*keys(1000, 0.02), qber, 3)


def test_every_parity_that_crosses_is_counted_on_both_sides():
    alice, bob = keys(30_000, 0.02)
    server, corrector = ParityServer(alice, 5), Corrector(bob, 0.02, 5)
    crossed = 0
    while (batch := corrector.next_batch()) is not None:
        assert len(np.unique(batch)) == len(batch)
        assert (np.diff(batch) > 0).all()  # ascending: that is what makes it cheap to send
        crossed += len(batch)
        corrector.feed(server.answer(batch))
    assert server.disclosed_bits == corrector.asked_bits == crossed
    assert (corrector.bits == alice).all()
    assert corrector.next_batch() is None


def test_the_same_seed_asks_the_same_questions_and_another_one_others():
    alice, bob = keys(10_000, 0.02)
    runs = []
    for seed in (5, 5, 6):
        server, corrector, asked = ParityServer(alice, seed), Corrector(bob, 0.02, seed), []
        while (batch := corrector.next_batch()) is not None:
            asked.append(batch.tolist())
            corrector.feed(server.answer(batch))
        runs.append(asked)
    assert runs[0] == runs[1] != runs[2]


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 600), seed=st.integers(0, 2**32 - 1), qber=st.floats(0.001, 0.11))
def test_answers_out_of_the_air_end_in_an_error(n, seed, qber):
    """Whatever a broken or hostile Alice answers, Bob stops."""
    rng = np.random.default_rng(seed)
    corrector = Corrector(keys(n, 0.0)[0], qber, 5)
    for _ in range(2000):
        batch = corrector.next_batch()
        if batch is None:
            return
        try:
            corrector.feed(rng.integers(0, 2, len(batch), dtype=np.uint8))
        except StationError:
            return
    pytest.fail('Bob goes on asking')


def test_sides_that_shuffle_differently_are_reported():
    alice, bob = keys(5000, 0.02)
    server, corrector = ParityServer(alice, 5), Corrector(bob, 0.02, 6)
    with pytest.raises(StationError):  # noqa: PT012 - the question after which it gives up is not known
        while (batch := corrector.next_batch()) is not None:
            corrector.feed(server.answer(batch))
    assert (corrector.bits != alice).any()


@pytest.mark.parametrize(
    'question',
    [-1, 0, 1 << 40, (33 << PASS_SHIFT) + 1, (SUBSETS + 300 << PASS_SHIFT) + 1, (SUBSETS + 300 << PASS_SHIFT) + 2],
)
def test_questions_about_blocks_that_do_not_exist_are_refused(question):
    server = ParityServer(keys(100, 0.0)[0], 5)
    with pytest.raises(StationError, match='does not have'):
        server.answer(np.array([question]))
    with pytest.raises(StationError, match='does not have'):
        server.answer(np.array([question, question + 1]))


def root(subset, node=2):
    return (SUBSETS + subset << PASS_SHIFT) + node


@pytest.mark.parametrize('batch', [[], [5, 4], [root(3), root(2)]])
def test_questions_out_of_order_or_none_are_refused(batch):
    """Each change between two subsets would make a tree of the whole key."""
    with pytest.raises(StationError, match='ascending'):
        ParityServer(keys(100, 0.0)[0], 5).answer(np.array(batch, np.int64))


def test_what_somebody_can_make_the_parity_server_do_is_bounded(monkeypatch):
    """Trees and whole subsets cost as much as the key is long; a query must not."""
    work = []
    for name in ('fill_tree', 'subset_parities'):
        real = getattr(cascade_alice, name)
        monkeypatch.setattr(cascade_alice, name, lambda *a, real=real, name=name: work.append(name) or real(*a))
    server = ParityServer(keys(20_000, 0.0)[0], 5)
    with pytest.raises(StationError, match='more than 288 trees'):  # noqa: PT012
        for number in range(1000):
            server.answer(np.array([root(number % 2)]))
    assert work.count('fill_tree') == 288
    server = ParityServer(keys(20_000, 0.0)[0], 5)
    for number in range(2, 256):
        server.answer(np.array([root(number - 1, 1), root(number, 1)]))
    assert work.count('subset_parities') == 4
    with pytest.raises(StationError, match='more than 4096 messages'):  # noqa: PT012
        while True:
            server.answer(np.array([1]))


def test_answers_of_the_wrong_number_are_refused():
    corrector = Corrector(keys(1000, 0.0)[0], 0.02, 5)
    with pytest.raises(StationError, match='answers were received'):
        corrector.feed(np.zeros(1, np.uint8))


@pytest.mark.parametrize(
    ('bits', 'seed'),
    [(np.array([0, 2], np.uint8), 1), (np.zeros((2, 2), np.uint8), 1), (np.zeros(3), 1), (np.zeros(3, np.uint8), -1)],
)
def test_what_is_no_key_is_refused(bits, seed):
    with pytest.raises(ValueError, match=r'bits|seed'):
        ParityServer(bits, seed)


def test_keys_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match='same key'):
        reconcile(np.zeros(3, np.uint8), np.zeros(4, np.uint8), 0.02, 1)


def test_key_bits_stay_out_of_logs():
    alice, bob = keys(100, 0.02)
    for thing in (ParityServer(alice, 1), Corrector(bob, 0.02, 1), reconcile(alice, bob, 0.02, 1)):
        assert '[' not in repr(thing)


@given(n=st.integers(1, 300), seed=st.integers(0, 2**64 - 1), number=st.integers(0, 31))
def test_shuffles_are_permutations(n, seed, number):
    order, key = shuffle(n, seed, number), shuffle_key(n, seed, number)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    assert number or (order == np.arange(n)).all()
    assert [position_of(bit, n, key) for bit in order.tolist()] == list(range(n))
    bits = keys(n, 0.0, seed % 2**32)[0]
    np.testing.assert_array_equal(in_order(bits, key), bits[order])


def test_neighbours_of_one_shuffle_are_strangers_in_the_next():
    n, block = 3000, 30
    together = np.zeros(400)
    for seed in range(400):
        first, second = (positions_of(shuffle(n, seed, number)) // block for number in (1, 2))
        near = np.flatnonzero(first == first[0])
        together[seed] = (second[near] == second[0]).sum() - 1
    # 29 companions, each with probability 29 / 2999 in the same block again
    assert together.mean() == pytest.approx(29 * 29 / 2999, abs=4 * np.sqrt(29 * 29 / 2999 / 400))


def test_shuffles_spread_evenly():
    orders = np.array([shuffle(8, seed, 1) for seed in range(8000)])
    for place in range(8):  # chi-square of 7 degrees of freedom: 30 is beyond 1e-4
        hits = np.bincount(orders[:, place], minlength=8)
        assert ((hits - 1000) ** 2 / 1000).sum() < 30


@given(n=st.integers(1, 400), seed=st.integers(0, 2**64 - 1))
def test_parities_of_subsets_and_trees_are_those_of_their_bits(n, seed):
    bits = keys(n, 0.0, seed % 2**32)[0]
    np.testing.assert_array_equal(
        subset_parities(bits, seed, 5), [(bits & subset(n, seed, number)).sum() % 2 for number in range(5)]
    )
    size = tree_size(n)
    tree = np.zeros(2 * size, np.uint8)
    fill_tree(tree, 1 - bits)
    fill_tree(tree, bits)  # nothing of what was there before is left
    padded = np.pad(bits, (0, size - n))
    for level in range(size.bit_length()):
        np.testing.assert_array_equal(
            tree[size >> level : 2 * size >> level], padded.reshape(-1, 1 << level).sum(1) % 2
        )
