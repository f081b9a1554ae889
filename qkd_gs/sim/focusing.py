"""Autofocus in lockstep: the tracking camera on a star, its image blurred as the simulated focuser has it."""

from __future__ import annotations

from collections.abc import Callable

from qkd_gs.calibration.calibrator import star_tracks
from qkd_gs.calibration.focus import FocusState
from qkd_gs.calibration.star_focus import FocuserSeen, StarFocus
from qkd_gs.calibration.stars import Star
from qkd_gs.devices.focuser import Focuser
from qkd_gs.devices.mount import MountCommand, enable_if_off
from qkd_gs.errors import StationError
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.sim.finding import KeptFrames
from qkd_gs.sim.world import World
from qkd_gs.tracking.camera.camera_loop import CameraLoop
from qkd_gs.tracking.control.requests import TRACKING_STARS
from qkd_gs.tracking.types import CameraRole


def autofocus(
    world: World,
    station: StationSettings,
    model: MountModel,
    site: Site,
    star: Star,
    focuser: Focuser,
    start_ns: int,
    progress: Callable[[int, str], None] = lambda now_ns, text: None,
) -> tuple[StarFocus, int]:
    """Go to a star by the model, and focus; what was found, and the time of the end.

    Raises
    ------
    StationError
        No focus was found; with the reason.
    """
    focus = StarFocus(star, star_tracks(site), model, station, start_ns)
    kept = KeptFrames(world.tracking_camera)
    loop = CameraLoop(CameraRole.TRACKING, station.tracking_camera, kept)
    period_ns = round(1e9 / station.tracking.control_rate_hz)
    enable_if_off(world.mount, start_ns)
    now_ns, ordered, state = start_ns, -1, FocusState.RUNNING
    while state is FocusState.RUNNING:
        now_ns += period_ns
        world.advance(now_ns)
        loop.step(now_ns, TRACKING_STARS)
        seen = FocuserSeen(focuser.read(now_ns), focuser.travel())
        out = focus.step(now_ns, world.mount.read(now_ns), seen, kept.frames)
        if out.axes is not None:
            world.mount.command(now_ns, MountCommand(**vars(out.axes)))
        if out.focus_to is not None and out.focus_to != ordered:
            focuser.move(now_ns, out.focus_to)
            ordered = out.focus_to
        state = out.state
        progress(now_ns, out.message)
    loop.step(now_ns, None)
    if state is FocusState.FAILED:
        raise StationError(out.message)
    return focus, now_ns
