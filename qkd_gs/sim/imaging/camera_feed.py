"""Simulated camera feed: one camera and the recent true state; runs in the process that reads its images."""

from __future__ import annotations

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.calibration.plate_solving.catalogues import GAIA_EPOCH, gaia
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import TwinSettings
from qkd_gs.settings.twin_plant import SkySettings
from qkd_gs.sim.imaging.camera import SimCamera
from qkd_gs.sim.imaging.catalogue_field import CatalogueField
from qkd_gs.sim.imaging.exposure import View
from qkd_gs.sim.imaging.render import noise_bank
from qkd_gs.sim.imaging.starfield import RandomField, Stars
from qkd_gs.sim.imaging.tycho import TYCHO_EPOCH, anonymous
from qkd_gs.sim.physics.plant import draws
from qkd_gs.sim.physics.state_history import Column, History
from qkd_gs.sim.physics.true_camera import TrueCameraGeometry
from qkd_gs.tracking.types import CameraRole

_NOISE = 1 << 21  # numbers in a camera's noise bank
_KEEP_S = 2.0  # of history: longer than any exposure


class SimCameraFeed:
    """Camera that is fed with the true state, block by block.

    Parameters
    ----------
    start_ns : int
        Time of `row`.
    row : (columns, 1) array
        State at the start, from `Plant.first_row`.
    stars : sequence of Stars
        Bright stars of the catalogue, in addition to the random field of faint ones.
    """

    def __init__(
        self,
        role: CameraRole,
        settings: TwinSettings,
        station: StationSettings,
        site: Site,
        seed: int,
        start_ns: int,
        row: FloatArray,
        stars: tuple[Stars, ...] = (),
    ) -> None:
        plant, streams = settings.plant, draws(seed)
        sample_ns = 10**9 // plant.sample_hz
        self._history = History(start_ns - sample_ns, sample_ns, round(_KEEP_S * plant.sample_hz))
        self._history.append(row)
        model, camera, column, rng = {
            CameraRole.GUIDING: (station.guiding_camera, plant.guiding_camera, Column.GUIDING, streams[7]),
            CameraRole.TRACKING: (station.tracking_camera, plant.tracking_camera, Column.TRACKING, streams[8]),
        }[role]
        groups: tuple[Stars, ...] = (_faint_stars(plant.sky, site, start_ns, streams[5]), *stars)
        geometry = TrueCameraGeometry.as_built(model, camera, rng)
        view = View(model, camera, plant.sky, geometry, self._history, groups, column)
        self.camera = SimCamera(model, camera, view, noise_bank(streams[6], _NOISE), rng)

    def update(self, now_ns: int, rows: FloatArray) -> None:
        """Append the true state up to `now_ns`, rows of `Column` (columns, n); finishes exposures that end by then."""
        self._history.append(rows)
        self.camera.advance(now_ns)

    def hold(self, until_ns: int, row: FloatArray) -> None:
        """Keep the state (columns, 1) until `until_ns`, for a time of which nothing is known."""
        self._history.hold(until_ns, row)


def _faint_stars(sky: SkySettings, site: Site, start_ns: int, rng: np.random.Generator) -> Stars:
    """The stars that are not in the station's catalogue."""
    if sky.stars == 'gaia':
        table = gaia()
        fainter = table[table['mag'] > sky.stars_brightest_mag]
        return CatalogueField(site, start_ns, fainter, GAIA_EPOCH)
    if sky.stars == 'tycho':
        return CatalogueField(site, start_ns, anonymous(), TYCHO_EPOCH)
    return RandomField(sky, site, rng)
