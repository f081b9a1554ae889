"""Where the satellite will be: elements, passes, and its apparent place through a pass."""

from qkd_gs.orbit.elements import Elements, load_elements
from qkd_gs.orbit.passes import Limits, Pass, find_passes, pass_nearest
from qkd_gs.orbit.target import TargetState
from qkd_gs.orbit.trajectory import Trajectory

__all__ = [
    'Elements',
    'Limits',
    'Pass',
    'TargetState',
    'Trajectory',
    'find_passes',
    'load_elements',
    'pass_nearest',
]
