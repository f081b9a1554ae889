"""Client that collects the status of a running station; not a node of the station, it publishes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions

import qkd_gs.msg as m
from qkd_gs.monitoring.readiness import Level
from qkd_gs.monitoring.snapshot import Snapshot
from qkd_gs.monitoring.status_collector import StatusCollector
from qkd_gs.nodes.conversions import messages, monitoring, scene
from qkd_gs.nodes.conversions.cdr import Codec, is_plain
from qkd_gs.nodes.runtime.gathered import Gathered
from qkd_gs.nodes.runtime.qos import DEEP, RELIABLE, TRANSIENT_LOCAL
from qkd_gs.station.dds_profile import on_this_machine_alone, use_loopback_profile
from qkd_gs.station.instance_lock import station_runs
from qkd_gs.station.signals import signals_afterwards
from qkd_gs.station.station_clock import ClockMapping, StationClock

_AGAIN_S = 10.0  # between two warnings about a topic
_LONGEST_S = 0.1  # after at most this time a signal is noticed


class StationListener:
    """Collects everything that a status view shows, until `close`.

    Parameters
    ----------
    namespace : str
        Of the station; empty: none.
    """

    def __init__(self, namespace: str = '') -> None:
        use_loopback_profile()
        self._namespace = namespace
        self._board = StatusCollector()
        self._clock = StationClock(must_be_set=False)  # the machine's own time, until a station publishes its clock
        self._context = Context()
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node(
            'watch',
            namespace=namespace,
            context=self._context,
            start_parameter_services=False,
            enable_rosout=False,
        )
        self._gathered: list[Gathered] = []
        board = self._board
        self._listen(m.StationClock, 'station_clock', self._set_clock, TRANSIENT_LOCAL)
        self._gather(DiagnosticArray, '/diagnostics', self._take_heartbeats)
        self._listen(DiagnosticStatus, 'readiness', self._take_readiness, TRANSIENT_LOCAL)
        self._listen(
            m.NextPass, 'next_pass', lambda got: board.update_coming(messages.from_next_pass(got)), TRANSIENT_LOCAL
        )
        self._gather(m.Target, 'target', lambda got: board.update_target(scene.seen(got)))
        self._gather(
            m.SessionState, 'session/state', lambda got: board.update_session(monitoring.from_session_state(got))
        )
        self._listen(m.Counts, 'detector/counts', lambda got: board.update_counts(messages.from_counts(got)))
        self._listen(
            m.KeyState, 'key/state', lambda got: board.update_key(monitoring.from_key_state(got)), TRANSIENT_LOCAL
        )
        self._executor = EventsExecutor(context=self._context)
        self._executor.add_node(self._node)

    def listen(self, seconds: float) -> Snapshot:
        """Receive messages for `seconds` of real time; returns the present status."""
        until_s = time.monotonic() + seconds
        with signals_afterwards() as came:
            while not came and (left_s := until_s - time.monotonic()) > 0:
                self._executor.spin_once(timeout_sec=min(left_s, _LONGEST_S))
                for gathered in self._gathered:
                    gathered.fetch()
        return self._board.snapshot(self._clock.now_ns(), time.monotonic(), self._clock.speed)

    def listen_until(
        self, done: Callable[[Snapshot], bool], see: Callable[[Snapshot], object], step_s: float
    ) -> Snapshot:
        """Listen until the status is as wanted, however long that takes; returns that status.

        Parameters
        ----------
        done : callable
            Whether a status is the one that is waited for.
        see : callable
            Called with every status; to end the waiting for another reason, it raises.
        step_s : float
            Of real time, between two of them.
        """
        while True:
            snapshot = self.listen(step_s)
            see(snapshot)
            if done(snapshot):
                return snapshot

    @property
    def gone(self) -> bool:
        """Whether it is certain that no process of the station runs; never where it may run on another machine."""
        return on_this_machine_alone() and not station_runs(self._namespace)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        while self._gathered:
            self._gathered.pop().destroy()
        self._node.destroy_node()
        self._context.try_shutdown()

    def _listen(self, kind: type, topic: str, take: Callable[[Any], None], qos: QoSProfile = RELIABLE) -> None:
        self._node.create_subscription(kind, topic, self._tolerant(take, topic), qos)

    def _gather(self, kind: Any, topic: str, take: Callable[[Any], None]) -> None:
        """Subscribe to what comes often: it wakes nobody, and is read as `Codec` does, or by `take`."""
        read = Codec(kind).decode if is_plain(kind) else bytes
        receive = self._tolerant(lambda data: take(read(data)), topic)
        self._gathered.append(Gathered(self._node, kind, topic, lambda data, _: receive(data), DEEP, True))

    def _tolerant(self, take: Callable[[Any], None], topic: str) -> Callable[[Any], None]:
        def receive(message: Any) -> None:
            try:
                take(message)
            except (ValueError, ArithmeticError) as error:  # whoever sent it is not a node of a station
                self._node.get_logger().warning(f'nonsense on {topic}: {error}', throttle_duration_sec=_AGAIN_S)

        return receive

    def _set_clock(self, message: m.StationClock) -> None:
        self._clock.set(ClockMapping(message.epoch_ns, message.monotonic_ns, message.speed), message.began_ns)

    def _take_heartbeats(self, data: bytes) -> None:
        for health in monitoring.from_diagnostics(data, self._namespace):
            self._board.update_node(health, time.monotonic())

    def _take_readiness(self, message: DiagnosticStatus) -> None:
        self._board.update_readiness(monitoring.from_readiness(message), time.monotonic())


def is_ready(snapshot: Snapshot) -> bool:
    """Whether the monitor calls the station ready."""
    return snapshot.readiness.level is Level.OK
