"""Faults of a running station, each of which begins and ends at will; for the benchmark and for the tests."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import radians
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

import qkd_gs.msg as m
from qkd_gs.children import child_environment
from qkd_gs.devices.mount import MountCommand
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.qos import RELIABLE

_BUSY = 'while True: pass'


class Target(Protocol):
    """The station that faults are injected into."""

    sessions: Path

    def pids(self) -> dict[str, int]:
        """Process of each node now."""


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes
    ----------
    name : str
    inject : callable
        Context manager: the fault lasts as long as it is open.  Takes the station and the name of the session.
    told_by : tuple of str
        Words of which one is in what the station says of it; empty: a fault that it need not notice.
    lasts_s : float
        Real time for which it is there at least.
    """

    name: str
    inject: Callable[[Target, str], Any]
    told_by: tuple[str, ...]
    lasts_s: float = 0.0


@contextmanager
def killed(station: Target, *names: str) -> Iterator[None]:
    """Processes of nodes are killed; they are started again by who supervises them."""
    for pid in [station.pids()[name] for name in names]:
        os.kill(pid, signal.SIGKILL)
    yield


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process stands still, and goes on afterwards."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:  # it was killed meanwhile
            pass


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process stands still for good; only who supervises it can help."""
    os.kill(pid, signal.SIGSTOP)
    yield


@contextmanager
def full_disk(pid: int, size: int = 0) -> Iterator[None]:
    """No file of a process can grow beyond `size` bytes: EFBIG, as a full disk's ENOSPC in all that matters."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        try:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        except ProcessLookupError:
            pass


@contextmanager
def moved(folder: Path) -> Iterator[None]:
    """A folder has another name."""
    elsewhere = folder.with_name(f'{folder.name}-moved')
    folder.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(folder)


@contextmanager
def busy_processors(count: int) -> Iterator[None]:
    """Endless loops beside the station."""
    loops = [
        subprocess.Popen([sys.executable, '-P', '-c', _BUSY], env=child_environment(os.environ), start_new_session=True)
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@contextmanager
def stranger(publish: Callable[[Node], None]) -> Iterator[None]:
    """A node that is not of the station publishes at 100 Hz."""
    context = Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = Node('stranger', context=context, start_parameter_services=False, enable_rosout=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    publish(node)
    thread = Thread(target=executor.spin, name='stranger', daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown()
        thread.join()
        node.destroy_node()  # type: ignore[no-untyped-call]
        context.try_shutdown()


def foreign_commands(node: Node) -> None:
    """Slew away, with a permit."""
    commands = node.create_publisher(m.MountCommand, 'mount/command', RELIABLE)
    permits = node.create_publisher(m.SafetyStatus, 'safety/status', RELIABLE)
    command = messages.mount_command(MountCommand(0, radians(-121), 0.5, 1e30), m.MountCommand.TRACKER)

    def send() -> None:
        commands.publish(command)
        permits.publish(m.SafetyStatus(motion_permitted=True, light_permitted=True))

    node.create_timer(0.01, send)


def foreign_states(node: Node) -> None:
    """Another pass, in a folder outside."""
    states = node.create_publisher(m.SessionState, 'session/state', RELIABLE)
    node.create_timer(0.01, lambda: states.publish(m.SessionState(phase=99, folder='../x')))


def shutdown_request(name: str) -> Callable[[Node], None]:
    """Ask a node to shut down, as `ros2 lifecycle set NAME shutdown` does."""

    def ask(node: Node) -> None:
        client = node.create_client(ChangeState, f'{name}/change_state')
        sent: list[Any] = []

        def send() -> None:
            if not sent and client.service_is_ready():
                transition = Transition(id=Transition.TRANSITION_ACTIVE_SHUTDOWN)
                sent.append(client.call_async(ChangeState.Request(transition=transition)))

        node.create_timer(0.05, send)

    return ask
