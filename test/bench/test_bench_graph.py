"""What counts of a station's cost: the time in which the satellite is held, and that alone."""

import os

from qkd_gs.bench.graph import Window
from qkd_gs.monitoring.health import NodeHealth
from qkd_gs.monitoring.snapshot import SessionStatus
from qkd_gs.monitoring.status_collector import StatusCollector
from qkd_gs.station.usage import Usage, usage_of
from qkd_gs.tracking.types import Phase


class Station:
    """Two processes, one of which works half of the time, the other a tenth."""

    def __init__(self):
        self.now_s = 0.0
        self.board = StatusCollector()
        self.window = Window(self.costs, 5.0, 40.0)
        self.board.update_node(
            NodeHealth('mount', 0.0, 'active', steps=99, missed=1, period_ms=(10.0, 10.1, 10.9)), 0.0
        )

    def costs(self):
        return {
            'gps': Usage(0.1 * self.now_s, self.now_s, 90.0, 40.0),
            'mount': Usage(3.0 + 0.5 * self.now_s, self.now_s, 100.0, 50.0),
        }

    def see(self, now_s, phase):
        self.now_s = now_s
        self.board.update_session(SessionStatus(round(now_s * 1e9), phase))
        self.window.see(now_s, self.board.snapshot(round(now_s * 1e9), now_s, 1.0))


def test_a_window_begins_when_the_satellite_has_been_held_for_a_while():
    station = Station()
    for now_s, phase in ((1, Phase.ACQUIRE), (10, Phase.FINE), (14, Phase.FINE), (16, Phase.FINE)):
        station.see(float(now_s), phase)
    station.see(20.0, Phase.LOST)  # lost: it begins once more
    for now_s in (30, 36, 60, 75.5):
        station.see(float(now_s), Phase.FINE)
        assert not station.window.done
    station.see(76.0, Phase.FINE)
    assert station.window.done
    figures = station.window.figures()
    assert figures['window_s'] == 40.0
    assert figures['cpu_percent'] == 60.0
    assert list(figures['nodes']) == ['mount', 'gps']  # the most expensive one first
    assert figures['nodes']['mount'] == {'cpu_percent': 50.0, 'memory_mb': 100, 'shared_mb': 50}
    assert figures['loops'] == {'mount': {'period_ms': [10.0, 10.1, 10.9], 'missed_share': 0.01}}


def test_the_kernel_tells_what_a_process_has_used():
    before = usage_of(os.getpid())
    sum(range(3_000_000))
    after = usage_of(os.getpid())
    assert after.cpu_s >= before.cpu_s > 0
    assert after.memory_mb > after.shared_mb > 0
