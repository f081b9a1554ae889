"""Declaration of what every node publishes, subscribes to and serves; the tests compare it with the nodes' code.

The diagram of the graph, the policies of SROS2 and the look-out for strangers are made from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_CAMERAS = ('guiding_camera', 'tracking_camera')


@dataclass(frozen=True)
class Interfaces:
    """Of one node; names are relative to the station's namespace unless they begin with a slash."""

    publishes: tuple[str, ...] = ()
    subscribes: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()  # that it serves
    services: tuple[str, ...] = ()  # that it serves, besides those of parameters and lifecycle
    calls: tuple[str, ...] = ()  # actions of other nodes
    asks: tuple[str, ...] = ()  # services of other nodes, besides those of the lifecycle
    every_topic: bool = False  # it subscribes to all public topics


def _both(name: str) -> tuple[str, ...]:
    return tuple(f'{camera}/{name}' for camera in _CAMERAS)


def _camera(name: str) -> Interfaces:
    return Interfaces((f'{name}/spot', f'{name}/image', f'{name}/camera_info'), (f'{name}/request', 'load'))


INTERFACES = {
    'world': Interfaces(('station_clock', '/clock'), ('session/state', 'detector/counts', '/diagnostics')),
    'mount': Interfaces(('mount/state', 'joint_states'), ('mount/command', 'safety/status')),
    'guiding_camera': _camera('guiding_camera'),
    'tracking_camera': _camera('tracking_camera'),
    'beacon': Interfaces(('beacon/state',), ('beacon/command', 'safety/status')),
    'hwp': Interfaces(('hwp/state',), ('hwp/polarization_angle',)),
    'gps': Interfaces(('gps/fix', 'gps/time')),
    'detector': Interfaces(('detector/counts', 'detector/delays'), ('session/state', 'calibrator/busy')),
    'planner': Interfaces(('next_pass', 'target')),
    'tracker': Interfaces(
        ('session/state', 'mount/command', 'beacon/command', 'hwp/polarization_angle', *_both('request')),
        ('mount/state', 'beacon/state', 'safety/status', 'calibrator/busy', *_both('spot')),
        actions=('track_pass',),
        services=('abort_pass',),
    ),
    'calibrator': Interfaces(
        ('mount/command', 'calibrator/busy', 'hwp/polarization_angle', *_both('request')),
        ('mount/state', 'session/state', 'safety/status', 'detector/counts', 'detector/delays', 'hwp/state',
         'beacon/state', *_both('image'), *_both('spot')),
        actions=('calibrate', 'observe', 'park'),
    ),
    'evening': Interfaces(
        (),
        ('mount/state', 'session/state', 'safety/status', 'readiness', 'next_pass', 'key/state', 'calibrator/busy',
         'gps/fix', 'gps/time', '/diagnostics'),
        actions=('tonight',),
        services=('abort_evening',),
        calls=('track_pass', 'calibrate', 'observe', 'park'),
        asks=('abort_pass',),
    ),
    'post_processor': Interfaces(('key/state',), ('session/state', 'target', 'guiding_camera/spot')),
    'recorder': Interfaces(every_topic=True),
    'monitor': Interfaces(
        ('station_clock', 'safety/status', 'readiness', 'load'),
        ('mount/state', 'mount/command', 'beacon/state', 'session/state', 'detector/counts', 'next_pass', 'key/state',
         'calibrator/busy', '/diagnostics'),
        asks=('abort_pass',),
    ),
    'scene': Interfaces(
        ('/tf', '/tf_static', 'markers', 'robot_description'),
        ('joint_states', 'target', 'session/state', 'beacon/state', 'calibrator/busy', 'load'),
    ),
}  # fmt: skip
OF_EVERY_NODE = Interfaces(('/diagnostics', '/rosout', '/parameter_events'), ('station_clock',))

# Topics that command or permit: a publisher that is not declared for them is a stranger.
COMMANDS = (
    'station_clock', 'session/state', 'safety/status', 'mount/command', 'beacon/command', 'hwp/polarization_angle',
    *_both('request'),
)  # fmt: skip


def publishers_of(topic: str) -> Sequence[str]:
    """Nodes that are declared to publish a topic."""
    return [name for name, interfaces in INTERFACES.items() if topic in interfaces.publishes]
