"""The faults of the campaign, in their order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rclpy.node import Node

from qkd_gs.bench.faults.injector import (
    Fault,
    Target,
    busy_processors,
    foreign_commands,
    foreign_states,
    frozen,
    full_disk,
    killed,
    moved,
    shutdown_request,
    stopped,
    stranger,
)
from qkd_gs.session.tag_files import tags_paths

_KILLED = (
    *('mount', 'tracking_camera', 'guiding_camera', 'beacon', 'hwp', 'gps', 'detector'),
    *('planner', 'tracker', 'calibrator', 'evening', 'post_processor', 'recorder', 'monitor', 'scene'),
)
_FROZEN = ('tracker', 'tracking_camera', 'mount', 'monitor', 'detector')
_STOPPED = ('detector', 'monitor')
_FROZEN_S, _FULL_S, _STRANGER_S, _BUSY_S = 2.0, 2.6, 2.0, 10.0
_NOT_CUT = 'world'  # the twin's physical state needs no power

Inject = Callable[[Target, str], AbstractContextManager[None]]


def _kill(*names: str) -> Inject:
    return lambda station, session: killed(station, *names)


def _freeze(name: str) -> Inject:
    return lambda station, session: frozen(station.pids()[name])


def _stop(name: str) -> Inject:
    return lambda station, session: stopped(station.pids()[name])


def _fill(name: str, grows: bool = True) -> Inject:
    """Files of a node that grow stay as they are; one that replaces its file instead cannot write at all."""

    @contextmanager
    def inject(station: Target, session: str) -> Iterator[None]:
        folder = station.sessions / session
        sizes = [path.stat().st_size for path in (*tags_paths(folder)[-1:], *folder.glob('bag/*.mcap'))]
        with full_disk(station.pids()[name], min(sizes, default=0) if grows else 0):
            yield

    return inject


def _cut_power(station: Target, session: str) -> AbstractContextManager[None]:
    return killed(station, *(name for name in station.pids() if name != _NOT_CUT))


def _move(station: Target, session: str) -> AbstractContextManager[None]:
    return moved(station.sessions / session)


def _foreign(publish: Callable[[Node], None]) -> Inject:
    return lambda station, session: stranger(publish)


def _load(station: Target, session: str) -> AbstractContextManager[None]:
    return busy_processors(2 * (os.cpu_count() or 1))


_SILENCE = ('has sent no heartbeat', 'has sent nothing', 'was last heard', 'no tags', 'silent', 'stale')
_TAGS = ('no tags', 'cannot be written', 'moved or deleted')
_REFUSED = ('refused', 'is no node of')

FAULTS = (
    *(Fault(f'kill -9 {name}', _kill(name), (f'{name}: ended', f'{name} has', f'{name} is')) for name in _KILLED),
    Fault('kill -9 detector and recorder', _kill('detector', 'recorder'), ('detector: ended', 'no tags')),
    *(Fault(f'{name} frozen', _freeze(name), _SILENCE, _FROZEN_S) for name in _FROZEN),
    *(Fault(f'{name} stopped for good', _stop(name), _SILENCE) for name in _STOPPED),
    Fault('disk full for the detector', _fill('detector'), _TAGS, _FULL_S),
    Fault('disk full for the recorder', _fill('recorder'), ('recorder reports',), _FULL_S),
    Fault('disk full for the tracker', _fill('tracker', grows=False), ('tracker reports',), _FULL_S),
    Fault('session folder moved', _move, _TAGS, _FULL_S),
    Fault('foreign commands and permits', _foreign(foreign_commands), _REFUSED, _STRANGER_S),
    Fault('foreign session states', _foreign(foreign_states), _REFUSED, _STRANGER_S),
    Fault('mount shut down', _foreign(shutdown_request('mount')), ('mount: ended', 'mount is')),
    Fault('two busy loops a processor', _load, (), _BUSY_S),
    Fault('power cut of the station', _cut_power, ('ended',)),
)
