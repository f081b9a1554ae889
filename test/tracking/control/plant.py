"""A small idealized station around the tracker: obedient axes, coloured turbulence, a satellite that answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from math import cos, hypot, nan, pi, radians, remainder, sin, sqrt

import numpy as np

from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.pointing.camera_geometry import CameraGeometry
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.plan import PassPlan, plan_pass
from qkd_gs.pointing.sky_offsets import offset_between
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import MountSettings, StationSettings
from qkd_gs.share import share_path
from qkd_gs.tracking.control.tracker import Tracker
from qkd_gs.tracking.types import CameraRole, Phase, SpotMeasurement, TrackerInputs

STEP_NS = 10_000_000
CULMINATION_NS = 1_538_497_130_000_000_000  # near it, 2018-10-02 16:18:50 UTC over Shanghai
MODEL = MountModel(IA=0.17, IE=-0.05, AN=0.006, AW=-0.005, NPAE=1.5e-4, CA=5e-4, TF=1e-4, ACES=8e-5, ECEC=-6e-5)


@lru_cache
def station() -> StationSettings:
    return load_yaml(share_path('config', 'station.yaml'), StationSettings)


@lru_cache
def trajectory(culmination_deg: float) -> Trajectory:
    """A pass of Micius moved sideways to culminate where wanted."""
    site = load_site('shanghai')
    orbit = load_elements(share_path('config', 'elements', 'micius.tle')).nearest(CULMINATION_NS)

    def moved(cross_m: float) -> Trajectory:
        span = 420 * 10**9
        return Trajectory.predict(orbit, site, CULMINATION_NS - span, CULMINATION_NS + span, cross_track_m=cross_m)

    low, high = -1_000e3, 395e3
    for _ in range(20):
        middle = 0.5 * (low + high)
        top = moved(middle).table(CULMINATION_NS + np.arange(-60, 60) * 10**9).el_rad.max()
        low, high = (middle, high) if top < radians(culmination_deg) else (low, middle)
    return moved(0.5 * (low + high))


def crossing_ns(track: Trajectory, el_deg: float, rising: bool = True) -> int:
    t = np.arange(track.start_ns, track.end_ns, 10**8)
    el = track.table(t).el_rad
    up = np.flatnonzero(el > radians(el_deg))
    return int(t[up[0] if rising else up[-1]])


def plan_for(track: Trajectory, mount: MountSettings) -> PassPlan:
    return plan_pass(track, crossing_ns(track, 5), crossing_ns(track, 5, rising=False), MODEL, mount)


class Tilt:
    """Turbulence tilt of one axis: two Ornstein-Uhlenbeck parts, 0.04 s and 0.12 s."""

    def __init__(self, rng: np.random.Generator):
        self._rng = rng
        self._parts = rng.normal(size=2)

    def step(self, dt_s: float, rms: float) -> float:
        keep = np.exp(-dt_s / np.array([0.04, 0.12]))
        self._parts = keep * self._parts + np.sqrt(1 - keep**2) * self._rng.normal(size=2)
        return rms * float(self._parts.sum()) / sqrt(2)


@dataclass
class Record:
    """What happened, one entry a step."""

    t_ns: list[int] = field(default_factory=list)
    phase: list[Phase] = field(default_factory=list)
    x_urad: list[float] = field(default_factory=list)  # line of sight minus wanted direction
    y_urad: list[float] = field(default_factory=list)
    spot_x_urad: list[float] = field(default_factory=list)
    el_rad: list[float] = field(default_factory=list)
    polarization_error_rad: list[float] = field(default_factory=list)
    lit: list[bool] = field(default_factory=list)


class Plant:
    """The world: truth, axes, cameras, satellite.

    `change(now_ns, spots)` may alter the spots on their way to the tracker, `upset(reading)` the encoder reading.
    """

    def __init__(
        self,
        culmination_deg: float = 72.0,
        bias_s: float = 0.0,
        cross_m: float = 0.0,
        seed: int = 0,
        station_settings: StationSettings | None = None,
        start_ns: int | None = None,
        residual_urad: float = 15.0,
        light_delay_s: float = 1.5,
    ):
        self.rng = np.random.default_rng(seed)
        self.station = station_settings or station()
        self.track = trajectory(culmination_deg)
        self.plan = plan_for(self.track, self.station.mount)
        self.bias_s, self.cross_m = bias_s, cross_m
        self.tracker = Tracker(self.station, self.track, MODEL, self.plan)
        self.now_ns = start_ns or self.plan.start_ns - 2 * 10**9
        start = self.track.at(self.now_ns, 0.0, 0.0)
        command = MODEL.encoder(start.az_rad, max(start.el_rad, 0.08))
        self.axes = np.array([command[0] + self.plan.azimuth_turns_rad, command[1]])
        self.rates = np.zeros(2)
        self._tilts = (Tilt(self.rng), Tilt(self.rng))
        self._phases = self.rng.uniform(0, 2 * np.pi, size=(2, 3))
        self._residual = residual_urad * 1e-6
        self._delay_ns = round(light_delay_s * 1e9)
        self._covered_since: int | None = None
        self._last_covered = 0
        self.lit = False
        self.faded: Callable[[int], bool] = lambda t_ns: False
        self.change: Callable[[int, list[SpotMeasurement]], list[SpotMeasurement]] = lambda t_ns, spots: spots
        self.upset: Callable[[MountReading], MountReading] = lambda reading: reading
        self.emitting = False
        self._due = {role: 0 for role in CameraRole}
        self._in_flight: list[tuple[int, SpotMeasurement]] = []
        self._pictures = {
            CameraRole.GUIDING: CameraGeometry.of(self.station.guiding_camera),
            CameraRole.TRACKING: CameraGeometry.of(self.station.tracking_camera),
        }
        self.record = Record()
        self.outputs = None

    # --- truth ---

    def sight_line(self) -> tuple[float, float]:
        """Apparent direction of the line of sight: the model and a smooth residual of the axes."""
        az, el = MODEL.apparent(float(self.axes[0]), float(self.axes[1]))
        a, e = self.axes
        p = self._phases
        x = self._residual * (sin(2 * a + p[0, 0]) + 0.7 * sin(3 * e + p[0, 1]) + 0.5 * sin(5 * a + p[0, 2])) / 0.93
        y = self._residual * (sin(3 * a + p[1, 0]) + 0.7 * sin(2 * e + p[1, 1]) + 0.5 * sin(4 * a + p[1, 2])) / 0.93
        return az + x / cos(el), el + y

    def truth(self):
        return self.track.at(self.now_ns, self.bias_s, self.cross_m)

    # --- one step ---

    def step(self):
        truth = self.truth()
        az, el = self.sight_line()
        off_x, off_y = (float(v) for v in offset_between(az, el, truth.az_rad, truth.el_rad))
        self._answer(hypot(off_x, off_y))
        rms = 3.2e-6 / sqrt(max(sin(truth.el_rad), 0.05))
        tilt = (self._tilts[0].step(0.01, rms), self._tilts[1].step(0.01, rms))
        self._expose(off_x + tilt[0], off_y + tilt[1])
        arrived = [spot for due, spot in self._in_flight if due <= self.now_ns]
        self._in_flight = [(due, spot) for due, spot in self._in_flight if due > self.now_ns]
        noise = self.rng.normal(scale=1e-7, size=2)
        reading = MountReading(self.now_ns, *(self.axes + noise), *self.rates, MountMode.TRACK)
        inputs = TrackerInputs(
            self.upset(reading),
            BeaconReading(self.now_ns, self.emitting, 1.0, True),
            tuple(self.change(self.now_ns, arrived)),
        )
        out = self.outputs = self.tracker.step(self.now_ns, inputs)
        self._note(out, truth, off_x, off_y, tilt[0])
        self.emitting = out.beacon_on
        self.now_ns += STEP_NS
        self._move(out.mount)
        return out

    def run(self, seconds: float) -> Record:
        for _ in range(round(seconds * 100)):
            self.step()
        return self.record

    def run_to(self, phase: Phase, patience_s: float) -> float:
        """Seconds until the tracker is in `phase`."""
        for count in range(round(patience_s * 100)):
            if self.step().phase is phase:
                return count / 100
        raise AssertionError(f'{phase.name} not reached in {patience_s} s, still {self.outputs.phase.name}')

    def _move(self, command):
        if command is None:
            self.rates = np.zeros(2)
            return
        dt = (self.now_ns - command.at_ns) * 1e-9
        target = np.array([command.az_rad, command.el_rad])
        rate = np.array([command.az_rate_rad_s, command.el_rate_rad_s])
        acc = np.array([command.az_acc_rad_s2, command.el_acc_rad_s2])
        self.axes = target + rate * dt + 0.5 * acc * dt**2
        self.rates = rate + acc * dt

    def _answer(self, off_rad: float):
        covered = self.emitting and off_rad < 0.5e-3 * self.station.beacon.divergence_mrad
        if covered:
            self._last_covered = self.now_ns
            if self._covered_since is None:
                self._covered_since = self.now_ns
            self.lit = self.lit or self.now_ns - self._covered_since >= self._delay_ns
        elif self.now_ns - self._last_covered > 5 * 10**9:
            self.lit = False
            self._covered_since = None
        elif not self.lit:
            self._covered_since = None

    def _expose(self, off_x: float, off_y: float):
        out = self.outputs
        for role in CameraRole:
            request = None if out is None else (out.guiding, out.tracking)[role]
            if request is None or self.now_ns < self._due[role]:
                continue
            self._due[role] = self.now_ns + round(1e9 / request.rate_hz)
            camera = (self.station.guiding_camera, self.station.tracking_camera)[role]
            roll = MODEL.roll(float(self.axes[0]), float(self.axes[1]))
            right = off_x * cos(roll) + off_y * sin(roll)
            up = off_y * cos(roll) - off_x * sin(roll)
            x, y = self._pictures[role].pixel(right, up)
            x, y = x + self.rng.normal(scale=0.1), y + self.rng.normal(scale=0.1)
            roi = request.roi
            left, top = (0, 0) if roi is None else (roi.x0_px, roi.y0_px)
            width, height = (camera.width_px, camera.height_px) if roi is None else (roi.width_px, roi.height_px)
            inside = left <= x < left + width and top <= y < top + height
            found = inside and self.lit and not self.faded(self.now_ns)
            if not found:
                x = y = nan
            spot = SpotMeasurement(role, self.now_ns, found, x, y, 20.0 if found else nan, 2e4 if found else nan)
            self._in_flight.append((self.now_ns + (30_000_000 if role is CameraRole.TRACKING else 80_000_000), spot))

    def _note(self, out, truth, off_x: float, off_y: float, tilt_x: float):
        record = self.record
        lift = self.tracker._prediction.dispersion(truth.el_rad)
        record.t_ns.append(self.now_ns)
        record.phase.append(out.phase)
        record.x_urad.append(-off_x * 1e6)
        record.y_urad.append(-(off_y - lift) * 1e6)
        record.spot_x_urad.append((off_x + tilt_x) * 1e6)
        record.el_rad.append(truth.el_rad)
        record.lit.append(self.lit and not self.faded(self.now_ns))
        roll = MODEL.roll(float(self.axes[0]), float(self.axes[1]))
        az, el = self.sight_line()
        wanted = truth.polarization_angle_rad - roll
        turn = sin(el) * remainder(az - truth.az_rad, 2 * pi)
        record.polarization_error_rad.append(
            (out.polarization_angle_rad - (wanted - turn) + np.pi / 2) % np.pi - np.pi / 2
        )
