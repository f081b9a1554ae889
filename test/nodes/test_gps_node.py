"""The receiver's node and a clock that is wrong; rclpy is there, the rest of the station is not."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import rclpy

from qkd_gs.devices.gps import GpsReading
from qkd_gs.nodes.gps_node import GpsNode
from qkd_gs.orbit.timescale import parse_utc

SECOND = 10**9
UTC_NS = parse_utc('2018-10-03T14:40:00Z')
GOOD = GpsReading(UTC_NS + SECOND // 5, UTC_NS, 31.1, 121.5, 25.0, 8, 1e-8)


@pytest.fixture
def hears(domain, tmp_path):
    rclpy.init(args=['--ros-args', '-p', f"state_dir:='{tmp_path}'"])
    try:
        node, second, told = GpsNode(), [0], []
        node._fixes = SimpleNamespace(publish=told.append)

        def hear(off_s, **changes):
            second[0] += 1
            stamp_ns, utc_ns = GOOD.stamp_ns + second[0] * SECOND, GOOD.pps_utc_ns + second[0] * SECOND
            given = replace(GOOD, stamp_ns=stamp_ns + round(off_s * SECOND), pps_utc_ns=utc_ns, **changes)
            node._gps = type('Receiver', (), {'read': lambda self, now_ns: given})()
            node._step(given.stamp_ns)
            node._step(given.stamp_ns)  # no new message
            node._gps = type('Receiver', (), {'read': lambda self, now_ns: replace(given, stamp_ns=0)})()
            node._step(given.stamp_ns)  # one that was opened again, and has told nothing yet
            assert len(told) == second[0]
            return node.faults.present(0.0)

        yield hear
        node.destroy_node()
    finally:
        rclpy.try_shutdown()


@pytest.mark.parametrize(('off_s', 'said'), [(-3600.0, '3599.8 s off'), (7200.0, '7198.7 s off'), (-0.4, '0.2 s off')])
def test_a_wrong_clock_is_told_until_it_is_right(hears, off_s, said):
    assert not hears(0.0)
    assert not hears(off_s)
    assert not hears(off_s)
    (fault,) = hears(off_s)
    assert fault.code == 'gps.clock'
    assert said in fault.message
    assert not hears(0.0)


def test_a_message_that_comes_late_and_a_receiver_without_a_fix_prove_nothing(hears):
    for _ in range(5):
        assert not hears(2.0)
        assert not hears(0.0)
    for _ in range(5):
        assert not hears(3600.0, satellites=0)
