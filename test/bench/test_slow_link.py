"""The slow link delays and throttles, and changes nothing that passes."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.bench.slow_link import Pace, slow_link
from qkd_gs.qkd.link.tls import LOOPBACK


def test_a_packet_takes_its_bits_and_the_delay():
    pace = Pace(delay_s=0.125, rate_bit_s=1e6)
    assert pace.arrival_s(10.0, 1250) == pytest.approx(10.0 + 0.01 + 0.125)
    assert pace.arrival_s(10.0, 1250) == pytest.approx(10.0 + 0.02 + 0.125)  # behind the first one
    assert pace.arrival_s(50.0, 125) == pytest.approx(50.0 + 0.001 + 0.125)


@given(
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 1500)), min_size=1),
    st.floats(0, 1),
    st.floats(1e4, 1e9),
)
def test_packets_never_come_early_or_out_of_order_or_faster_than_the_rate(packets, delay_s, rate_bit_s):
    pace, now_s, arrivals = Pace(delay_s, rate_bit_s), 0.0, []
    for gap_s, size in packets:
        now_s += gap_s
        arrivals.append(pace.arrival_s(now_s, size))
        assert arrivals[-1] >= now_s + delay_s + 8 * size / rate_bit_s * (1 - 1e-9) - 1e-9
    assert arrivals == sorted(arrivals)
    bits = 8 * sum(size for _, size in packets)
    assert arrivals[-1] >= delay_s + bits / rate_bit_s * (1 - 1e-9)


def test_everything_passes_in_both_directions_and_then_the_end():
    data = bytes(range(256)) * 2000

    def echo(listening):
        with listening.accept()[0] as connection:
            while piece := connection.recv(4096):
                connection.sendall(piece)

    with ThreadPoolExecutor(2) as threads, socket.create_server((LOOPBACK, 0)) as listening:
        echoed = threads.submit(echo, listening)
        port = listening.getsockname()[1]
        with slow_link(port, 0.0, 1e9) as way, socket.create_connection((LOOPBACK, way), timeout=30) as near:
            sent = threads.submit(lambda: (near.sendall(data), near.shutdown(socket.SHUT_WR)))
            back = b''.join(iter(lambda: near.recv(65536), b''))
            sent.result()
        echoed.result()
    assert back == data
