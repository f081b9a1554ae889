"""Replay node: plays a recorded pass on the bag's clock, and computes the tracking metrics from the replayed topics.

`station_clock` maps to the bag's time at the requested speed, so every node of the station follows it; `/clock` does so
for tools that use simulated time.  The recorded clocks and /parameter_events are not played.
"""

from __future__ import annotations

import importlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.duration import Duration
from rosgraph_msgs.msg import Clock

import qkd_gs.msg as m
from qkd_gs.errors import StationError
from qkd_gs.nodes.conversions import messages, qos
from qkd_gs.nodes.runtime import parameters
from qkd_gs.nodes.runtime.base import CoreNode
from qkd_gs.nodes.runtime.process import run
from qkd_gs.nodes.runtime.qos import SENSOR, TRANSIENT_LOCAL
from qkd_gs.nodes.runtime.station_metrics import StationMetrics
from qkd_gs.recording import Bag, ReplayComparison, compare_replay, open_bag, settings_of
from qkd_gs.recording.reader import Raw
from qkd_gs.settings.station import TrackingSettings
from qkd_gs.share import share_path
from qkd_gs.station.instance_lock import Held, stand_in
from qkd_gs.station.station_clock import ClockMapping
from qkd_gs.tracking.record.topics import STATE

_TICK_S = 0.005
_CLOCK_S = 0.05
_COURTESY_S = 1.0  # most subscribers have matched by then; nothing depends on it
_ACKNOWLEDGED_S = 30.0  # a subscriber that takes nothing for this time does not keep the replay from ending
_MOST_AT_ONCE = 200  # callbacks get their turn in between
_DEPTH = 1000
_IN_FLIGHT = _DEPTH // 2  # messages to this node's own metrics: more would be overwritten before they are received
_NOT_PLAYED = ('/clock', '/parameter_events', 'station_clock')


@dataclass(frozen=True)
class Played:
    """Result of a replay."""

    tracking: ReplayComparison
    messages: int
    topics: int
    seconds: float  # of real time
    bag_s: float

    @property
    def speed(self) -> float:
        """Seconds of the bag a second, as reached."""
        return self.bag_s / self.seconds if self.seconds else 0.0


