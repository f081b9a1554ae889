"""Signals to stop that come at a bad moment are obeyed a little later, and once."""

import os
import signal

import pytest

from qkd_gs.cli.console.signals import ended_by_signals
from qkd_gs.station.signals import STOPPING, signals_afterwards


def tell(number):
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def interruptible():
    """As in a terminal; to a program in the background of a script Ctrl-C means nothing."""
    before = {number: signal.getsignal(number) for number in STOPPING}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_ctrl_c_in_the_middle_of_a_callback_is_not_lost():
    done = []

    def callback():
        with signals_afterwards() as came:
            tell(signal.SIGINT)
            done.extend(came)

    with pytest.raises(KeyboardInterrupt):
        callback()
    assert done == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_deferred_signal_survives_an_error():
    def failing():
        with signals_afterwards():
            tell(signal.SIGINT)
            raise OSError

    with pytest.raises(KeyboardInterrupt):
        failing()


def test_an_inner_deferral_hands_its_signals_to_the_outer_one():
    with signals_afterwards() as outer:
        with signals_afterwards():
            tell(signal.SIGINT)
        assert outer == [signal.SIGINT]
        outer.clear()  # dealt with


@pytest.mark.parametrize('number', STOPPING)
def test_every_signal_to_stop_interrupts(number):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with pytest.raises(KeyboardInterrupt), ended_by_signals():
        tell(number)


def test_a_hang_up_that_nohup_ignores_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with ended_by_signals(), signals_afterwards() as came:
        tell(signal.SIGHUP)
    assert came == []


def test_a_second_signal_does_not_break_off_what_the_first_has_begun():
    stopped = []

    def run():
        with ended_by_signals(once=True):
            try:
                tell(signal.SIGTERM)
            finally:
                tell(signal.SIGTERM)
                stopped.append(True)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert stopped == [True]
