"""Orbit: elements, passes, and the apparent position of a satellite during a pass.

The names below are imported on first use: a process that needs only the type of a target does not wait for the
libraries of the prediction.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qkd_gs.orbit.elements import Elements, load_elements
    from qkd_gs.orbit.passes import Limits, Pass, find_passes, pass_nearest
    from qkd_gs.orbit.target import TargetState
    from qkd_gs.orbit.trajectory import Trajectory

_HOME = {
    'Elements': 'elements',
    'Limits': 'passes',
    'Pass': 'passes',
    'TargetState': 'target',
    'Trajectory': 'trajectory',
    'find_passes': 'passes',
    'load_elements': 'elements',
    'pass_nearest': 'passes',
}

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


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f'qkd_gs.orbit.{_HOME[name]}'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
