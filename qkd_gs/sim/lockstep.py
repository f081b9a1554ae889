"""A pass in lockstep: the core objects of the station on the twin's devices, in one process, faster than real time.

The ROS nodes wrap the same objects; only this module connects them without ROS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import radians
from typing import Protocol

from qkd_gs.devices.aircraft import AircraftReceiver
from qkd_gs.devices.mount import enable_if_off
from qkd_gs.pointing.hwp import HwpFollower
from qkd_gs.safety.laser.laser_safety import LaserSafety
from qkd_gs.safety.supervisor import SafetyStatus, Supervisor, SupervisorInputs
from qkd_gs.settings.station import StationSettings
from qkd_gs.sim.pass_log import PassLog
from qkd_gs.sim.twin import Twin
from qkd_gs.timing.live import CountBin
from qkd_gs.timing.tags import TagBlock
from qkd_gs.tracking.camera.camera_loop import CameraLoop
from qkd_gs.tracking.control.tracker import Tracker
from qkd_gs.tracking.record.light_log import LightLog
from qkd_gs.tracking.types import OVER, CameraRole, Phase, TrackerInputs, TrackerOutputs

_TAGS_EVERY_NS = 100_000_000
_SUPERVISE_EVERY_NS = 50_000_000
_PROGRESS_EVERY_NS = 2_000_000_000


@dataclass(frozen=True)
class Progress:
    """Progress of a pass, for the operator."""

    now_ns: int
    phase: Phase
    el_rad: float
    error_x_urad: float
    error_y_urad: float
    counts: CountBin | None


class TagSink(Protocol):
    """Taker of the tags of a pass; a `TagRecorder`."""

    def step(self, now_ns: int, block: TagBlock) -> CountBin | None:
        """Take the tags up to `now_ns`; a bin of counts when one is full."""

    def close(self) -> None:
        """No more tags come."""


class Lockstep:
    """Run one pass.

    Parameters
    ----------
    twin : Twin
    tracker : Tracker
        Built from the knowledge of the station.
    supervisor : Supervisor
        Independent of the tracker; commands that it forbids are not sent.
    recorder : TagSink
        Records the tags of the TDC.
    laser, aircraft : LaserSafety, AircraftReceiver
        The supervisor's, and the receiver that tells it of aircraft.

    Attributes
    ----------
    stops : set of str
        Reasons for which the supervisor stopped the mount.
    light : LightLog
        When our beacon was wanted and not permitted.
    """

    def __init__(
        self,
        twin: Twin,
        station: StationSettings,
        tracker: Tracker,
        supervisor: Supervisor,
        recorder: TagSink,
        laser: LaserSafety,
        aircraft: AircraftReceiver,
    ) -> None:
        self._laser, self._aircraft, self.light = laser, aircraft, LightLog()
        self._twin, self._tracker, self._supervisor, self._recorder = twin, tracker, supervisor, recorder
        self._safety = SafetyStatus(motion_permitted=False, light_permitted=False, reasons=(), sun_margin_s=0.0)
        self.stops: set[str] = set()
        world = twin.world
        self._guiding = CameraLoop(CameraRole.GUIDING, station.guiding_camera, world.guiding_camera)
        self._tracking = CameraLoop(CameraRole.TRACKING, station.tracking_camera, world.tracking_camera)
        self._period_ns = round(1e9 / station.tracking.control_rate_hz)
        self._hwp_period_ns = round(1e9 / station.hwp.rate_hz)
        self._hwp_follower = HwpFollower(
            radians(station.hwp.zero_deg), round(station.hwp.delay_s * 1e9), station.hwp.parity, self._hwp_period_ns
        )
        self.log = PassLog(world)

    def run(self, start_ns: int, end_ns: int, progress: Callable[[Progress], None]) -> None:
        """Run from `start_ns` until the tracker is done, or `end_ns`."""
        world, log = self._twin.world, self.log
        self._twin.tdc.start(start_ns)
        self._aircraft.open()
        enable_if_off(world.mount, start_ns)
        outputs: TrackerOutputs | None = None
        counts: CountBin | None = None
        for now_ns in range(start_ns, end_ns, self._period_ns):
            interval = self._twin.advance(now_ns)
            if (now_ns - start_ns) % _SUPERVISE_EVERY_NS < self._period_ns:
                self._supervise(now_ns)
            outputs = self._control(now_ns, outputs)
            log.add(now_ns, interval, outputs)
            if (now_ns - start_ns) % self._hwp_period_ns < self._period_ns:
                self._move_hwp(now_ns, outputs)
            if (now_ns - start_ns) % _TAGS_EVERY_NS < self._period_ns:
                full = self._recorder.step(now_ns, self._twin.tdc.poll(now_ns))
                if full:
                    counts = full
                    log.count(full)
            if (now_ns - start_ns) % _PROGRESS_EVERY_NS < self._period_ns:
                progress(Progress(now_ns, outputs.phase, world.line_of_sight()[1], *log.last_error_urad, counts))
            if self._tracker.done:
                break
        self._twin.tdc.stop(now_ns)
        world.beacon.off(now_ns)
        world.mount.stop(now_ns)
        self._recorder.close()
        self._aircraft.close()

    def _control(self, now_ns: int, before: TrackerOutputs | None) -> TrackerOutputs:
        """One step of the control loop: read, decide, command."""
        world = self._twin.world
        spots = (
            *self._guiding.step(now_ns, before.guiding if before else None),
            *self._tracking.step(now_ns, before.tracking if before else None),
        )
        outputs = self._tracker.step(
            now_ns, TrackerInputs(world.mount.read(now_ns), world.beacon.read(now_ns), tuple(spots))
        )
        if outputs.mount is not None and self._safety.motion_permitted:
            world.mount.command(now_ns, outputs.mount)
        self.light.step(now_ns, outputs.beacon_on, self._safety.light_permitted, self._safety.reasons)
        if outputs.beacon_on and self._safety.light_permitted:
            world.beacon.on(now_ns)
        else:
            world.beacon.off(now_ns)
        return outputs

    def _supervise(self, now_ns: int) -> None:
        """Update the safety status; stop the mount if motion is forbidden."""
        world = self._twin.world
        self._laser.heard(now_ns, self._aircraft.read(now_ns))
        inputs = SupervisorInputs(world.mount.read(now_ns), world.beacon.read(now_ns), command_age_ns=0)
        self._safety = self._supervisor.step(now_ns, inputs)
        if not self._safety.motion_permitted:
            self.stops.update(self._safety.reasons)
            world.mount.stop(now_ns)

    def _move_hwp(self, now_ns: int, outputs: TrackerOutputs) -> None:
        if outputs.phase in (Phase.IDLE, *OVER):
            self._twin.world.hwp.stop(now_ns)
            return
        command = self._hwp_follower.step(now_ns, outputs.polarization_angle_rad, outputs.polarization_rate_rad_s)
        self._twin.world.hwp.move(now_ns, command.angle_rad)
