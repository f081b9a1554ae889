"""Plant and cameras of the twin in one process, in lockstep."""

from __future__ import annotations

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import TwinSettings
from qkd_gs.sim.imaging.camera_feed import SimCameraFeed
from qkd_gs.sim.imaging.starfield import Stars
from qkd_gs.sim.physics.plant import Interval, Plant
from qkd_gs.tracking.types import CameraRole


class World(Plant):
    """The physical world of a session without the photon receiver: plant and cameras.

    Parameters
    ----------
    stars : sequence of Stars
        Bright stars of the catalogue, in addition to the random field of faint ones.
    """

    def __init__(
        self,
        settings: TwinSettings,
        station: StationSettings,
        truth: Trajectory,
        site: Site,
        seed: int,
        start_ns: int | None = None,
        stars: tuple[Stars, ...] = (),
    ) -> None:
        super().__init__(settings, station, truth, site, seed, start_ns)
        row = self.first_row()
        self._feeds = [
            SimCameraFeed(role, settings, station, site, seed, self.now_ns, row, stars) for role in CameraRole
        ]
        self.guiding_camera, self.tracking_camera = (feed.camera for feed in self._feeds)

    def _publish(self, rows: FloatArray, interval: Interval) -> None:
        for feed in self._feeds:
            feed.update(self.now_ns, rows)

    def tilt_residuals(self) -> FloatArray:
        """Turbulence tilt averaged over each exposure of the tracking camera, (n, 3): stamp (ns), x, y (rad)."""
        return np.array(self.tracking_camera.tilt_residuals, dtype=float).reshape(-1, 3)
