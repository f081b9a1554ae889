"""Proof of which stations and replays run on this machine; one ROS domain and namespace holds one of them.

A process that is part of a station holds a name in the kernel's abstract socket namespace.  Such a name belongs to the
network namespace, as the loopback traffic of ROS does, is seen by every user, and ends with its process, however that
ends.  So whether a station runs does not depend on how long ROS takes to discover it.
"""

from __future__ import annotations

import os
import re
import socket
from hashlib import sha256
from pathlib import Path
from types import TracebackType

from qkd_gs.errors import StationError

_LONGEST = 40  # characters of a namespace that fit into a name (107 bytes)
_STARTER, _MONITOR, _NODE, _REPLAY = 'starter', 'monitor', 'node', 'replay'
_HINT = 'stop it, or choose another ROS_DOMAIN_ID or namespace'


class Held:
    """Names that this process holds until `close`, or until it ends."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def take(self, name: str) -> bool:
        """Hold one more; False: somebody else does."""
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            bound.bind('\0' + name)
        except OSError:  # EADDRINUSE: the kernel gives a name to one socket alone
            bound.close()
            return False
        self._sockets.append(bound)
        return True

    def close(self) -> None:
        """Let go; any number of times."""
        while self._sockets:
            self._sockets.pop().close()

    def __enter__(self) -> Held:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def acquire_instance_lock(namespace: str, domain: str | None = None) -> Held:
    """Be the monitor of the station of that name: the only one in its ROS domain.

    Parameters
    ----------
    domain : str, optional
        ROS domain; that of the environment unless given.

    Raises
    ------
    StationError
        Another station runs.
    """
    return _alone(_MONITOR, namespace, domain)


def started(namespace: str, domain: str | None = None) -> Held:
    """Be the process that starts the station of that name, from before its first node until after its last.

    Raises
    ------
    StationError
        Another station runs, or a replay; nothing is to be started.
    """
    held = _alone(_STARTER, namespace, domain)
    _refuse_beside_a_replay(held, namespace, domain)
    if pids := _holders(_prefix(namespace, domain), _MONITOR):  # of a station whose nodes were started one by one
        held.close()
        raise _another(_domain(domain), pids)
    return held


def take_part(namespace: str, domain: str | None = None) -> Held:
    """Be a node of the station of that name.

    Raises
    ------
    StationError
        A recorded pass is played there.
    """
    held = Held()
    held.take(f'{_prefix(namespace, domain)}/{_NODE}/{os.getpid()}')
    _refuse_beside_a_replay(held, namespace, domain)
    return held


def stand_in(namespace: str, domain: str | None = None) -> Held:
    """Be the replay that takes the place of the station of that name.

    Raises
    ------
    StationError
        The station runs, or another replay.
    """
    domain = _domain(domain)
    held = Held()
    if not held.take(f'{_prefix(namespace, domain)}/{_REPLAY}'):
        raise StationError(f'another replay runs in ROS domain {domain}', hint=_HINT)
    if station_runs(namespace, domain):
        held.close()
        raise StationError('a station is running in this ROS domain', hint=_HINT)
    return held


def station_runs(namespace: str, domain: str | None = None) -> bool:
    """Whether any process of the station of that name runs on this machine, or the one that starts it."""
    return any(_holders(_prefix(namespace, domain), role) for role in (_STARTER, _MONITOR, _NODE))


def _alone(role: str, namespace: str, domain: str | None) -> Held:
    domain = _domain(domain)
    held, name = Held(), f'{_prefix(namespace, domain)}/{role}'
    if not held.take(name):
        raise _another(domain, _holders(_prefix(namespace, domain), role))
    held.take(f'{name}/{os.getpid()}')  # tells who it is
    return held


def _another(domain: str, pids: list[str]) -> StationError:
    return StationError(
        f'another station runs in ROS domain {domain} (process {", ".join(pids) or "unknown"})', hint=_HINT
    )


def _refuse_beside_a_replay(held: Held, namespace: str, domain: str | None) -> None:
    """Both sides hold first and look afterwards: of a station and a replay that begin at once, one sees the other."""
    domain = _domain(domain)
    if f'{_prefix(namespace, domain)}/{_REPLAY}' in _names():
        held.close()
        raise StationError(f'a recorded pass is played in ROS domain {domain}', hint=_HINT)


def _holders(prefix: str, role: str) -> list[str]:
    """Processes that hold a role."""
    start = f'{prefix}/{role}/'
    return [name.removeprefix(start) for name in _names() if name.startswith(start)]


def _names() -> set[str]:
    """All names of abstract sockets, as the kernel lists them."""
    lines = Path('/proc/net/unix').read_text(encoding='utf-8', errors='replace').splitlines()
    return {fields[-1].removeprefix('@') for line in lines if (fields := line.split()) and fields[-1].startswith('@')}


def _domain(domain: str | None) -> str:
    return domain or os.environ.get('ROS_DOMAIN_ID') or '0'


def _prefix(namespace: str, domain: str | None) -> str:
    name = re.sub(r'\W', '-', namespace.strip('/'))
    if len(name) > _LONGEST:
        name = sha256(name.encode()).hexdigest()[:_LONGEST]
    return f'qkd_gs/{_domain(domain)}/{name}'
