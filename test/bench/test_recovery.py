"""What is killed when, and what counts as being back."""

import signal

from qkd_gs.bench.recovery import Killing
from qkd_gs.monitoring.health import NodeHealth
from qkd_gs.monitoring.node_faults import NodeFault
from qkd_gs.monitoring.snapshot import SessionStatus
from qkd_gs.monitoring.status_collector import StatusCollector
from qkd_gs.tracking.types import Phase


class Station:
    """Two processes, as they are heard."""

    def __init__(self):
        self.pids = {'mount': 10, 'gps': 20}
        self.killed = []
        self.board = StatusCollector()
        self.killing = Killing(lambda: dict(self.pids), ['mount', 'gps'], lambda *one: self.killed.append(one))

    def see(self, now_s, phase, stamp_s=None, **beats):
        self.board.update_session(SessionStatus(round((stamp_s or now_s) * 1e9), phase))
        for name, (pid, state) in beats.items():
            self.board.update_node(NodeHealth(name, 0.0, state, pid=pid), now_s - 0.25)
        self.killing.see(now_s, self.board.snapshot(round(now_s * 1e9), now_s, 1.0))


def test_each_is_killed_once_and_the_next_only_when_all_is_well_again():
    station = Station()
    station.see(1.0, Phase.ACQUIRE, mount=(10, 'active'), gps=(20, 'active'))
    assert station.killed == []
    station.see(2.0, Phase.FINE)
    assert station.killed == [(10, signal.SIGKILL)]
    station.see(2.5, Phase.FINE, mount=(10, 'active'))  # the last word of the dead
    station.see(3.0, Phase.LOST, mount=(11, 'inactive'))
    assert station.killing.back_s == {}
    station.see(4.0, Phase.LOST, mount=(11, 'active'))
    assert station.killing.back_s == {'mount': 1.75}  # it was heard a quarter of a second before
    assert len(station.killed) == 1
    station.see(5.0, Phase.FINE)
    assert station.killing.held_again_s == {'mount': 3.0}
    assert station.killed[1:] == [(20, signal.SIGKILL)]
    assert not station.killing.done
    station.see(6.0, Phase.FINE, gps=(21, 'active'))
    assert station.killing.held_again_s == {'mount': 3.0, 'gps': 1.0}
    assert station.killing.done


def test_the_last_word_of_a_dead_tracker_does_not_count_as_held_again():
    station = Station()
    station.see(2.0, Phase.FINE, mount=(10, 'active'), gps=(20, 'active'))
    station.see(3.0, Phase.FINE, stamp_s=2.5)
    station.see(4.0, Phase.FINE, stamp_s=2.5, mount=(11, 'active'))
    assert (station.killing.back_s, station.killing.held_again_s) == ({'mount': 1.75}, {})
    station.see(5.0, Phase.FINE)
    assert station.killing.held_again_s == {'mount': 3.0}


def test_a_process_with_a_fault_is_not_back():
    station = Station()
    station.see(1.0, Phase.FINE, mount=(10, 'active'), gps=(20, 'active'))
    station.board.update_node(NodeHealth('mount', 0.0, 'active', (NodeFault('mount.fault', ''),), pid=11), 2.0)
    station.see(2.0, Phase.FINE)
    assert station.killing.back_s == {}
