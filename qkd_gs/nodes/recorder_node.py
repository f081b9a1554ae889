"""Recorder node: writes every public topic of a pass into the session's bag; after a crash into a further file."""

from __future__ import annotations

import importlib
from operator import itemgetter
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

import qkd_gs.msg as m
from qkd_gs.errors import StationError
from qkd_gs.nodes.conversions import qos
from qkd_gs.nodes.conversions.cdr import Codec
from qkd_gs.nodes.runtime import parameters
from qkd_gs.nodes.runtime.base import CoreNode
from qkd_gs.nodes.runtime.context import site_of, station_of
from qkd_gs.nodes.runtime.gathered import Gathered
from qkd_gs.nodes.runtime.process import run
from qkd_gs.recording import Topic
from qkd_gs.recording.pass_recorder import PassRecorder, is_public, rate_of
from qkd_gs.session.disk_space import free_mb
from qkd_gs.station.authenticity import Verifier
from qkd_gs.station.clock_discipline import NOISE_NS, read_clocks
from qkd_gs.tracking.record.topics import STATE

_DISCOVER_S = 0.2  # of real time
_TAKE_S = 0.1
_FLUSH_S = 0.5  # so much is lost when the process is killed
_NOT_RECORDED = 'recorder.not_recorded'  # fault
_RATES_HZ = {'guiding_camera': 0.2, 'tracking_camera': 1.0}


class RecorderNode(CoreNode):
    """Subscribes to all public topics serialized; only the tracker's state is deserialized."""

    name = 'recorder'

    def __init__(self) -> None:
        super().__init__()
        self._namespace = self.get_namespace().rstrip('/') + '/'
        self._rates_hz = {camera: self._declare_rate(camera, rate_hz) for camera, rate_hz in _RATES_HZ.items()}
        self._recorder = PassRecorder(self.sessions_dir, site_of(self).name, self._namespace, station_of(self).storage)
        self._seen: set[str] = set()
        self._state_codec = Codec(m.SessionState)
        self._states_name = self._namespace + STATE
        self._states = Verifier(self._key, self._states_name)
        self._record, self._record_state = self.guarded(self._recorder.take), self.guarded(self._take_state)
        self._arrived: list[tuple[int, str, bytes]] = []
        monotonic_ns, utc_ns = read_clocks()
        self._offset_ns = utc_ns - monotonic_ns
        self.every_real(_DISCOVER_S, self._look)
        self.every_real(_FLUSH_S, self._flush)
        self.every_real(_TAKE_S, self._take_all)

    def _declare_rate(self, camera: str, rate_hz: float) -> float:
        description = f'recorded images of the {camera.replace("_", " ")} per second of station time; 0: none [Hz]'
        limits = [FloatingPointRange(from_value=0.0, to_value=1000.0, step=0.0)]
        descriptor = ParameterDescriptor(description=description, floating_point_range=limits, read_only=True)
        return float(parameters.declare_one(self, f'{camera}.image_rate_hz', rate_hz, descriptor))

    def _look(self) -> None:
        """Subscribe to what is new."""
        for name, kinds in self.get_topic_names_and_types():
            if name in self._seen or len(kinds) != 1 or not is_public(name, self._namespace):
                continue
            publishers = self.get_publishers_info_by_topic(name)
            if publishers:  # else somebody only waits for it
                self._seen.add(name)
                self._subscribe(name, kinds[0], publishers)

    def _subscribe(self, name: str, kind: str, publishers: list[Any]) -> None:
        profiles = [publisher.qos_profile for publisher in publishers]
        transient_local = all(profile.durability is DurabilityPolicy.TRANSIENT_LOCAL for profile in profiles)
        reliable = all(profile.reliability is ReliabilityPolicy.RELIABLE for profile in profiles)
        rate_hz = rate_of(name, kind, self._rates_hz, self._namespace)
        digest = str(publishers[0].topic_type_hash)
        topic = Topic(name, kind, digest, qos.offered(profiles))
        try:
            self._recorder.add_topic(topic, transient_local, rate_hz)
            package, group, stem = kind.split('/')
            message_type = getattr(importlib.import_module(f'{package}.{group}'), stem)
        except (StationError, ImportError, AttributeError) as error:
            self.get_logger().warning(f'not recorded: {name}: {error}')
            return
        profile = QoSProfile(
            depth=1000 if rate_hz is None else 5,  # a slow disk loses only images
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if transient_local else DurabilityPolicy.VOLATILE,
        )
        self._gathered.append(
            Gathered(
                self, message_type, name, lambda data, at_ns: self._arrived.append((at_ns, name, data)), profile, True
            )
        )

    def _take_all(self) -> None:
        """Record the messages of all topics since the last call, in the order of their arrival."""
        self._arrived.clear()
        self.fetch()
        (monotonic_ns, utc_ns), now_ns, speed = read_clocks(), self.clock.now_ns(), self.clock.speed
        # the time of arrival is the machine's UTC: nothing is known of what came before somebody set that clock
        was_set, self._offset_ns = abs(utc_ns - monotonic_ns - self._offset_ns) > NOISE_NS, utc_ns - monotonic_ns
        for at_ns, name, data in sorted(self._arrived, key=itemgetter(0)):
            take = self._record_state if name == self._states_name else self._record
            # no bag is open before the clock is set; transient-local messages are kept for it
            age_ns = 0 if was_set else max(utc_ns - at_ns, 0)
            take(name, now_ns - round(speed * age_ns), data)

    def _take_state(self, name: str, now_ns: int, data: bytes) -> None:
        objection = self._states.objection(data)
        if objection:
            self._refusals.add(name, objection)
        if objection or not self.clock.is_set:
            return
        state = self._state_codec.decode(data)
        if not state.folder:  # the end of the pass belongs into its bag
            self._recorder.take(name, now_ns, data)
        self._follow(now_ns, state)
        if state.folder:
            self._recorder.take(name, now_ns, data)

    def _follow(self, now_ns: int, state: m.SessionState) -> None:
        before = self._recorder.bag
        self._recorder.state(now_ns, state)
        bag = self._recorder.bag
        if bag is not before:
            what = f'recording into {bag.path}' if bag is not None else 'the bag is complete'
            self.get_logger().info(what)
            self.note = '' if bag is None else what
        while self._recorder.retired:
            self.get_logger().info(f'{self._recorder.retired.pop(0)} is deleted, newer bags are kept')

    def _flush(self) -> None:
        try:
            self._recorder.flush()
            missing = self._recorder.space(self.clock.now_ns(), free_mb(self.sessions_dir)) if self.clock.is_set else ''
        except StationError as error:
            self.degraded(_NOT_RECORDED, str(error))
        else:
            if missing:
                self.degraded(_NOT_RECORDED, missing)
            else:
                self.recovered(_NOT_RECORDED)
        bag = self._recorder.bag
        self.metrics = {} if bag is None else {'bag': str(bag.path), 'messages': str(bag.messages)}

    def finish(self) -> None:
        """The process ends: close the bag."""
        self.guarded(self._take_all)()
        self.guarded(self._recorder.close)()


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(RecorderNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
