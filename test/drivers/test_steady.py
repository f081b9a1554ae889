"""Time-outs that blame no device for what the process itself has lost."""

import socket

import pytest

from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.drivers.alpaca.session import AlpacaOptions, AlpacaSession
from qkd_gs.drivers.indi.device import IndiDevice, IndiOptions
from qkd_gs.drivers.rotctl.link import RotctlLink
from qkd_gs.drivers.steady import Waiting, looks

MS = 1_000_000
START_NS = 1_538_582_000_000_000_000
TIMEOUT_S = 1.5


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


def test_who_always_looks_seldom_waits_for_one_look_more():
    waiting = Waiting()
    assert waiting.look(5000 * MS) == 0  # the first of all
    waiting.begin(10_000 * MS)
    assert waiting.look(15_000 * MS) == pytest.approx(0.1)
    assert waiting.look(20_000 * MS) == pytest.approx(5.1)


def rotctl(port):
    link = RotctlLink('127.0.0.1', port, TIMEOUT_S)
    link.begin()
    return link


def alpaca(port):
    session = AlpacaSession('mount', AlpacaOptions(port=port, timeout_s=TIMEOUT_S), 'telescope', ('azimuth',))
    session.open()
    return session


def indi(port):
    device = IndiDevice('mount', IndiOptions(port=port, device='Mount', timeout_s=TIMEOUT_S), ())
    device.open()
    return device


@pytest.mark.parametrize('connected', [rotctl, alpaca, indi])
def test_a_server_is_silent_after_its_time_out_even_if_the_driver_was_held_up_as_it_asked(connected):
    with socket.create_server(('127.0.0.1', 0)) as server:
        driver = connected(server.getsockname()[1])
        held_up_ns = START_NS + 7000 * MS
        driver.step(START_NS)
        driver.step(held_up_ns)
        looked_ns = range(held_up_ns, held_up_ns + 10_000 * MS, 10 * MS)
        silent_ns = next(
            now_ns for now_ns in looked_ns if fault_of(lambda at=now_ns: driver.step(at)) == 'mount.silent'
        )
        assert (silent_ns - held_up_ns) * 1e-9 == pytest.approx(TIMEOUT_S - 0.1, abs=0.02)
        driver.close()


def test_the_last_look_for_an_answer_is_after_the_end():
    now_s = iter([100.0, 100.0, 100.4, 107.0])  # held up for 6.6 s
    assert list(looks(0.5, lambda: next(now_s))) == pytest.approx([0.5, 0.1, 0.0])


def test_who_is_held_up_right_after_asking_looks_once():
    now_s = iter([100.0, 107.0])
    assert list(looks(0.5, lambda: next(now_s))) == [0.0]
