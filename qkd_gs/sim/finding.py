"""The search for the telescope's orientation in lockstep: the station's code on the twin's mount and guiding camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import radians

import numpy as np

from qkd_gs.calibration.finding.search import REQUEST, Search, SearchOutputs, SearchState
from qkd_gs.calibration.finding.verdict import Found
from qkd_gs.calibration.plate_solving.solver import PlateSolver
from qkd_gs.devices.camera import Camera, CameraSettings, Frame
from qkd_gs.devices.mount import Mount, MountCommand, enable_if_off
from qkd_gs.errors import StationError
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.sim.physics.plant import Plant
from qkd_gs.sim.world import World
from qkd_gs.tracking.camera.camera_loop import CameraLoop
from qkd_gs.tracking.types import CameraRole

_STREAM = 0xC0A5
_COMPASS_RAD, _LEVEL_RAD = radians(10.0), radians(0.5)


@dataclass
class KeptFrames:
    """Camera that also keeps the images of the last call of `poll`."""

    camera: Camera
    frames: list[Frame] = field(default_factory=list)

    def open(self) -> None:
        """Open the camera."""
        self.camera.open()

    def configure(self, now_ns: int, settings: CameraSettings) -> None:
        """Configure the camera."""
        self.camera.configure(now_ns, settings)

    def poll(self, now_ns: int) -> list[Frame]:
        """Images that have arrived."""
        self.frames = self.camera.poll(now_ns)
        return self.frames

    def stop(self, now_ns: int) -> None:
        """Stop the stream."""
        self.camera.stop(now_ns)

    def close(self) -> None:
        """Close the camera."""
        self.camera.close()


def compass_alignment(plant: Plant, seed: int, misread_rad: float = 0.0) -> MountModel:
    """Zero points from a compass and a spirit level: azimuth good to 10 deg if not misread, elevation to 0.5 deg."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, _STREAM]))
    enc_az, enc_el = plant.axes_at(0.0, radians(40))
    off_az, off_el = rng.uniform(-1, 1, 2) * (_COMPASS_RAD, _LEVEL_RAD)
    return MountModel(IA=enc_az + off_az + misread_rad, IE=enc_el - radians(40) + off_el)


def find_itself(
    world: World,
    station: StationSettings,
    site: Site,
    compass: MountModel,
    solver: PlateSolver,
    start_ns: int,
    progress: Callable[[int, SearchOutputs], None],
    mount: Mount | None = None,
) -> tuple[Found, int]:
    """Search in the world from `start_ns` on; what was found, and the time of the end.

    Parameters
    ----------
    mount : Mount, optional
        In the place of the world's, e.g. one with an encoder that counts backwards.

    Raises
    ------
    StationError
        Nothing was found; with the reason.
    """
    mount = mount or world.mount
    search = Search(site, station, compass, solver, start_ns)
    kept = KeptFrames(world.guiding_camera)
    loop = CameraLoop(CameraRole.GUIDING, station.guiding_camera, kept)
    period_ns = round(1e9 / station.tracking.control_rate_hz)
    enable_if_off(mount, start_ns)
    now_ns = start_ns
    while search.state in (SearchState.RUNNING, SearchState.SOLVING):
        now_ns += period_ns
        world.advance(now_ns)
        loop.step(now_ns, REQUEST)
        outputs = search.step(now_ns, mount.read(now_ns), kept.frames)
        if outputs.axes is not None:
            mount.command(now_ns, MountCommand(**vars(outputs.axes)))
        if outputs.work is not None:
            search.finish(now_ns, outputs.work())
        progress(now_ns, outputs)
    loop.step(now_ns, None)
    outputs = search.step(now_ns, mount.read(now_ns), ())
    if search.found is None:
        raise StationError(outputs.message)
    return search.found, now_ns
