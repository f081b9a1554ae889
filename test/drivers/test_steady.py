"""Time-outs that blame no device for what the process itself has lost."""

import pytest

from qkd_gs.drivers.steady import Waiting, looks

MS = 1_000_000


def test_looks_in_their_time_add_up_to_the_time_waited():
    waiting = Waiting()
    waiting.begin(0)
    assert [waiting.look(at * MS) for at in (10, 20, 95)] == pytest.approx([0.01, 0.02, 0.095])
    waiting.begin(100 * MS)
    assert waiting.look(130 * MS) == pytest.approx(0.03)


def test_a_process_that_is_held_up_counts_a_tenth_of_a_second():
    waiting = Waiting()
    waiting.begin(0)  # the time was taken, then the process was held up, then it sent the question
    assert waiting.look(700 * MS) == pytest.approx(0.1)
    assert waiting.look(710 * MS) == pytest.approx(0.11)
    assert waiting.look(705 * MS) == pytest.approx(0.11)


def test_the_last_look_for_an_answer_is_after_the_end():
    now_s = iter([100.0, 100.0, 100.4, 107.0])  # held up for 6.6 s
    assert list(looks(0.5, lambda: next(now_s))) == pytest.approx([0.5, 0.1, 0.0])


def test_who_is_held_up_right_after_asking_looks_once():
    now_s = iter([100.0, 107.0])
    assert list(looks(0.5, lambda: next(now_s))) == [0.0]
