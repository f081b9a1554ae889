"""Drivers of the simulated cameras, TDC and GPS receiver for processes of their own, fed with the world's true state.

Images and tags are generated where they are read: no image is copied between processes, and no tag leaves the process
that seals it.
"""

from __future__ import annotations

import numpy as np

from qkd_gs.devices.calibration_light import NO_READING, CalibrationLightReading
from qkd_gs.devices.camera import CameraSettings, Frame
from qkd_gs.devices.dome import DomeReading, Shutter
from qkd_gs.devices.hwp import HwpReading
from qkd_gs.devices.open_state import OpenState
from qkd_gs.sim.enclosure import SimDome
from qkd_gs.sim.imaging.camera_feed import SimCameraFeed
from qkd_gs.sim.photons.calibration_photons import CalibrationPhotons
from qkd_gs.sim.photons.light_meter import View
from qkd_gs.sim.photons.receiver import Received, receiver_state
from qkd_gs.sim.photons.starlight import Starlight
from qkd_gs.sim.physics.focus import defocus_px
from qkd_gs.sim.physics.state_history import Column
from qkd_gs.sim.remote.actuators import SAMPLE_NS, FocuserState, Link, TiltResidual, TruthBlock
from qkd_gs.sim.simulation_setup import SimulationSetup
from qkd_gs.timing.tags import TagBlock
from qkd_gs.tracking.types import CameraRole


class RemoteCamera:
    """Camera driver; images are rendered here, from the world's true state.

    Parameters
    ----------
    setup : SimulationSetup
        With the world's seed.
    """

    def __init__(self, role: CameraRole, setup: SimulationSetup, link: Link) -> None:
        self._state = OpenState('camera')
        self._role, self._setup, self._link = role, setup, link
        self._feed: SimCameraFeed | None = None
        self._blur_px = 0.0

    def open(self) -> None:
        """Subscribe to the world."""
        self._state.is_open = True
        self._link.listen('truth', TruthBlock, self._see)
        if self._role is CameraRole.TRACKING:
            self._link.listen('focuser/state', FocuserState, self._focused)

    def _focused(self, state: FocuserState) -> None:
        settings, reading = self._setup.settings.surroundings.focus, state.reading
        self._blur_px = defocus_px(settings, reading.position, reading.temperature_c)

    def _see(self, block: TruthBlock) -> None:
        rows = block.rows[: len(Column)]
        if self._feed is None:
            setup, first_ns = self._setup, block.end_ns - rows.shape[1] * SAMPLE_NS
            self._feed = SimCameraFeed(
                self._role, setup.settings, setup.station, setup.site, setup.seed, first_ns, rows[:, :1], (setup.stars,)
            )
            self._feed.camera.blur_px = lambda _: self._blur_px
            self._next_ns = block.end_ns
        elif block.end_ns - rows.shape[1] * SAMPLE_NS > self._next_ns:  # blocks were lost: hold the state
            self._feed.hold(block.end_ns - rows.shape[1] * SAMPLE_NS, rows[:, :1])
        self._next_ns = block.end_ns
        self._feed.update(block.end_ns, rows)
        if self._role is CameraRole.TRACKING:
            residuals = self._feed.camera.tilt_residuals
            for stamp_ns, x_rad, y_rad in residuals:
                self._link.send('tilt_residual', TiltResidual(stamp_ns, x_rad, y_rad))
            residuals.clear()

    def configure(self, now_ns: int, settings: CameraSettings) -> None:
        """Take effect with the next exposure; starts the stream."""
        self._state.require()
        self._link.poll()
        if self._feed is not None:
            self._feed.camera.configure(min(now_ns, self._next_ns), settings)

    def poll(self, now_ns: int) -> list[Frame]:
        """Images that have arrived since the last call."""
        self._state.require()
        self._link.poll()
        return self._feed.camera.poll(now_ns) if self._feed is not None else []

    def stop(self, now_ns: int) -> None:
        """Stop the stream."""
        if self._feed is not None:
            self._feed.camera.stop(now_ns)

    def close(self) -> None:
        """Stop the stream, drop what has not been fetched."""
        self._state.is_open = False
        if self._feed is not None:
            self._feed.camera.close()


