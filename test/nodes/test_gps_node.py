"""The receiver's node and a clock or a site that is wrong; rclpy is there, the rest of the station is not."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from one_graph import in_this_process

from qkd_gs.devices.gps import GpsReading
from qkd_gs.nodes.gps_node import GpsNode
from qkd_gs.orbit.timescale import parse_utc

SECOND = 10**9
UTC_NS = parse_utc('2018-10-03T14:40:00Z')
GOOD = GpsReading(UTC_NS + SECOND // 5, UTC_NS, 31.1263, 121.5424, 25.0, 8, 1e-8)  # Shanghai


class Receiver:
    def __init__(self, reading):
        self._reading = reading

    def read(self, now_ns):
        return self._reading

    def close(self):
        pass


@pytest.fixture
def hears(domain, tmp_path):
    with in_this_process(GpsNode, state_dir=tmp_path, site='shanghai') as node:
        second, told = [0], []
        node._fixes = SimpleNamespace(publish=told.append)

        def hear(off_s, **changes):
            second[0] += 1
            stamp_ns, utc_ns = GOOD.stamp_ns + second[0] * SECOND, GOOD.pps_utc_ns + second[0] * SECOND
            given = replace(GOOD, stamp_ns=stamp_ns + round(off_s * SECOND), pps_utc_ns=utc_ns, **changes)
            node._gps = Receiver(given)
            node._step(given.stamp_ns)
            node._step(given.stamp_ns)  # no new message
            node._gps = Receiver(replace(given, stamp_ns=0))
            node._step(given.stamp_ns)  # one that was opened again, and has told nothing yet
            assert len(told) == second[0]
            return node.faults.present(0.0)

        yield hear


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


@pytest.mark.parametrize(
    ('place', 'said'),
    [
        ({'longitude_deg': -121.5424}, 'm from the site Shanghai and +0 m above it'),  # the sign: the Sun is elsewhere
        ({'latitude_deg': 31.1275}, '133 m from the site Shanghai'),
        ({'altitude_m': 525.0}, '+500 m above it'),
    ],
)
def test_a_wrong_site_is_told_until_it_is_right(hears, place, said):
    assert not hears(0.0, latitude_deg=31.1270)  # 78 m
    assert not hears(0.0, **place)
    assert not hears(0.0, **place)
    (fault,) = hears(0.0, **place)
    assert fault.code == 'gps.position'
    assert said in fault.message
    assert not hears(0.0)
    for _ in range(5):
        assert not hears(0.0, satellites=0, **place)
