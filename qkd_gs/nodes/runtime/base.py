"""Base classes of all nodes: clock, settings, heartbeat, guarded callbacks.

rclpy swallows exceptions of lifecycle callbacks and ends the process on exceptions of any other callback.  Here both
are logged with their traceback and reported in the heartbeat, and a node that owns hardware goes to its error state.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import QoSProfile

import qkd_gs.msg as m
from qkd_gs.monitoring.node_faults import to_text
from qkd_gs.nodes.conversions import diagnostics
from qkd_gs.nodes.conversions.cdr import is_plain
from qkd_gs.nodes.runtime import parameters
from qkd_gs.nodes.runtime.authentic import Authentic, PlainPublisher, Refusals, SigningPublisher, is_signed
from qkd_gs.nodes.runtime.fault_reports import FaultReports
from qkd_gs.nodes.runtime.gathered import NEWEST, Gathered
from qkd_gs.nodes.runtime.heartbeat_values import loop_values, resident_mb
from qkd_gs.nodes.runtime.qos import AMONG_OTHERS, RELIABLE, TRANSIENT_LOCAL
from qkd_gs.nodes.runtime.real_time import CpuBudget
from qkd_gs.nodes.runtime.schedule import Periodic, Schedule
from qkd_gs.share import share_path
from qkd_gs.station.authenticity import station_key
from qkd_gs.station.instance_lock import take_part
from qkd_gs.station.loop_timing import LoopWatch
from qkd_gs.station.options import OF_THE_GRAPH, OPTIONS, Value, state_folder
from qkd_gs.station.station_clock import ClockMapping, StationClock

# real-time priorities: of what moves the axes; of the 100 Hz loop; of images that take longer than its period to look
# at; of other hardware
MOVING, IN_THE_LOOP, BESIDE_THE_LOOP, IN_TIME = 20, 18, 14, 10

_OVER_BUDGET = 'node.over_budget'  # fault
STRANGER = 'node.stranger'  # fault: somebody who is not of this station publishes on its topics
_COMMANDS = (m.MountCommand, m.BeaconCommand, m.SafetyStatus)  # an old one must not count, however it was delayed
_FRESH_NS = 500_000_000

ABORT_PASS = 'abort_pass'  # service of the tracker
ABORT_EVENING = 'abort_evening'  # service of the evening
BY_OPERATOR = 'aborted by the operator'

_HEARTBEAT_S = 1.0
_FIRST_S = 0.1  # the first heartbeats come early, since the monitor waits for a new process
_FIRST_BEATS = 5
OK, WARN, ERROR = (level[0] for level in (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR))
_SLEW = 2e-3  # a speed that differs by less is the same for timers: UTC is slewed by less


class StationMixin(FaultReports):
    """Station functions of a node; mixed into rclpy's `Node` or `LifecycleNode`, whose constructor comes first."""

    name: ClassVar[str]
    winding_down = False
    finalized = False  # shut down by a lifecycle transition: the process ends, and is started again
    of_a_station: ClassVar[bool] = True  # False: it may run beside a pass that is played
    priority: ClassVar[int] = 0  # real-time, where the rights allow it: of those, the higher one goes first

    def begin_station(self) -> None:
        """Declare the options, find the clock, start the heartbeat.

        Raises
        ------
        StationError
            An option that does not fit, or a recorded pass is played in this ROS domain.
        """
        FaultReports.__init__(self)
        node: Any = self
        self._part = take_part(node.get_namespace()) if self.of_a_station else None
        self.options: dict[str, Value] = {
            one.name: parameters.declare_one(
                node, one.name, one.default, ParameterDescriptor(description=one.description, read_only=True)
            )
            for one in OPTIONS
            if one.name not in OF_THE_GRAPH
        }
        self.simulated = self._has_simulated_devices()
        self._key = station_key(self.state_dir) if self.of_a_station else b''
        self._refusals = Refusals()
        self.clock = StationClock(must_be_set=True)
        self._clock_message: m.StationClock | None = None
        self.schedule = Schedule()
        self._timers_made: dict[int, tuple[float, Callable[[int], None], LoopWatch | None, Periodic | None]] = {}
        self._gathered: list[Gathered] = []
        self._started_s = time.monotonic()
        self._cpu_s, self._cpu_at_s = time.process_time(), time.monotonic()
        self.warning = self.note = ''  # what needs attention, or is of interest, although the node works
        self.metrics: dict[str, str] = {}
        self._diagnostics = node.create_publisher(DiagnosticArray, '/diagnostics', RELIABLE)
        self.listen(m.StationClock, 'station_clock', self._set_clock, TRANSIENT_LOCAL)
        self.every_real(_HEARTBEAT_S, self._beat)
        self._first_beats = 0
        self._early_beats = self.every_real(_FIRST_S, self._early_heartbeat)

    def _has_simulated_devices(self) -> bool:
        from qkd_gs.devices.devices_file import load_devices

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
        """Folder of the pointing model and other persistent state."""
        return state_folder(self.text('state_dir'), self.simulated)

    def elements_path(self) -> Path:
        """File of the orbit."""
        return Path(self.text('elements') or share_path('config', 'elements', 'micius.tle'))

    def station_path(self) -> Path:
        """File of the station's settings."""
        return Path(self.text('station') or share_path('config', 'station.yaml'))

    # --- messages ---

    def listen(
        self, kind: type, topic: str, take: Callable[[Any], None], qos: QoSProfile = RELIABLE, **more: Any
    ) -> Any:
        """Subscribe; what goes wrong in `take` is told, not swallowed.  `more` is for rclpy.

        Of a type that carries a proof of its origin only authentic messages are taken.
        """
        node: Any = self
        if self._verifies(kind):
            check = self._authentic(take, kind, topic).take
            return node.create_subscription(kind, topic, check, qos, raw=True, **more)
        return node.create_subscription(kind, topic, self.guarded(take, (take, topic)), qos, **more)

    def gather(
        self,
        kind: type,
        topic: str,
        take: Callable[[Any], None],
        qos: QoSProfile = RELIABLE,
        raw: bool = False,
        **more: Any,
    ) -> Any:
        """Subscribe without being woken: messages are taken before the work of the node's next timer.

        Of a type that carries a proof of its origin only authentic messages are taken; of others `take` gets the
        serialized form with `raw`.
        """
        node: Any = self
        if not self._verifies(kind):
            guarded = self.guarded(take, (take, topic))
            receive = (lambda data, _: guarded(data)) if raw else guarded
            gathered = Gathered(node, kind, topic, receive, qos, raw, **more)
        elif qos is NEWEST:  # what strangers send meanwhile would drive it out of a queue of one
            found = self._authentic(take, kind, topic)
            gathered = Gathered(
                node, kind, topic, lambda data, _: found.keep(data), AMONG_OTHERS, True, found.take_newest, **more
            )
        else:
            found = self._authentic(take, kind, topic)
            gathered = Gathered(node, kind, topic, lambda data, _: found.take(data), qos, True, **more)
        self._gathered.append(gathered)
        return gathered.subscription

    def gather_no_more(self, subscription: Any) -> None:
        """End a subscription made by `gather`."""
        (ended,) = (gathered for gathered in self._gathered if gathered.subscription is subscription)
        self._gathered.remove(ended)
        ended.destroy()

    def fetch(self) -> None:
        """Take the messages of all subscriptions made by `gather`."""
        for gathered in self._gathered:
            gathered.fetch()

    def destroy_node(self) -> None:
        """Leave the graph."""
        while self._gathered:
            self._gathered.pop().destroy()
        super().destroy_node()  # type: ignore[misc]
        if self._part is not None:
            self._part.close()

    def publisher(self, kind: type, topic: str, qos: QoSProfile = RELIABLE) -> Any:
        """Publisher of a topic; it signs messages of a type that carries a proof of its origin."""
        node: Any = self
        publisher = node.create_publisher(kind, topic, qos)
        if self._verifies(kind):
            return SigningPublisher(publisher, self._key)
        ours = kind.__module__.startswith(f'{m.__name__}.')
        return PlainPublisher(publisher) if ours and is_plain(kind) else publisher

    def _verifies(self, kind: type) -> bool:
        return self.of_a_station and is_signed(kind)

    def _authentic(self, take: Callable[[Any], None], kind: type, topic: str) -> Authentic:
        node: Any = self
        fresh_ns = _FRESH_NS if kind in _COMMANDS else None
        name = node.resolve_topic_name(topic)
        guarded = self.guarded(take, (take, topic))
        return Authentic(guarded, kind, name, self._key, fresh_ns, self.clock.age_ns, self._refusals)

    # --- time ---

    def every(self, period_s: float, work: Callable[[int], None], watch: LoopWatch | None = None) -> int:
        """Call ``work(now_ns)`` every `period_s` of station time; returns a number for `cease`."""
        number = max(self._timers_made, default=0) + 1
        self._timers_made[number] = (period_s, work, watch, None)
        self._make_timer(number)
        return number

    def every_real(self, period_s: float, work: Callable[[], object]) -> Periodic:
        """Call `work` every `period_s` of real time, whatever the speed of station time."""
        return self.schedule.add(time.monotonic(), period_s, self.guarded(work))

    def cease(self, number: int) -> None:
        """Cancel a periodic call; a fault of it is over, since nobody does that work any more."""
        _, work, _, call = self._timers_made.pop(number)
        if call is not None:
            self.schedule.remove(call)
        self.end_reports(work)

    def _make_timer(self, number: int) -> None:
        period_s, work, watch, call = self._timers_made[number]
        if call is not None:
            self.schedule.remove(call)
            call = None
        if self.clock.is_set and self.clock.speed > 0:

            def tick() -> None:
                now_ns = self.clock.now_ns()
                if watch is None:
                    self.fetch()
                    work(now_ns)
                    return
                watch.step(now_ns)
                began = time.perf_counter()
                self.fetch()
                work(now_ns)
                watch.busy(time.perf_counter() - began)

            call = self.schedule.add(time.monotonic(), period_s / self.clock.speed, self.guarded(tick, work))
        self._timers_made[number] = (period_s, work, watch, call)

    def _set_clock(self, message: m.StationClock) -> None:
        if message == self._clock_message:
            return
        self._clock_message = message
        was_set, speed = self.clock.is_set, self.clock.speed
        self.clock.set(ClockMapping(message.epoch_ns, message.monotonic_ns, message.speed), message.began_ns)
        same_speed = was_set and abs(self.clock.speed - speed) < _SLEW * speed
        for number in list(self._timers_made):
            watch = self._timers_made[number][2]
            if watch is not None:
                watch.pause()
            if not same_speed:
                self._make_timer(number)
        self.on_clock_set()

    def on_clock_set(self) -> None:
        """Called when the clock is set or its mapping changes."""

    # --- faults ---

    def say_priority(self, budget: CpuBudget) -> None:
        """The process has been without its real-time priority for some time, or has it again."""
        if budget.over:
            words = 'computes too much for a real-time process, goes on with normal priority'
            self.degraded(_OVER_BUDGET, f'{words}: {budget.used:.0%} of a processor in the last second')
        else:
            self.recovered(_OVER_BUDGET)

    # --- heartbeat ---

    @property
    def state_label(self) -> str:
        """Lifecycle state, 'active' for a node without."""
        return 'active'

    def own_values(self) -> dict[str, str]:
        """Values that a kind of node adds to its heartbeat."""
        return {}

    def own_warning(self) -> str:
        """Sentence on troubles with which the node still works; '' if there is none."""
        return self.warning

    def _beat(self) -> None:
        refused = self._refusals.report()
        if refused:
            self.degraded(STRANGER, refused)
        else:
            self.recovered(STRANGER)
        self.heartbeat()

    def heartbeat(self) -> None:
        """Tell how the node does."""
        node: Any = self
        now_s, cpu_s = time.monotonic(), time.process_time()
        share = (cpu_s - self._cpu_s) / max(now_s - self._cpu_at_s, 1e-3)
        if now_s - self._cpu_at_s > _HEARTBEAT_S / 2:
            self._cpu_s, self._cpu_at_s = cpu_s, now_s
        faults = self.faults.present(now_s)
        values = {
            'state': self.state_label,
            'fault': faults[0].code if faults else '',
            'faults': to_text(faults),
            'pid': str(os.getpid()),
            'namespace': node.get_namespace(),
            'cpu_percent': f'{100 * share:.1f}',
            'memory_mb': f'{resident_mb():.0f}',
            'up_s': f'{now_s - self._started_s:.1f}',
        } | self.own_values()
        for number, (period_s, _, watch, _) in self._timers_made.items():
            if watch is not None:
                values |= loop_values(period_s, watch, '' if number == 1 else f'_{number}')
        warning = self.own_warning()
        status = diagnostics.Status(
            ERROR if faults else WARN if warning else OK,
            f'{self.name}: {self.name.replace("_", " ")}',
            (faults[0].message if faults else warning or self.note) or self.state_label,
            self.name,
            values | self.metrics,
        )
        self._diagnostics.publish(diagnostics.written(time.time_ns(), status))

    def _early_heartbeat(self) -> None:
        self._first_beats += 1
        if self._first_beats >= _FIRST_BEATS:
            self.schedule.remove(self._early_beats)
        self.heartbeat()

    def wind_down(self) -> None:
        """The process was asked to end: start whatever takes time."""

    @property
    def may_end(self) -> bool:
        """Whether the process may end now; polled for some seconds at most."""
        return True

    def finish(self) -> None:
        """The process ends: stop all motion and light; may be called repeatedly."""


class CoreNode(StationMixin, Node):  # type: ignore[misc]
    """A node without hardware."""

    def __init__(self) -> None:
        Node.__init__(self, self.name)
        self.begin_station()
