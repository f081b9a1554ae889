"""Monitor node: manages node lifecycles, publishes the readiness and the safety status."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from math import inf, isfinite, nan, pi, radians

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from std_msgs.msg import UInt8
from std_srvs.srv import Trigger

import qkd_gs.msg as m
from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.devices.mount import MountReading
from qkd_gs.monitoring.health import NodeHealth, faults_of, health_of
from qkd_gs.monitoring.load import Load
from qkd_gs.monitoring.loops import Loop
from qkd_gs.monitoring.readiness import ComingPass, Facts, readiness
from qkd_gs.monitoring.tag_watch import TagWatch, size_of_tags
from qkd_gs.monitoring.untold_faults import UntoldFaults
from qkd_gs.nodes.conversions import messages, monitoring
from qkd_gs.nodes.runtime.base import ABORT_PASS, IN_THE_LOOP, CoreNode
from qkd_gs.nodes.runtime.context import site_of, station_of
from qkd_gs.nodes.runtime.gathered import NEWEST
from qkd_gs.nodes.runtime.process import run
from qkd_gs.nodes.runtime.qos import TRANSIENT_LOCAL
from qkd_gs.nodes.runtime.surroundings import Surroundings
from qkd_gs.orbit.sky import sun_at
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import FILE_NAME, load_pointing
from qkd_gs.safety.enclosure import DOME_CLOSED, Demand
from qkd_gs.safety.laser.laser_safety import LaserSafety
from qkd_gs.safety.supervisor import STUCK_ON, SafetyStatus, Supervisor, SupervisorInputs
from qkd_gs.session.manifest import session_path
from qkd_gs.station.clock_discipline import ClockDiscipline, StoredMapping, read_clocks
from qkd_gs.station.graph import nodes_of, strangers
from qkd_gs.station.instance_lock import acquire_instance_lock
from qkd_gs.station.lifecycle_manager import LifecycleManager
from qkd_gs.station.loop_timing import LoopWatch
from qkd_gs.station.topics import COMMANDS
from qkd_gs.tracking.control.parking import rests_near_park
from qkd_gs.tracking.types import MountTask, Phase

_SAFETY_S = 0.05
_LIFECYCLE_S = 0.25  # of real time
_READINESS_S = 1.0
_TAGS_S = 0.25
_STRANGERS_S = 2.0
_CLOCK_S = 0.5
_COARSE_RAD = radians(0.5)
_COMPASS_RAD = pi  # it may have been misread
_UNATTENDED_NS = 2_000_000_000  # without a command nobody moves the mount
_READING_NS = 500_000_000  # a reading of the mount that is older says nothing of where it is
_PROCESSORS = len(os.sched_getaffinity(0))

_CLOCK_SET = 'monitor.clock_set'  # fault: station time does not follow the machine's clock


class MonitorNode(CoreNode):
    """Supervises the station independently of the tracker, from the devices' own readings."""

    name = 'monitor'
    priority = IN_THE_LOOP

    def __init__(self) -> None:
        self._untold = UntoldFaults()  # before the first heartbeat
        super().__init__()
        self._instance_lock = acquire_instance_lock(self.get_namespace())
        self._station, self._site = station_of(self), site_of(self)
        specs = nodes_of(self.simulated, bool(self.options['record']))
        self._expected = [spec.name for spec in specs if spec.name != self.name]
        self._lifecycle = LifecycleManager(spec.name for spec in specs if spec.lifecycle)
        self._changers = {
            spec.name: self.create_client(ChangeState, f'{spec.name}/change_state') for spec in specs if spec.lifecycle
        }
        self._heartbeats: dict[str, tuple[float, dict[str, str], str]] = {}
        self._pointing_mtime, self._follow_pointing = -1.0, self.guarded(self._update_pointing)
        self._laser = LaserSafety(self._station, self._site)
        self._surroundings = Surroundings(self, self._station, self._laser)
        self._abort = self.create_client(Trigger, ABORT_PASS)
        self._broken_off = ''
        self._model = MountModel()
        self._supervisor = Supervisor(
            self._station, self._model, lambda t_ns: sun_at(self._site, t_ns), self._laser, pi
        )
        self._calibrated = False
        self._mount: MountReading | None = None
        self._beacon: BeaconReading | None = None
        self._control_ns: int | None = None  # when a command has come last
        self._began_ns = self.clock.steady_ns()
        self._safety: SafetyStatus | None = None
        self._phase, self._el_rad, self._sun_near_s = Phase.IDLE, nan, inf
        self._session_folder, self._session_s = '', time.monotonic()
        self._tag_watch, self._tags = TagWatch(self._station.detectors.dead_time_ns), ''
        self._strangers = ''
        self._troubled_s: dict[str, float] = {}  # since when a node does not work
        self._coming: ComingPass | None = None
        self._unheard = {'session/state', 'calibrator/busy', 'next_pass'}
        self._task = MountTask.NONE
        self._making_key = ''
        self._safety_statuses = self.publisher(m.SafetyStatus, 'safety/status')
        self._ready = self.publisher(DiagnosticStatus, 'readiness', TRANSIENT_LOCAL)
        self._load, self._loads = Load(), self.publisher(UInt8, 'load', TRANSIENT_LOCAL)
        self._loads.publish(UInt8(data=self._load.stage))
        self._paced = self.simulated and float(self.options['speed']) == 0.0  # then time follows the machine
        self._listen()
        if not self.simulated:
            self._keep_clock()
        self.every(_SAFETY_S, self._supervise, LoopWatch(_SAFETY_S))
        self.every_real(_LIFECYCLE_S, self._manage_lifecycles)
        self.every_real(_READINESS_S, self._publish_readiness)
        self.every_real(_STRANGERS_S, self._look_for_strangers)
        self.every_real(_TAGS_S, self._watch_tags)

    def _listen(self) -> None:
        self.listen(DiagnosticArray, '/diagnostics', self._take_heartbeats, raw=True)
        self.gather(m.MountState, 'mount/state', self._take_mount, NEWEST)
        self.gather(m.BeaconState, 'beacon/state', self._take_beacon, NEWEST)
        self.gather(m.MountCommand, 'mount/command', self._take_command, NEWEST)
        self.gather(m.SessionState, 'session/state', self._take_session, NEWEST)
        self.gather(m.Counts, 'detector/counts', self._take_counts)
        self.listen(m.NextPass, 'next_pass', self._take_next, TRANSIENT_LOCAL)
        self.listen(m.KeyState, 'key/state', self._take_key, TRANSIENT_LOCAL)
        self.listen(UInt8, 'calibrator/busy', self._take_task, TRANSIENT_LOCAL)

    def finish(self) -> None:
        """The process ends: close the shutter."""
        self._surroundings.close(self.clock.now_ns() if self.clock.is_set else 0)

    @property
    def may_end(self) -> bool:
        """Whether no pass needs the safety status any more."""
        return self._phase is Phase.IDLE

    # --- station time with real devices ---

    def _keep_clock(self) -> None:
        self._stored_mapping = StoredMapping(self.state_dir)
        mapping, damage = self._stored_mapping.load()
        if damage:
            self.get_logger().error(damage)
        self._discipline = ClockDiscipline(mapping)
        self._clocks = self.publisher(m.StationClock, 'station_clock', TRANSIENT_LOCAL)
        self._publish_clock()
        self.every_real(_CLOCK_S, self._discipline_clock)

    def _publish_clock(self) -> None:
        message = messages.station_clock(self._discipline.mapping, 0)
        self._set_clock(message)  # a process may not receive its own message
        self._clocks.publish(message)
        self.guarded(self._stored_mapping.save)(self._discipline.mapping)

    def _discipline_clock(self) -> None:
        before, idle = self._discipline.mapping, self._phase is Phase.IDLE and self._task is MountTask.NONE
        warning = self._discipline.step(*read_clocks(), may_jump=idle)
        if warning:
            self.get_logger().warning(warning)
        if self._discipline.held_ns:
            off_s = self._discipline.held_ns * 1e-9
            words = f'the clock of this machine was set by {off_s:+.3f} s, station time goes on as before'
            self.degraded(_CLOCK_SET, words)
        else:
            self.recovered(_CLOCK_SET)
        if self._discipline.mapping is not before:
            self._publish_clock()

    # --- subscriptions ---

    def _take_heartbeats(self, data: bytes) -> None:
        for name, values, told in monitoring.heartbeats(data, self.get_namespace()):
            if name in self._expected:
                now_s = time.monotonic()
                self._heartbeats[name] = now_s, values, told
                self._untold.hear(name, faults_of(values, told))
                pid, state, fault = int(values.get('pid') or 0), values.get('state', ''), values.get('fault', '')
                by_operator, taken = values.get('deactivated_by_operator') == 'true', int(values.get('orders') or 0)
                self._lifecycle.heard(now_s, name, pid, state, fault, by_operator, taken)
        self._manage_lifecycles()

    def _take_mount(self, message: m.MountState) -> None:
        self._mount = messages.from_mount_state(message)

    def _take_beacon(self, message: m.BeaconState) -> None:
        self._beacon = messages.from_beacon_state(message)

    def _take_command(self, message: m.MountCommand) -> None:
        self._control_ns = self.clock.steady_ns()

    def _take_session(self, message: m.SessionState) -> None:
        self._phase, self._session_folder = Phase(message.phase), message.folder
        self._unheard.discard('session/state')
        self._session_s = time.monotonic()
        self._tag_watch.session(self.clock.now_ns(), self._phase, message.folder)

    def _take_counts(self, message: m.Counts) -> None:
        self._tag_watch.counted(messages.from_counts(message))

    def _take_next(self, message: m.NextPass) -> None:
        self._coming = messages.from_next_pass(message)
        self._unheard.discard('next_pass')

    def _take_key(self, message: m.KeyState) -> None:
        self._making_key = message.step if message.state == m.KeyState.WORKING else ''

    def _take_task(self, message: UInt8) -> None:
        self._task = MountTask(message.data)
        self._unheard.discard('calibrator/busy')

    # --- safety ---

    def _supervise(self, now_ns: int) -> None:
        demand = self._demand(now_ns)
        enclosure = self._surroundings.step(now_ns, self.clock.steady_ns(), demand)
        covered = any(limit.code == DOME_CLOSED for limit in enclosure.limits)
        self._sun_near_s = inf if covered else demand.sun_s
        self._break_off(enclosure.break_off)
        age_ns = None if self._control_ns is None else self.clock.steady_ns() - self._control_ns
        self._safety = self._supervisor.step(
            now_ns, SupervisorInputs(self._mount, self._beacon, age_ns, enclosure.limits)
        )
        self._safety_statuses.publish(messages.safety_status(now_ns, self._safety))
        if self._mount is not None:
            self._el_rad = self._model.apparent(self._mount.az_rad, self._mount.el_rad)[1]

    def _demand(self, now_ns: int) -> Demand:
        in_pass, mount = self._phase is not Phase.IDLE, self._mount
        known = mount is not None and now_ns - mount.stamp_ns <= _READING_NS
        at_park = known and mount is not None and rests_near_park(self._station.mount, mount)
        start_ns = self._coming.start_ns if self._coming is not None and self._coming.usable else None
        sun_s = inf if at_park else self._sun_s()
        return Demand(in_pass, self._task.under_the_sky, start_ns, at_park, sun_s, known=not self._unheard)

    def _sun_s(self) -> float:
        """Time until the Sun is too close to where the mount was seen last; inf: it is not, or somebody moves it."""
        moved_ns = self._began_ns if self._control_ns is None else self._control_ns
        if self._safety is None or self.clock.steady_ns() - moved_ns < _UNATTENDED_NS:
            return inf
        return self._safety.sun_margin_s

    def _break_off(self, why: str) -> None:
        """Ask the tracker to park the mount, once for each reason."""
        if why and not self._broken_off and self._abort.service_is_ready():
            self.get_logger().error(f'the pass is broken off: {why}')
            self._abort.call_async(Trigger.Request())
            self._broken_off = why
        elif not why:
            self._broken_off = ''

    def _update_pointing(self) -> None:
        """Use the newest calibration."""
        path = self.state_dir / FILE_NAME
        written = path.stat().st_mtime if path.exists() else 0.0
        if written == self._pointing_mtime:
            return
        self._calibrated = False  # until it has been read
        if written:
            stored = load_pointing(self.state_dir)
            coarse_rad = _COMPASS_RAD if stored.compass else _COARSE_RAD
            self._model = stored.model
            self._supervisor.use(stored.model, coarse_rad if stored.coarse else 0.0)
            self._calibrated = not stored.coarse
        self._pointing_mtime = written

    # --- load ---

    def _follow_load(self, nodes: list[NodeHealth]) -> None:
        """Leave out what only viewers need while the machine is too busy."""
        loops = {node.name: Loop(node.steps, node.missed) for node in nodes if node.steps and not node.silent}
        percent = sum(node.cpu_percent for node in nodes if node.name in loops and isfinite(node.cpu_percent))
        if not self._paced and self._load.step(time.monotonic(), loops, percent / 100 / _PROCESSORS):
            self.get_logger().warning(self._load.sentence or self._load.left_out or 'nothing is left out any more')
            self._loads.publish(UInt8(data=self._load.stage))

    # --- lifecycles and readiness ---

    def heartbeat(self) -> None:
        """Tell how the node does."""
        self._untold.hear(self.name, self.faults.present(time.monotonic()))
        super().heartbeat()

    def _manage_lifecycles(self) -> None:
        for name, order in self._lifecycle.orders(
            time.monotonic(), lambda name: self._changers[name].service_is_ready()
        ):
            request = ChangeState.Request(transition=Transition(id=int(order)))
            self._changers[name].call_async(request)  # its heartbeat tells that it was taken, and whether it worked

    def _look_for_strangers(self) -> None:
        """Find the publishers on the topics that command or permit."""
        self._strangers = strangers(
            self.get_namespace(),
            {
                topic: [(found.node_namespace, found.node_name) for found in self.get_publishers_info_by_topic(topic)]
                for topic in COMMANDS
            },
        )

    def _watch_tags(self) -> None:
        """Report troubles of the tags at once."""
        if not self.clock.is_set:
            return
        folder = self._session_folder
        size = size_of_tags(session_path(self.sessions_dir, folder)) if folder else None
        tags = self._tag_watch.trouble(self.clock.now_ns(), size)
        changed, self._tags = bool(tags) != bool(self._tags), tags
        if changed:
            self._publish_readiness()

    def _publish_readiness(self) -> None:
        self._follow_pointing()  # a damaged file is a fault that is told here, too
        if not self.clock.is_set:
            return
        now_s = time.monotonic()
        nodes = [self._health(name, now_s) for name in self._expected]
        own = self._untold.take(self.name, self.faults.present(now_s))
        if own:
            nodes.append(NodeHealth(self.name, 0.0, 'active', own))
        self._troubled_s = {node.name: self._troubled_s.get(node.name, now_s) for node in nodes if node.trouble}
        self._follow_load(nodes)
        forbidden = () if self._safety is None or self._safety.motion_permitted else self._safety.reasons
        facts = Facts(
            nodes=nodes,
            calibrated=self._calibrated,
            phase=self._phase,
            coming=self._coming,
            unheard=self._unheard,
            task=self._task,
            el_rad=self._el_rad,
            forbidden=forbidden,
            interlock_open=self._beacon is not None and not self._beacon.interlock_closed,
            sun_s=self._sun_near_s,
            shines_on=self._safety is not None and STUCK_ON in self._safety.reasons,
            dark=self._safety.light_limits if self._safety is not None else (),
            making_key=self._making_key,
            tags=self._tags,
            strangers=self._strangers,
            too_busy=self._load.sentence,
            left_out=self._load.left_out,
            tracker_silent_s=now_s - self._session_s,
            lasting_s={name: now_s - since_s for name, since_s in self._troubled_s.items()},
        )
        message = monitoring.readiness(readiness(self.clock.now_ns(), facts))
        message.values = [KeyValue(key=node.name, value=node.trouble or 'ok') for node in nodes]
        self._ready.publish(message)
        self.metrics |= self._surroundings.values()

    def _health(self, name: str, now_s: float) -> NodeHealth:
        if name not in self._heartbeats:
            return NodeHealth(name, None)
        received_s, values, message = self._heartbeats[name]
        health = health_of(name, values, message, now_s - received_s)
        return replace(health, faults=self._untold.take(name, health.faults))


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(MonitorNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