class ReplayNode(CoreNode):
    """Plays a bag; bag and speed come from parameters or from the arguments."""

    name = 'replay'
    of_a_station = False

    def __init__(
        self,
        bag: Bag | None = None,
        speed: float | None = None,
        tracking: TrackingSettings | None = None,
        wait_for: Sequence[str] | None = None,
        alone: Held | None = None,
    ) -> None:
        super().__init__()
        self._alone = alone or stand_in(self.get_namespace())
        self.played: Played | None = None
        self.refused: StationError | None = None
        path = self._declare('bag', '', 'folder of a bag, or of a session with one in it')
        if bag is None and not path:
            raise StationError('no bag given', where='bag', hint='-p bag:=FOLDER')
        self._bag = bag or open_bag(Path(path))
        topics = self._declare('wait_for', '', 'topics that need a subscriber before the bag is played; commas between')
        self._speed = speed or float(self.options['speed'])
        if self._speed <= 0:
            raise StationError(f'{self._speed:g} is not above 0', where='speed')
        if self._bag.warning:
            self.get_logger().warning(self._bag.warning)
        self._tracking = tracking or settings_of(self._bag, self.station_path()).tracking
        self._metrics = StationMetrics(self.listen, self._tracking)
        self._players = {name: self._make_publisher(name) for name in self._bag.topics if _is_played(self._bag, name)}
        self._rows = self._bag.raw({name for name, made in self._players.items() if made is not None})
        self._next: Raw | None = next(self._rows, None)
        self._fed = {self._bag.absolute(topic) for topic in self._metrics.received}
        self._awaited = awaited(self._bag, wait_for if wait_for is not None else list(filter(None, topics.split(','))))
        self._expected = self._messages = 0
        self._clock_publisher = self.publisher(Clock, '/clock', SENSOR)
        self._station_clock = self.publisher(m.StationClock, 'station_clock', TRANSIENT_LOCAL)
        self._steps = self._sequence()
        self.every_real(_TICK_S, self._tick)
        self.every_real(_CLOCK_S, self._publish_clock)

    def _declare(self, name: str, value: str, description: str) -> str:
        descriptor = ParameterDescriptor(description=description, read_only=True)
        return str(parameters.declare_one(self, name, value, descriptor))

    def _make_publisher(self, name: str) -> Any:
        topic = self._bag.topics[name]
        package, group, kind = topic.type.split('/')
        try:
            message_type = getattr(importlib.import_module(f'{package}.{group}'), kind)
        except (ImportError, AttributeError):
            self.get_logger().warning(f'not played: {name}: type {topic.type} is not installed here')
            return None
        return self.create_publisher(message_type, name, qos.to_publish(topic.qos, _DEPTH))

    # --- sequence ---

    def _tick(self) -> None:
        next(self._steps, None)

    def _sequence(self) -> Iterator[None]:
        """Each step is one tick."""
        began_s = time.monotonic()
        yield from self._wait(lambda: self._metrics.matched and all(map(self._has_subscriber, self._awaited)))
        if not self._awaited:
            yield from self._wait(lambda: time.monotonic() - began_s > _COURTESY_S)
        self._start_clock()
        began_s = time.monotonic()
        while self._next is not None:
            self._publish(self.clock.now_ns())
            yield
        seconds = time.monotonic() - began_s
        yield from self._wait(lambda: not self._in_flight)
        if self._metrics.lost:
            self.get_logger().error(f'{self._metrics.lost} messages were lost: the figures are not those of the bag')
        yield from self._wait_until_acknowledged()
        tracking = compare_replay(self._bag, self._tracking, self._metrics.metrics())
        bag_s = (self._bag.end_ns - self._bag.start_ns) * 1e-9
        topics = sum(made is not None for made in self._players.values())
        self.played = Played(tracking, self._messages, topics, seconds, bag_s)
        self.get_logger().info(f'the bag has been played: {tracking.sentence}')
        signal.raise_signal(signal.SIGINT)  # ends the process like any other node

    def _stop_beside_another(self) -> None:
        """The lock covers this machine only; another publisher of the clock or the state is a station elsewhere."""
        if self.refused is None and max(self.count_publishers('station_clock'), self.count_publishers(STATE)) > 1:
            self.refused = StationError(
                'a station is running in this ROS domain', hint='stop it, or set another ROS_DOMAIN_ID'
            )
            self.get_logger().error(str(self.refused))
            self._steps = iter(())
            signal.raise_signal(signal.SIGINT)

    @staticmethod
    def _wait(until: Callable[[], bool]) -> Iterator[None]:
        while not until():
            yield

    def _has_subscriber(self, name: str) -> bool:
        """Whether a topic that is played has a subscriber besides this node."""
        player = self._players[name]
        return player is not None and bool(player.get_subscription_count() > (name in self._fed))

    @property
    def _in_flight(self) -> int:
        """Messages that this node's own metrics have not received yet."""
        return self._expected - sum(self._metrics.received.values()) - self._metrics.lost

    def _wait_until_acknowledged(self) -> Iterator[None]:
        """Until every subscriber has received the last messages."""
        end_s = time.monotonic() + _ACKNOWLEDGED_S
        for player in self._players.values():
            while player is not None and time.monotonic() < end_s:
                if player.wait_for_all_acked(Duration(seconds=_TICK_S)):
                    break
                yield

    def _start_clock(self) -> None:
        began_ns = time.monotonic_ns()
        message = messages.station_clock(ClockMapping(self._bag.start_ns, began_ns, self._speed), began_ns)
        self._set_clock(message)  # its own message would arrive later
        self._station_clock.publish(message)

    def _publish_clock(self) -> None:
        self._stop_beside_another()
        if self.clock.is_set:
            self._clock_publisher.publish(Clock(clock=messages.to_time(self.clock.now_ns())))

    def _publish(self, now_ns: int) -> None:
        for _ in range(_MOST_AT_ONCE):
            if self._next is None or self._next.t_ns > now_ns or self._in_flight >= _IN_FLIGHT:
                return
            self._players[self._next.topic].publish(self._next.data)
            self._messages += 1
            self._expected += self._next.topic in self._fed
            self._next = next(self._rows, None)


def awaited(bag: Bag, topics: Sequence[str]) -> list[str]:
    """Absolute names of topics that must have a subscriber.

    Raises
    ------
    StationError
        A topic is not played from this bag.
    """
    names = [bag.absolute(topic) for topic in topics]
    for name in names:
        if name not in bag.topics or not _is_played(bag, name):
            raise StationError(f'{name} is not played from this bag', where='wait_for')
    return names


def _is_played(bag: Bag, name: str) -> bool:
    return name not in [bag.absolute(one) for one in _NOT_PLAYED]


def replay(bag: Bag, speed: float, wait_for: Sequence[str] = ()) -> Played | None:
    """Play a bag in this process; None if it was stopped.

    Parameters
    ----------
    wait_for : sequence of str
        Topics that must have a subscriber before the bag is played.

    Raises
    ------
    StationError
        A station or another replay is running, a topic to wait for is not played, or the session that the bag lies in
        is damaged.
    """
    awaited(bag, wait_for)
    tracking = settings_of(bag, share_path('config', 'station.yaml')).tracking
    made: list[ReplayNode] = []

    namespace = bag.about.namespace.rstrip('/')
    with stand_in(namespace) as alone:

        def replay_node() -> ReplayNode:
            made.append(ReplayNode(bag, speed, tracking, wait_for, alone))
            return made[0]

        run(replay_node, ['qkd_gs', '--ros-args', *(['-r', f'__ns:={namespace}'] if namespace else [])])
    if made and made[0].refused is not None:
        raise made[0].refused
    return made[0].played if made else None


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(ReplayNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
