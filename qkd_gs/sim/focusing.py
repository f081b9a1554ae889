"""Autofocus in lockstep: the tracking camera on a star, its image blurred as the simulated focuser has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from qkd_gs.calibration.calibrator import star_tracks
from qkd_gs.calibration.focus import Autofocus, FocusState
from qkd_gs.calibration.stars import Star
from qkd_gs.devices.focuser import Focuser
from qkd_gs.devices.mount import MountCommand, enable_if_off
from qkd_gs.pointing.azimuth_turn import nearest_turn
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.sim.finding import KeptFrames
from qkd_gs.sim.world import World
from qkd_gs.tracking.camera.camera_loop import CameraLoop
from qkd_gs.tracking.control.requests import TRACKING_STARS
from qkd_gs.tracking.types import CameraRole

_SLEW_NS = 30 * 10**9
_LONGEST_NS = 600 * 10**9


def autofocus(
    world: World,
    station: StationSettings,
    model: MountModel,
    site: Site,
    star: Star,
    focuser: Focuser,
    span: int,
    start_ns: int,
    progress: Callable[[int, str], None] = lambda now_ns, text: None,
) -> tuple[Autofocus, int]:
    """Go to a star by the model, and focus; the run, and the time of its end."""
    track = star_tracks(site)(star, start_ns, start_ns + _LONGEST_NS)
    kept = KeptFrames(world.tracking_camera)
    loop = CameraLoop(CameraRole.TRACKING, station.tracking_camera, kept)
    period_ns = round(1e9 / station.tracking.control_rate_hz)
    enable_if_off(world.mount, start_ns)
    enc_az, _ = model.encoder(track.at(start_ns).az_rad, track.at(start_ns).el_rad)
    turn = nearest_turn(float(enc_az), station.mount.azimuth, world.mount.read(start_ns).az_rad)
    run: Autofocus | None = None
    now_ns, ordered = start_ns, -1
    while run is None or run.state is FocusState.RUNNING:
        now_ns += period_ns
        world.advance(now_ns)
        axes = model.encoder_command(track.at(now_ns))
        world.mount.command(now_ns, MountCommand(**vars(replace(axes, az_rad=axes.az_rad + turn))))
        loop.step(now_ns, TRACKING_STARS)
        if run is None and now_ns - start_ns > _SLEW_NS:
            run = Autofocus(focuser.read(now_ns), focuser.travel(), span, now_ns)
        if run is not None:
            position = run.step(now_ns, focuser.read(now_ns), kept.frames)
            if position != ordered:
                focuser.move(now_ns, position)
                ordered = position
        progress(now_ns, f'going to {star.name}' if run is None else run.message)
    loop.step(now_ns, None)
    return run, now_ns
