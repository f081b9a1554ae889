"""World node: physical state of the digital twin, connected to the simulated devices by their bus."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from math import degrees, radians
from pathlib import Path
from typing import IO, Any

from diagnostic_msgs.msg import DiagnosticArray
from rosgraph_msgs.msg import Clock

import qkd_gs.msg as m
from qkd_gs.devices.mount import MountCommand
from qkd_gs.monitoring.loops import Loop
from qkd_gs.nodes.conversions import messages, monitoring
from qkd_gs.nodes.runtime.base import IN_THE_LOOP, CoreNode
from qkd_gs.nodes.runtime.context import simulation_setup, station_of
from qkd_gs.nodes.runtime.process import run
from qkd_gs.nodes.runtime.qos import DEEP, SENSOR, TRANSIENT_LOCAL
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.pointing.pointing_file import FILE_NAME as POINTING
from qkd_gs.pointing.pointing_file import StoredPointing, load_pointing
from qkd_gs.session.manifest import session_path
from qkd_gs.session.writers import writing
from qkd_gs.sim.calibration import manual_alignment
from qkd_gs.sim.finding import compass_alignment
from qkd_gs.sim.pass_log import StationStatus
from qkd_gs.sim.photons.polarized_light import measure_hwp_zero
from qkd_gs.sim.remote.actuators import Drive, TiltResidual
from qkd_gs.sim.remote.bus import Bus, bus_path
from qkd_gs.sim.remote.realtime_world import RealtimeWorld
from qkd_gs.sim.remote.time_rate import Heartbeats, Pace, Processors
from qkd_gs.station.graph import nodes_of
from qkd_gs.station.loop_timing import Due, LoopWatch
from qkd_gs.station.station_clock import ClockMapping
from qkd_gs.tracking.types import Phase

_STEP_S = 0.01
_SLOW_NS = 20_000_000  # half-wave plate, laser, focuser and calibration light report less often
_CLOCK_NS = 50_000_000
_PACE_S = 0.5  # of real time
_WATCH_S = 1.0
_BEND_NS = 100_000_000  # all processes have received a new speed by then


class WorldNode(CoreNode):
    """Runs the twin; present only with simulated devices."""

    name = 'world'
    priority = IN_THE_LOOP

    def __init__(self) -> None:
        super().__init__()
        self._setup = simulation_setup(self, station_of(self))
        self._began_ns = time.monotonic_ns()
        self._bus = Bus.create(bus_path(self.get_namespace()), self._began_ns)
        self._world = RealtimeWorld(self._setup, lambda block: self._bus.send('truth', block))
        self._folder = ''
        self._writing: IO[bytes] | None = None
        self._align()
        self._listen()
        self._counterparts: Any = None
        self._clock_publisher = self.publisher(Clock, '/clock', SENSOR)
        self._station_clock = self.publisher(m.StationClock, 'station_clock', TRANSIENT_LOCAL)
        self._slow_due, self._clock_due = Due(_SLOW_NS), Due(_CLOCK_NS)
        self._start_clock(float(self.options['speed']))
        self.every(_STEP_S, self._step, LoopWatch(_STEP_S))
        if self.devices.in_the_loop:
            self._start_counterparts()

    def _start_counterparts(self) -> None:
        """Processes that the real drivers of the station are connected to."""
        from qkd_gs.sim.hil.counterparts import Counterparts
        from qkd_gs.sim.hil.place import Place

        options = {name: self.text(name) for name in ('site', 'at', 'scenario')}
        place = Place(
            str(bus_path(self.get_namespace())),
            self._began_ns,
            self._setup.begin_ns,
            str(self.station_path()),
            str(self.elements_path()),
            lead_s=float(self.options['lead_s']),
            seed=int(self.options['seed']),
            **options,
        )
        self._counterparts = Counterparts(place, self.devices.in_the_loop, self.get_logger().info)
        self.every_real(_WATCH_S, self._counterparts.watch)

    def _listen(self) -> None:
        world, bus = self._world, self._bus
        bus.obey('mount/command', MountCommand, world.set_point)
        bus.obey('mount/drive', Drive, world.drive)
        bus.obey('beacon/on', bool, world.shine)
        bus.obey('hwp/move', float, world.move_hwp)
        bus.obey('focuser/move', int, world.move_focuser)
        bus.obey('calibration_light/on', float, world.light_up)
        bus.listen('tilt_residual', TiltResidual, world.add_tilt_residual)
        self.gather(m.SessionState, 'session/state', self._session, DEEP)  # each one has the error of one spot
        self.listen(m.Counts, 'detector/counts', lambda counts: world.count(messages.from_counts(counts)))

    def _align(self) -> None:
        """Align the mount as an operator does: one star centred by hand, or a level base and a compass."""
        if (self.state_dir / POINTING).exists():
            return
        setup, camera, compass = self._setup, self._setup.station.guiding_camera, self.text('alignment') == 'compass'
        if compass:
            misread_rad = radians(float(self.options['compass_error_deg']))
            model, said = compass_alignment(self._world, setup.seed, misread_rad), 'from a compass'
        else:
            model = manual_alignment(self._world, setup.site, setup.begin_ns, setup.seed)
            said = 'one star centred by hand'
        hwp = measure_hwp_zero(setup.settings, setup.station, setup.seed)
        StoredPointing.of(
            model,
            (camera.reference_x_px, camera.reference_y_px),
            said,
            format_utc(setup.begin_ns),
            coarse=True,
            compass=compass,
            hwp_deg=(degrees(hwp.zero_rad) - setup.station.hwp.zero_deg, degrees(hwp.sigma_rad)),
        ).save(self.state_dir)

    def _start_clock(self, speed: float) -> None:
        self._pace: Pace | None = None
        self._loops: dict[str, Loop] = {}
        if speed == 0.0:
            self._pace, self._processors = Pace(), Processors()
            others = {spec.name for spec in nodes_of(True, bool(self.options['record']))} - {self.name}
            self._heartbeats = Heartbeats(others)
            speed = self._pace.speed
            self.listen(DiagnosticArray, '/diagnostics', self._take_loops, raw=True)
            self.every_real(_PACE_S, self._keep_pace)
        self._publish_mapping(ClockMapping(self._setup.begin_ns, self._began_ns, speed))

    def _publish_mapping(self, mapping: ClockMapping) -> None:
        message = messages.station_clock(mapping, self._began_ns)
        self._set_clock(message)  # a process may not receive its own message
        self._station_clock.publish(message)

    def _take_loops(self, data: bytes) -> None:
        for health in monitoring.from_diagnostics(data, self.get_namespace()):
            self._heartbeats.heard(time.monotonic(), health.name)
            if health.steps:
                self._loops[health.name] = Loop(health.steps, health.missed)

    def _keep_pace(self) -> None:
        pace, now_s = self._pace, time.monotonic()
        if pace is None:
            return
        before = pace.speed
        if not pace.begun and self._heartbeats.complete:
            pace.begin(now_s)
            changed = True
        else:
            changed = pace.step(now_s, self._loops, self._processors.busy(), self._heartbeats.silence_s(now_s))
        if changed:
            why = f': {pace.reason}' if pace.speed < before else ''
            self.get_logger().info(f'station time runs at {pace.speed:.2f} of real time{why}')
            self._publish_mapping(self.clock.bent(pace.speed, _BEND_NS))

    def _save_record(self, folder: Path) -> None:
        """Record of the satellite, which a simulated TDC brings itself."""
        record, _ = self._setup.receiver_at(self.clock.now_ns())
        record.save(folder)

    @property
    def may_end(self) -> bool:
        """Whether no session is open."""
        return not self._folder

    def _step(self, now_ns: int) -> None:
        self._bus.poll()
        self._world.step(now_ns)
        self._bus.send('mount/state', self._world.mount.read(now_ns))
        if self._slow_due.now(now_ns):
            self._bus.send('beacon/state', self._world.beacon.read(now_ns))
            self._bus.send('hwp/state', self._world.hwp.read(now_ns))
            self._bus.send('focuser/state', self._world.focuser_state(now_ns))
            self._bus.send('calibration_light/state', self._world.calibration_light.read(now_ns))
        if self._clock_due.now(now_ns):
            self._clock_publisher.publish(Clock(clock=messages.to_time(now_ns)))

    def finish(self) -> None:
        """The process ends: end the counterparts, remove the bus."""
        if self._counterparts is not None:
            self._counterparts.close()
        self._bus.remove()

    def _session(self, state: m.SessionState) -> None:
        """Follow the station's sessions; when one is over, write what only the truth can tell."""
        if self._folder and state.folder != self._folder and self._writing is not None:
            folder, held, self._writing = session_path(self.sessions_dir, self._folder), self._writing, None
            write = self._world.take_truth(load_pointing(folder).model)
            # the world does not stand still meanwhile
            work = self.guarded(lambda: _write_truth(write, folder, held), _write_truth)
            threading.Thread(target=work, name='truth').start()
        if state.folder and state.folder != self._folder:
            folder = session_path(self.sessions_dir, state.folder)
            self._writing = writing(folder) if folder.is_dir() else None
            if 'tdc' in self.devices.in_the_loop and folder.is_dir():
                self._save_record(folder)
            self._world.begin_session()
        self._folder = state.folder
        status = Phase(state.phase), state.time_bias_s, state.cross_track_m, state.error_x_urad, state.error_y_urad
        self._world.station_status(StationStatus(*status))


def _write_truth(write: Callable[[Path], None] | None, folder: Path, held: IO[bytes]) -> None:
    with held:
        if write is not None:
            write(folder)


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(WorldNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
