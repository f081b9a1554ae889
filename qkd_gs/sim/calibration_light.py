"""The measurements with the calibration light in lockstep: HWP, light and detectors of the twin."""

from __future__ import annotations

from collections.abc import Callable

from qkd_gs.calibration.delay_measurement import DelayMeasurement
from qkd_gs.calibration.detector_delays import DelayCalibration
from qkd_gs.calibration.light.survey import LightBin
from qkd_gs.calibration.measured_delays import DelaysTold
from qkd_gs.calibration.observing.observation import Observation, ObservationState, Sensed
from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.errors import StationError
from qkd_gs.safety.enclosure import DOME_CLOSED
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import TwinSettings
from qkd_gs.sim.photons.calibration_photons import CalibrationPhotons
from qkd_gs.sim.photons.starlight import Starlight
from qkd_gs.sim.physics.calibration_light import SimCalibrationLight
from qkd_gs.sim.physics.hwp import SimHwp
from qkd_gs.sim.physics.plant import HWP_STREAM, draws
from qkd_gs.timing.recorder import TagCounter
from qkd_gs.timing.tags import TagBlock
from qkd_gs.tracking.types import MountTask

_STEP_NS = 10**8


class LightBench:
    """Half-wave plate, calibration light and detectors behind a closed shutter, advanced by tenths of a second.

    Attributes
    ----------
    hwp, light : devices
    dome : str
        Code of the supervisor's reason for a shutter that is not open.
    beacon_lit : bool
        Whether our beacon emits.
    said : str
        Task of the observation.
    """

    def __init__(self, settings: TwinSettings, station: StationSettings, site: Site, seed: int, start_ns: int) -> None:
        self.now_ns = start_ns
        self._station = station
        self.hwp = SimHwp(settings.plant.hwp, start_ns, settings.plant.sample_hz, draws(seed)[HWP_STREAM])
        self.light = SimCalibrationLight(settings.surroundings.calibration_light)
        self.light.open()
        self.dome, self.beacon_lit, self.said = DOME_CLOSED, False, ''
        self._samples = settings.plant.sample_hz * _STEP_NS // 10**9
        self._photons = CalibrationPhotons(settings, station, seed, start_ns)
        self._dark = Starlight(settings.photonics, site, seed, start_ns)
        self._counter = TagCounter(station.source)
        self._delays: DelayMeasurement | None = None
        self._told: DelaysTold | None = None

    def step(self, observation: Observation) -> ObservationState:
        """Let time go by, and the observation take what was measured; its orders are obeyed."""
        before_ns, self.now_ns = self.now_ns, self.now_ns + _STEP_NS
        self.hwp.advance(self._samples)
        hwp, light = self.hwp.read(self.now_ns), self.light.read(self.now_ns)
        self._dark.observe_dark(self.now_ns)
        if light.lit:
            self._dark.add(self._photons.between(before_ns, self.now_ns, light.brightness, hwp.angle_rad))
        tags = self.received(self._dark.poll())
        mount = MountReading(self.now_ns, 0.0, 0.0, 0.0, 0.0, MountMode.HOLD)
        sensed = Sensed(
            mount, bins=self._count(tags), dome=self.dome, hwp=hwp, light=light, beacon_lit=self.beacon_lit,
            delays=self._told,
        )  # fmt: skip
        self._measure(observation.task, tags)
        out = observation.step(self.now_ns, sensed)
        if out.hwp_to is not None:
            self.hwp.move(self.now_ns, out.hwp_to)
        if out.light:
            self.light.on(self.now_ns, out.light)
        else:
            self.light.off(self.now_ns)
        self.said = out.message
        return out.state

    def received(self, tags: TagBlock) -> TagBlock:
        """Tags as the time tagger gives them on: unchanged."""
        return tags

    def _count(self, tags: TagBlock) -> tuple[LightBin, ...]:
        full = self._counter.step(self.now_ns, tags)
        return () if full is None else (LightBin.of(full),)

    def _measure(self, task: MountTask, tags: TagBlock) -> None:
        """As the detector process does."""
        if task is not MountTask.MEASURING_DELAYS:
            self._delays = None
            return
        if self._delays is None:
            self._delays = DelayMeasurement(self.now_ns, self._station.calibration_light.tagger_error_ns * 1e3)
        work = self._delays.take(self.now_ns, tags)
        if work is not None:
            self._told = _told(self._delays.begun_ns, work)


def _told(begun_ns: int, work: Callable[[], DelayCalibration]) -> DelaysTold:
    try:
        return DelaysTold.of(begun_ns, work())
    except StationError as error:
        return DelaysTold.of(begun_ns, error)


def measure_with_light(
    bench: LightBench, observation: Observation, progress: Callable[[int, str], None] = lambda now_ns, text: None
) -> str:
    """Run an observation to its end and keep its result; one sentence.

    Raises
    ------
    StationError
        It failed; with the reason.
    """
    state = ObservationState.RUNNING
    while state is ObservationState.RUNNING:
        state = bench.step(observation)
        progress(bench.now_ns, bench.said)
    if state is ObservationState.FAILED:
        raise StationError(bench.said)
    return observation.keep(bench.now_ns)