class RemoteTdc:
    """TDC driver; photons are drawn here.

    Attributes
    ----------
    record : SatelliteRecord
        Transmission record of the simulated satellite for the pass of the last run; belongs into the session.
    """

    def __init__(self, setup: SimulationSetup, link: Link) -> None:
        self._state = OpenState('tdc')
        self._setup, self._link = setup, link
        self._number = setup.pass_at(setup.begin_ns).number
        self.record, self._tdc = setup.receiver_at(setup.begin_ns)
        self._starlight: Starlight | None = None  # in the place of `_tdc` in a run between two passes
        self._seen_ns = 0
        self._closed = False
        self._light, self._hwp_rad = NO_READING, 0.0
        self._photons: CalibrationPhotons | None = None  # of the calibration light, in the same run as `_starlight`
        self._blocks: list[TruthBlock] = []  # not passed on yet

    def open(self) -> None:
        """Subscribe to the world, and to the shutter, the half-wave plate and the calibration light."""
        self._state.is_open = True
        self._link.listen('truth', TruthBlock, self._see)
        self._link.listen('dome/state', DomeReading, self._shut)
        self._link.listen('hwp/state', HwpReading, self._turned)
        self._link.listen('calibration_light/state', CalibrationLightReading, self._lit)

    def _shut(self, reading: DomeReading) -> None:
        self._closed = reading.shutter is Shutter.CLOSED

    def _turned(self, reading: HwpReading) -> None:
        self._hwp_rad = reading.angle_rad

    def _lit(self, reading: CalibrationLightReading) -> None:
        self._light = reading

    def _see(self, block: TruthBlock) -> None:
        before_ns, self._seen_ns = self._seen_ns, block.end_ns
        if self._starlight is not None:
            if self._closed:
                self._starlight.observe_dark(block.end_ns)
            else:
                self._starlight.observe(_view(block))
            if self._light.lit:
                self._shine(max(before_ns, self._start_ns), block.end_ns)
        elif np.isfinite(block.rows[len(Column) + Received.OFFSET, 0]):
            self._blocks.append(block)

    def _shine(self, from_ns: int, to_ns: int) -> None:
        """Photons of the calibration light."""
        setup = self._setup
        if self._photons is None:
            self._photons = CalibrationPhotons(setup.settings, setup.station, setup.seed, self._start_ns)
        if self._starlight is not None and from_ns < to_ns:
            self._starlight.add(self._photons.between(from_ns, to_ns, self._light.brightness, self._hwp_rad))

    def _update(self) -> None:
        """Pass the true state since the last call on to the simulated receiver."""
        self._link.poll()
        if self._blocks:
            times = np.concatenate([block.times() for block in self._blocks])
            received = np.concatenate([block.rows[len(Column) :] for block in self._blocks], axis=1)
            self._blocks.clear()
            self._tdc.observe(receiver_state(times, received))

    def start(self, now_ns: int) -> None:
        """Begin a run."""
        self._state.require()
        self._starlight = None
        self._update()
        number = self._setup.pass_at(now_ns).number
        if number != self._number:
            self._number = number
            self.record, self._tdc = self._setup.receiver_at(now_ns)
        self._tdc.start(now_ns)

    def start_between_passes(self, now_ns: int) -> None:
        """Begin a run without the satellite: stars and sky where the telescope looks, and the calibration light."""
        self._state.require()
        self._update()
        setup = self._setup
        self._start_ns, self._photons = now_ns, None
        self._starlight = Starlight(setup.settings.photonics, setup.site, setup.seed, now_ns)

    def poll(self, now_ns: int) -> TagBlock:
        """Tags since the last call, as far as the world's state is known."""
        self._state.require()
        self._update()
        if self._starlight is not None:
            return self._starlight.poll()
        return self._tdc.poll(min(now_ns, self._seen_ns))

    def stop(self, now_ns: int) -> None:
        """End the run."""
        self._starlight = None
        self._tdc.stop(now_ns)

    def close(self) -> None:
        """End the run."""
        self._state.is_open = False
        self._tdc.stop(self._seen_ns)


class RemoteDome(SimDome):
    """Dome driver, which also tells the simulated detectors of its shutter."""

    def __init__(self, setup: SimulationSetup, link: Link) -> None:
        super().__init__(setup)
        self._link = link

    def read(self, now_ns: int) -> DomeReading:
        """State of the shutter."""
        reading = super().read(now_ns)
        self._link.send('dome/state', reading)
        return reading


def _view(block: TruthBlock) -> View:
    """View of the telescope at the end of a block."""
    columns = Column.AZ, Column.EL, Column.TILT_X, Column.TILT_Y, len(Column) + Received.FADE
    return View(block.end_ns, *(float(block.rows[column, -1]) for column in columns))
