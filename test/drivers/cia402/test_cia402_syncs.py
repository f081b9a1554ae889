"""Which SYNC an answer is of."""

from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.drivers.cia402.syncs import Syncs

MS = 1_000_000


def answers(syncs, delays_ns, cycle_ns=10 * MS, begin_ns=10**18):
    """Ask once a cycle, answer after each delay (None: never); returns pairs of the true and the told SYNC."""
    asked = [begin_ns + k * cycle_ns for k in range(len(delays_ns))]
    come = sorted((at + delay, at) for at, delay in zip(asked, delays_ns, strict=True) if delay is not None)
    told = []
    for at_ns in asked:
        while come and come[0][0] < at_ns:
            came_ns, true_ns = come.pop(0)
            told.append((true_ns, syncs.answered(came_ns)))
        syncs.sent(at_ns)
    return told


def test_a_lost_answer_costs_no_other_its_time():
    told = answers(Syncs(0.01), [MS] * 20 + [None] + [MS] * 20 + [None] * 7 + [MS] * 20)
    assert all(true == got for true, got in told)
    assert len(told) == 59


@given(st.lists(st.one_of(st.none(), st.integers(300_000, 3 * MS)), min_size=30, max_size=80))
def test_whatever_is_lost_no_answer_gets_the_time_of_another(delays_ns):
    told = answers(Syncs(0.01), [MS, *delays_ns])
    assert all(got in (true, None) for true, got in told)


def test_an_answer_that_is_held_up_is_of_no_other_sync():
    told = answers(Syncs(0.01), [MS] * 20 + [14 * MS] + [MS] * 20)
    assert [got for true, got in told if got != true] == [None]


def test_drives_whose_answers_become_slower_are_understood_again():
    told = answers(Syncs(0.01), [MS] * 20 + [6 * MS] * 40)
    assert all(got in (true, None) for true, got in told)
    assert all(true == got for true, got in told[-25:])


def test_a_bus_that_sends_the_sync_back_gives_its_time():
    syncs = Syncs(0.01)
    syncs.sent(1000)
    syncs.sent(2000)
    syncs.left(2400)
    assert syncs.answered(2900) == 2400


def test_without_time_stamps_the_oldest_is_answered_first_and_a_lost_one_forgotten():
    syncs = Syncs(0.01)
    for at_ns in range(1, 4):
        syncs.sent(at_ns)
    assert [syncs.answered(0) for _ in range(4)] == [1, 2, 3, None]
    for at_ns in range(10, 17):
        syncs.sent(at_ns)
    assert syncs.answered(0) == 16
