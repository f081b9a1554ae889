"""A station in the middle of its pass, as a board that has heard everything."""

from math import nan, radians

from qkd_gs.monitoring.health import NodeHealth
from qkd_gs.monitoring.node_faults import NodeFault
from qkd_gs.monitoring.readiness import ComingPass, Level, Readiness
from qkd_gs.monitoring.scene import TargetPosition
from qkd_gs.monitoring.snapshot import KeyProgress, KeyStep, SessionStatus
from qkd_gs.monitoring.status_collector import StatusCollector
from qkd_gs.timing.live import CountBin, Live
from qkd_gs.tracking.types import Phase

S = 10**9
NOW_NS = 1_538_582_102 * S  # 2018-10-03T15:55:02Z
WALL_S = 50.0
COMING = ComingPass('MICIUS', NOW_NS - 100 * S, NOW_NS + 100 * S, NOW_NS + 380 * S, radians(72.1))


def session(ago_s=0.0, x_urad=nan, y_urad=nan, phase=Phase.FINE):
    stamp_ns = NOW_NS - round(ago_s * 1e9)
    return SessionStatus(stamp_ns, phase, 'MICIUS', 'folder', True, 0.301, 1002.0, x_urad, y_urad)


def running_board():
    board = StatusCollector()
    board.update_readiness(Readiness(Level.OK, 'tracking, locked, 43.1 deg'), WALL_S)
    board.update_coming(COMING)
    for step in range(300, 0, -1):  # ten spots a second: 4 and 3 urad from the middle
        board.update_session(session(step / 10 - 0.05, 4.0 * (-1) ** step, 3.0))
    board.update_target(TargetPosition('MICIUS', NOW_NS, 1.0, radians(43.1), 812e3))
    board.update_counts(CountBin(NOW_NS - S, NOW_NS, (2011, 1987, 2034, 1960, 9987, 1), Live(51.2, 0.93)))
    board.update_key(KeyProgress(KeyStep.WORKING, 'folder', True, 'reconciliation', 0.43, 345_912, -1, 0.0102, 0.4))
    board.update_node(NodeHealth('tracker', 0.0, 'active', cpu_percent=28.0, missed=3, steps=9997), WALL_S)
    board.update_node(NodeHealth('mount', 0.0, 'inactive', cpu_percent=3.0), WALL_S)
    board.update_node(NodeHealth('hwp', 0.0, 'active', (NodeFault('hwp.stuck', ''),)), WALL_S)
    board.update_node(NodeHealth('scene', 0.0, 'active', cpu_percent=1.0), WALL_S - 8)
    return board
