"""Plant of the twin: mount, HWP, beacons, atmosphere and satellite, without cameras and receiver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import cos, hypot, isfinite, radians

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.pointing.polarization import convergence, polarization_error
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import TwinSettings
from qkd_gs.sim.physics.beacon import SimBeacon
from qkd_gs.sim.physics.hwp import SimHwp
from qkd_gs.sim.physics.light_path import AirSegment, LightPath, rise_ns
from qkd_gs.sim.physics.line_of_sight import trace_line_of_sight
from qkd_gs.sim.physics.mount import SimMount
from qkd_gs.sim.physics.photometry import beam_irradiance
from qkd_gs.sim.physics.satellite_plant import SatellitePlant
from qkd_gs.sim.physics.state_history import Column
from qkd_gs.sim.physics.true_errors import TruePointing

_SEGMENT_S = 0.25  # interval of constant elevation and slew rate for the atmosphere
_BLOCK_S = 0.01  # the pointing errors change linearly within
_COLUMNS = len(Column)


@dataclass(frozen=True)
class Interval:
    """True state over the last advance, one sample per millisecond; arrays (n,).

    Offsets are the line of sight minus the apparent direction of the beacon; tilt is the apparent minus the
    undisturbed direction of the light.  So the beacon's image is at tilt - offset, in x (cross-elevation, towards
    growing azimuth) and y (elevation).  NaN where the trajectory does not reach.
    """

    t_ns: IntArray
    offset_x_rad: FloatArray
    offset_y_rad: FloatArray
    tilt_x_rad: FloatArray
    tilt_y_rad: FloatArray
    polarization_true_rad: (
        FloatArray  # satellite's H axis from the tube's horizontal, counter-clockwise against the light
    )
    hwp_true_rad: FloatArray  # true HWP angle from its zero mark, counter-clockwise against the light
    az_rad: FloatArray  # apparent direction of the line of sight
    el_rad: FloatArray
    target_el_rad: FloatArray
    range_m: FloatArray
    dispersion_rad: FloatArray  # elevation of the beacon above that of the 850 nm photons
    lit: FloatArray  # the satellite's sources: 0 or 1
    fade: FloatArray  # transmission of clouds, 1 = clear


class Plant:
    """The physical plant of a session.

    Parameters
    ----------
    truth : Trajectory
        The satellite's true one: predicted with the errors of `truth.draw_orbit_error`.  Times of a scenario are from
        the rise in it.
    start_ns : int
        UTC at which the simulation begins, with the mount parked; may be long before the pass.
    seed : int
        The same seed and the same device calls give the same state, whatever the steps of `advance`.
    truth_at : callable, optional
        The true trajectory nearest to a time (UTC ns), for a sky with more than one pass.
    """

    def __init__(
        self,
        settings: TwinSettings,
        station: StationSettings,
        truth: Trajectory,
        site: Site,
        seed: int,
        start_ns: int | None = None,
        truth_at: Callable[[int], Trajectory] | None = None,
    ) -> None:
        plant, streams = settings.plant, draws(seed)
        self.now_ns = truth.start_ns if start_ns is None else start_ns
        self._sample_ns = 10**9 // plant.sample_hz
        self._block, self._segment_count = round(_BLOCK_S * plant.sample_hz), round(_SEGMENT_S * plant.sample_hz)
        self.rise_ns = rise_ns(truth, radians(station.tracking.start_el_deg))
        self._pointing = TruePointing(plant.pointing, streams[0])
        self.mount = SimMount(plant.mount, station.mount, self.now_ns, plant.sample_hz, streams[1])
        self.hwp = SimHwp(plant.hwp, self.now_ns, plant.sample_hz, streams[HWP_STREAM])
        self.beacon = SimBeacon(plant.beacon, station.beacon, self.now_ns, streams[3])
        self.satellite = SatellitePlant(plant.satellite)
        self._path = LightPath(plant, truth_at or (lambda _: truth), site, self.rise_ns, self.now_ns, streams[4])
        self._ahead: AirSegment | None = None
        self._used = 0  # samples of it that were used
        self.mount.set_gusts(plant.mount.gusts, self.rise_ns)
        self.beacon.schedule(self.rise_ns)
        self._sight = self._pointing.line_of_sight(*self.mount.true_angles())
        self._zero_rad, self._parity = radians(station.hwp.zero_deg), station.hwp.parity
        self._slew_rad_s = 0.0
        self._parts: list[Interval] = []

    def advance(self, now_ns: int) -> None:
        """Advance to `now_ns`, in whole samples; an earlier time does nothing."""
        self._parts = []
        samples = (now_ns - self.now_ns) // self._sample_ns
        while samples > 0:
            ahead = self._segment()
            count = min(samples, len(ahead) - self._used, self._block)
            rows, interval = self._advance_block(ahead.part(self._used, self._used + count))
            self._parts.append(interval)
            self._used += count
            samples -= count
            self._publish(rows, interval)

    def _publish(self, rows: FloatArray, interval: Interval) -> None:
        """Hook for a new block of the true state, rows of `Column` (columns, n): for cameras and other observers."""

    def interval(self) -> Interval:
        """True state over the last `advance`."""
        if not self._parts:
            return Interval(np.empty(0, np.int64), *(np.empty(0) for _ in fields(Interval)[1:]))
        if len(self._parts) > 1:
            names = [field.name for field in fields(Interval)]
            joined = (np.concatenate([getattr(part, name) for part in self._parts]) for name in names)
            self._parts = [Interval(*joined)]
        return self._parts[0]

    def line_of_sight(self) -> tuple[float, float]:
        """True apparent direction (az, el) of the line of sight now, rad."""
        return self._sight[0], self._sight[1]

    def axes_at(self, az_rad: float, el_rad: float) -> tuple[float, float]:
        """Encoder angles that truly put the line of sight on an apparent direction, rad."""
        return self._pointing.axes_at(az_rad, el_rad)

    def polarization_error_rad(self, interval: Interval) -> FloatArray:
        """Polarization angle left uncorrected by the HWP, rad, (n,)."""
        return polarization_error(interval.hwp_true_rad, self._zero_rad, interval.polarization_true_rad, self._parity)

    def _segment(self) -> AirSegment:
        if self._ahead is None or self._used == len(self._ahead):
            self._ahead = self._path.segment(self._segment_count, self._sight[1], self._slew_rad_s)
            self._used = 0
        return self._ahead

    def _advance_block(self, air: AirSegment) -> tuple[FloatArray, Interval]:
        count = len(air)
        seconds = count * self._sample_ns * 1e-9
        axes_before = self.mount.true_angles()
        axes = self.mount.advance(count)
        hwp_rad = self.hwp.advance(count)
        before, self._sight = self._sight, self._pointing.line_of_sight(*axes[-1].tolist())
        az, el, _ = self._sight
        self._slew_rad_s = hypot((az - before[0]) * cos(el), el - before[1]) / seconds
        self.now_ns += count * self._sample_ns
        self.beacon.advance(self.now_ns)
        rows, offset = np.empty((_COLUMNS, count)), np.empty((2, count))
        trace_line_of_sight(axes, axes_before, before, self._sight, air.az_rad, air.el_rad, rows, offset)
        self.satellite.advance(seconds, self._uplink(rows.item(Column.X, -1), rows.item(Column.Y, -1), air))
        rows[Column.TILT_X : Column.TILT_Y + 1] = air.tilt_rad
        rows[Column.GUIDING : Column.TRACKING + 1] = air.scintillation
        rows[Column.CLEAR] = air.clear_532 * air.cloud
        rows[Column.IRRADIANCE] = self._downlink(air) * rows[Column.CLEAR]
        turn = convergence(rows[Column.AZ], rows[Column.EL], air.az_rad, air.el_rad)
        return rows, Interval(
            t_ns=air.t_ns,
            offset_x_rad=offset[0],
            offset_y_rad=offset[1],
            tilt_x_rad=air.tilt_rad[0],
            tilt_y_rad=air.tilt_rad[1],
            polarization_true_rad=air.polarization_angle_rad - turn - rows[Column.ROLL],
            hwp_true_rad=hwp_rad,
            az_rad=rows[Column.AZ],
            el_rad=rows[Column.EL],
            target_el_rad=air.el_rad,
            range_m=air.range_m,
            dispersion_rad=air.dispersion_rad,
            lit=np.full(count, float(self.satellite.lit)),
            fade=air.cloud,
        )

    def _uplink(self, x_rad: float, y_rad: float, air: AirSegment) -> float:
        """Irradiance of our beacon at the satellite, W/m^2."""
        power_w = self.beacon.emission_w()
        if power_w == 0.0 or not isfinite(x_rad):
            return 0.0
        off_axis = hypot(x_rad - self.beacon.alignment_rad[0], y_rad - self.beacon.alignment_rad[1])
        irradiance = beam_irradiance(power_w, self.beacon.divergence_rad, float(air.range_m[-1]), off_axis)
        return irradiance * air.clear_671 * float(air.cloud[-1])

    def _downlink(self, air: AirSegment) -> float:
        """Irradiance of the satellite's beacon at the station without air, W/m^2."""
        above = air.el_rad[-1] > 0  # NaN beyond the trajectory
        return self.satellite.downlink_w_m2(float(air.range_m[-1])) if above else 0.0

    def first_row(self) -> FloatArray:
        """State at the start, (columns, 1), for exposures that begin then."""
        row = np.zeros(len(Column))
        row[[Column.AZ, Column.EL, Column.ROLL]] = self._sight
        row[[Column.X, Column.Y]] = np.nan
        row[[Column.GUIDING, Column.TRACKING, Column.CLEAR]] = 1.0
        return row[:, None]


HWP_STREAM = 2  # of `draws`


def draws(seed: int) -> list[np.random.Generator]:
    """The world's independent streams of random numbers, by purpose: 0 to 4 for the plant, 5 to 8 for the cameras."""
    return [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(12)]


def pointing_error_rad(interval: Interval) -> tuple[float, float]:
    """Line of sight minus apparent direction of the 850 nm light, at the end of an interval: x, y.

    The photons arrive lower than the 532 nm beacon by the dispersion, and the line of sight is that of the photons;
    so the dispersion is subtracted in the tracking metrics.
    """
    return float(interval.offset_x_rad[-1]), float(interval.offset_y_rad[-1] + interval.dispersion_rad[-1])
