"""What every node of the station has: clock, settings, heartbeat, guarded callbacks.

rclpy swallows what goes wrong in a lifecycle callback and ends the process at what goes wrong in any other.  Here both
are logged with their traceback and told in the heartbeat, and a node that owns hardware goes to its error state.
"""

from __future__ import annotations

import os
import resource
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

import qkd_gs.msg as m
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime import parameters
from qkd_gs.share import share_path
from qkd_gs.station.loop_timing import LoopWatch
from qkd_gs.station.options import OF_THE_GRAPH, OPTIONS, Value, state_folder
from qkd_gs.station.station_clock import Latched, StationClock

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
PICTURES = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
SENSOR = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)

IN_THE_LOOP, IN_TIME = 20, 10  # priorities: of the 100 Hz loop; of other hardware that must not wait

ABORT_PASS = 'abort_pass'  # a service of the tracker

_HEARTBEAT_S = 1.0
_FIRST_S = 0.1  # a new process is waited for: the first heartbeats come as soon as somebody may have discovered it
_FIRST_BEATS = 5
_REPEAT_S = 5.0  # the same complaint is logged once in so long
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR

F = TypeVar('F', bound=Callable[..., Any])


class StationMixin:
    """The station's part of a node; beside rclpy's `Node` or `LifecycleNode`, whose constructor comes first."""

    name: ClassVar[str]
    winding_down = False
    priority: ClassVar[int] = 0  # real-time, where the rights allow it: of those, the higher one goes first

    def begin_station(self) -> None:
        """Declare the options, find the clock, start the heartbeat."""
        node: Any = self
        self.options: dict[str, Value] = {
            one.name: parameters.declare_one(
                node, one.name, one.default, ParameterDescriptor(description=one.description, read_only=True)
            )
            for one in OPTIONS
            if one.name not in OF_THE_GRAPH
        }
        self.simulated = self._has_simulated_devices()
        self.clock = StationClock(self.simulated)
        self._clock_told: m.StationClock | None = None
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timers_made: dict[int, tuple[float, Callable[[int], None], LoopWatch | None, Any]] = {}
        self._complained: dict[str, float] = {}
        self._started_s = time.monotonic()
        self._cpu_s, self._cpu_at_s = time.process_time(), time.monotonic()
        self.level, self.message, self.fault = OK, '', ''
        self.figures: dict[str, str] = {}
        self._diagnostics = node.create_publisher(DiagnosticArray, '/diagnostics', RELIABLE)
        if self.simulated:
            self.listen(m.StationClock, 'station_clock', self._latch, LATCHED)
        node.create_timer(_HEARTBEAT_S, self.guarded(self.heartbeat), clock=self._steady)
        self._first_beats = 0
        self._first_timer = node.create_timer(_FIRST_S, self.guarded(self._first_heartbeat), clock=self._steady)

    def _has_simulated_devices(self) -> bool:
        from qkd_gs.devices.registry import load_devices

        self.devices = load_devices(str(self.options['devices']))
        return self.devices.simulated

    # --- options and settings ---

    def text(self, name: str) -> str:
        """An option as text."""
        return str(self.options[name])

    @property
    def sessions_dir(self) -> Path:
        """Folder of all sessions."""
        return Path(self.text('sessions_dir'))

    @property
    def state_dir(self) -> Path:
        """Folder of what the station learns."""
        return state_folder(self.text('state_dir'), self.simulated)

    def elements_path(self) -> Path:
        """File of the orbit."""
        return Path(self.text('elements') or share_path('config', 'elements', 'micius.tle'))

    def station_path(self) -> Path:
        """File of the station's settings."""
        return Path(self.text('station') or share_path('config', 'station.yaml'))

    # --- messages ---

    def listen(self, kind: type, topic: str, take: Callable[[Any], None], qos: QoSProfile = RELIABLE) -> None:
        """Subscribe; what goes wrong in `take` is told, not swallowed."""
        node: Any = self
        node.create_subscription(kind, topic, self.guarded(take), qos)

    def publisher(self, kind: type, topic: str, qos: QoSProfile = RELIABLE) -> Any:
        """Publisher of a topic."""
        node: Any = self
        return node.create_publisher(kind, topic, qos)

    # --- time ---

    def every(self, period_s: float, work: Callable[[int], None], watch: LoopWatch | None = None) -> int:
        """Call ``work(now_ns)`` each `period_s` of station time; the number is for `cease`."""
        number = max(self._timers_made, default=0) + 1
        self._timers_made[number] = (period_s, work, watch, None)
        self._make_timer(number)
        return number

    def cease(self, number: int) -> None:
        """Call it no more."""
        node: Any = self
        *_, timer = self._timers_made.pop(number)
        if timer is not None:
            node.destroy_timer(timer)

    def _make_timer(self, number: int) -> None:
        node: Any = self
        period_s, work, watch, timer = self._timers_made[number]
        if timer is not None:
            node.destroy_timer(timer)
            timer = None
        if self.clock.latched and self.clock.speed > 0:

            def tick() -> None:
                if number not in self._timers_made:  # ceased while it waited for its turn
                    return
                now_ns = self.clock.now_ns()
                if watch is None:
                    work(now_ns)
                    return
                watch.step(now_ns)
                began = time.perf_counter()
                work(now_ns)
                watch.busy(time.perf_counter() - began)

            timer = node.create_timer(period_s / self.clock.speed, self.guarded(tick), clock=self._steady)
        self._timers_made[number] = (period_s, work, watch, timer)

    def _latch(self, message: m.StationClock) -> None:
        if message == self._clock_told:
            return
        self._clock_told = message
        self.clock.latch(Latched(message.epoch_ns, message.monotonic_ns, message.speed), message.began_ns)
        for number in list(self._timers_made):
            watch = self._timers_made[number][2]
            if watch is not None:
                watch.pause()
            self._make_timer(number)
        self.clock_set()

    def clock_set(self) -> None:
        """Station time can be told from now on, or goes on differently; for nodes that wait for it."""

    # --- what goes wrong ---

    def guarded(self, work: F) -> F:
        """`work`, with everything that goes wrong in it logged and told."""

        def call(*arguments: Any) -> Any:
            try:
                return work(*arguments)
            except DeviceFault as fault:
                self.complain(fault.code, str(fault))
            except StationError as error:
                self.complain('node.refused', str(error))
            except Exception as error:  # noqa: BLE001  the one place where nothing may get past
                self.complain('node.error', f'{type(error).__name__}: {error}', traceback.format_exc())
            return None

        return call  # type: ignore[return-value]

    def complain(self, code: str, message: str, trace: str = '') -> None:
        """Log it (a repeated one now and then) and tell it in the heartbeat."""
        node: Any = self
        now_s = time.monotonic()
        if now_s - self._complained.get(code, -_REPEAT_S) >= _REPEAT_S:
            self._complained[code] = now_s
            node.get_logger().error(f'{message}\n{trace}' if trace else message)
        told = self.fault == code
        self.fault, self.level, self.message = code, ERROR, message
        if not told:
            self.heartbeat()

    def all_well(self, message: str = '') -> None:
        """What was wrong is over."""
        self.fault, self.level, self.message = '', OK, message

    # --- heartbeat ---

    @property
    def state_label(self) -> str:
        """Lifecycle state, 'active' for a node without."""
        return 'active'

    def own_values(self) -> dict[str, str]:
        """What a kind of node adds to its heartbeat."""
        return {}

    def heartbeat(self) -> None:
        """Tell how the node does."""
        now_s, cpu_s = time.monotonic(), time.process_time()
        share = (cpu_s - self._cpu_s) / max(now_s - self._cpu_at_s, 1e-3)
        if now_s - self._cpu_at_s > _HEARTBEAT_S / 2:
            self._cpu_s, self._cpu_at_s = cpu_s, now_s
        values = {
            'state': self.state_label,
            'fault': self.fault,
            'pid': str(os.getpid()),
            'cpu_percent': f'{100 * share:.1f}',
            'memory_mb': f'{_resident_mb():.0f}',
            'up_s': f'{now_s - self._started_s:.1f}',
        } | self.own_values()
        for number, (period_s, _, watch, _) in self._timers_made.items():
            if watch is not None:
                values |= _loop_values(period_s, watch, '' if number == 1 else f'_{number}')
        status = DiagnosticStatus(
            level=self.level,
            name=f'{self.name}: {self.name.replace("_", " ")}',
            message=self.message or self.state_label,
            hardware_id=self.name,
            values=[KeyValue(key=key, value=value) for key, value in (values | self.figures).items()],
        )
        self._diagnostics.publish(DiagnosticArray(header=messages.header(time.time_ns()), status=[status]))

    def _first_heartbeat(self) -> None:
        node: Any = self
        self._first_beats += 1
        if self._first_beats >= _FIRST_BEATS:
            node.destroy_timer(self._first_timer)
        self.heartbeat()

    def wind_down(self) -> None:
        """The process was told to end: begin to, if that takes time."""

    @property
    def may_end(self) -> bool:
        """Whether nothing is left to be done first; asked while the node goes on, for some seconds at most."""
        return True

    def finish(self) -> None:
        """The process ends: stop what moves and shines; any number of times."""


class CoreNode(StationMixin, Node):  # type: ignore[misc]
    """A node without hardware."""

    def __init__(self) -> None:
        Node.__init__(self, self.name)
        self.begin_station()


def conclude(goal: Any, result: Any) -> None:
    """End an action's goal with a result that carries `error_code`."""

    def end(goal: Any) -> Any:
        if goal.is_cancel_requested:
            goal.canceled()
        elif result.error_code:
            goal.abort()
        else:
            goal.succeed()
        return result

    goal.execute(end)


def _loop_values(period_s: float, watch: LoopWatch, end: str) -> dict[str, str]:
    loop = watch.figures()
    values = {
        f'loop{end}_hz': f'{1 / period_s:g}',
        f'loop{end}_steps': str(loop.steps),
        f'loop{end}_missed': str(loop.missed),
    }
    for what, triple in (('period', loop.period_ms), ('latency', loop.latency_ms), ('busy', loop.busy_ms)):
        if triple[0] == triple[0]:
            values[f'loop{end}_{what}_ms'] = ' '.join(f'{value:.2f}' for value in triple)
    return values


def _resident_mb() -> float:
    with open('/proc/self/statm', encoding='ascii') as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6
