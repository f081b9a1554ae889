"""True state along the line of sight, generated in segments: target, tilt, scintillation, transmission."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.orbit.refraction import dispersion_rad
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.settings.site import Site
from qkd_gs.settings.twin_plant import PlantSettings
from qkd_gs.sim.physics.atmosphere import Scintillation, Tilt, clouds, transmission


@dataclass(frozen=True)
class AirSegment:
    """Samples of atmosphere and target; arrays (n,) or (2, n).  NaN where the trajectory does not reach."""

    t_ns: IntArray
    az_rad: FloatArray
    el_rad: FloatArray
    range_m: FloatArray
    polarization_angle_rad: FloatArray
    dispersion_rad: FloatArray
    tilt_rad: FloatArray  # (2, n) cross-elevation, elevation
    scintillation: FloatArray  # (2, n) guiding camera, telescope
    cloud: FloatArray  # transmission of the scenario's clouds
    clear_532: float  # of clear air along the line of sight
    clear_671: float

    def __len__(self) -> int:
        return len(self.t_ns)

    def part(self, first: int, end: int) -> AirSegment:
        """Samples [first, end)."""
        along = slice(first, end)
        return AirSegment(
            self.t_ns[along],
            self.az_rad[along],
            self.el_rad[along],
            self.range_m[along],
            self.polarization_angle_rad[along],
            self.dispersion_rad[along],
            self.tilt_rad[:, along],
            self.scintillation[:, along],
            self.cloud[along],
            self.clear_532,
            self.clear_671,
        )


class LightPath:
    """Generates consecutive segments.

    Parameters
    ----------
    trajectory_at : callable
        The true trajectory that is nearest to a time (UTC ns); outside it the satellite is not seen.
    rise_ns : int
        Origin of the times of a scenario.
    """

    def __init__(
        self,
        plant: PlantSettings,
        trajectory_at: Callable[[int], Trajectory],
        site: Site,
        rise_ns: int,
        start_ns: int,
        seeds: np.random.Generator,
    ) -> None:
        self._air = plant.atmosphere
        self._trajectory_at, self._rise_ns = trajectory_at, rise_ns
        grid = np.radians(np.arange(0.0, 90.0, 0.1))
        self._dispersion = grid, dispersion_rad(grid, site)
        self._sample_ns = 10**9 // plant.sample_hz
        self._dt_s = 1 / plant.sample_hz
        telescope_m = plant.tracking_camera.aperture_m
        tilt, guiding, tracking = seeds.spawn(3)
        self._tilt = Tilt(plant.atmosphere, telescope_m, tilt)
        self._guiding = Scintillation(plant.atmosphere, plant.guiding_camera.aperture_m, guiding)
        self._tracking = Scintillation(plant.atmosphere, telescope_m, tracking)
        self._now_ns = start_ns

    def segment(self, samples: int, el_rad: float, slew_rad_s: float) -> AirSegment:
        """The next samples.

        Parameters
        ----------
        el_rad, slew_rad_s : float
            Elevation and rate on the sky of the telescope's line of sight.
        """
        t_ns = self._now_ns + self._sample_ns * np.arange(1, samples + 1)
        self._now_ns = int(t_ns[-1])
        az, el, range_m, polarization_angle, dispersion = self._target(t_ns)
        arguments = samples, self._dt_s, el_rad, slew_rad_s
        return AirSegment(
            t_ns=t_ns,
            az_rad=az,
            el_rad=el,
            range_m=range_m,
            polarization_angle_rad=polarization_angle,
            dispersion_rad=dispersion,
            tilt_rad=self._tilt.advance(*arguments),
            scintillation=np.stack([self._guiding.advance(*arguments), self._tracking.advance(*arguments)]),
            cloud=clouds(self._air, np.multiply(t_ns - self._rise_ns, 1e-9, dtype=np.float64)),
            clear_532=transmission(el_rad, self._air.extinction_532_db),
            clear_671=transmission(el_rad, self._air.extinction_671_db),
        )

    def _target(self, t_ns: IntArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        trajectory = self._trajectory_at(int(t_ns[0]))
        inside = (t_ns >= trajectory.start_ns) & (t_ns <= trajectory.end_ns)
        columns = np.full((5, len(t_ns)), np.nan)
        if inside.any():
            place = trajectory.table(t_ns[inside])
            spread = np.interp(place.el_rad, *self._dispersion)
            columns[:, inside] = place.az_rad, place.el_rad, place.range_m, place.polarization_angle_rad, spread
        return columns[0], columns[1], columns[2], columns[3], columns[4]


def rise_ns(trajectory: Trajectory, el_rad: float) -> int:
    """Time at which the satellite first reaches an elevation, to a second; the trajectory's start if it never does."""
    t_ns = np.arange(trajectory.start_ns, trajectory.end_ns, 10**9, dtype=np.int64)
    above = np.flatnonzero(trajectory.table(t_ns).el_rad >= el_rad)
    return int(t_ns[above[0]]) if len(above) else trajectory.start_ns
