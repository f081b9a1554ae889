"""Both cameras of the twin, looking at stars."""

from __future__ import annotations

from qkd_gs.settings.station import StationSettings
from qkd_gs.sim.world import World
from qkd_gs.tracking.camera.camera_loop import CameraLoop
from qkd_gs.tracking.control.requests import GUIDING_STARS, TRACKING_STARS
from qkd_gs.tracking.types import CameraRole, SpotMeasurement

Spots = tuple[SpotMeasurement, ...]


class StarCameras:
    """Guiding and tracking camera of a world, as the station reads them."""

    def __init__(self, world: World, station: StationSettings) -> None:
        self._guiding = CameraLoop(CameraRole.GUIDING, station.guiding_camera, world.guiding_camera)
        self._tracking = CameraLoop(CameraRole.TRACKING, station.tracking_camera, world.tracking_camera)

    def spots(self, now_ns: int) -> tuple[Spots, Spots]:
        """Spots of the images that have arrived: of the guiding and of the tracking camera."""
        return (
            tuple(self._guiding.step(now_ns, GUIDING_STARS)),
            tuple(self._tracking.step(now_ns, TRACKING_STARS)),
        )

    def stop(self, now_ns: int) -> None:
        """Let both idle."""
        for camera in (self._guiding, self._tracking):
            camera.step(now_ns, None)
