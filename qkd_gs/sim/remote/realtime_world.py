"""The twin's physical state in a process of its own: advanced with station time, published to simulated devices."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from math import isnan
from pathlib import Path

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.devices.mount import MountCommand
from qkd_gs.errors import DeviceFault
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.session.atomic_file import replace_file
from qkd_gs.settings.station import StationSettings
from qkd_gs.sim.metrics import polarization_part, tracking_part
from qkd_gs.sim.pass_log import PassLog, StationStatus
from qkd_gs.sim.photons.receiver import receiver_rows
from qkd_gs.sim.physics.calibration_light import SimCalibrationLight
from qkd_gs.sim.physics.focus import SimFocuser
from qkd_gs.sim.physics.plant import Interval, Plant
from qkd_gs.sim.remote.actuators import HALT, Drive, FocuserState, TiltResidual, TruthBlock
from qkd_gs.sim.simulated_pass import SimulatedPass
from qkd_gs.sim.simulation_setup import SimulationSetup
from qkd_gs.timing.live import CountBin
from qkd_gs.tracking.record.manifest_writer import finite

TRUTH_FILE = 'simulated_truth.json'


class RealtimeWorld(Plant):
    """The plant of the twin for devices in other processes.

    Parameters
    ----------
    setup : SimulationSetup
    tell : callable
        Takes a `TruthBlock` for every block of time gone by.
    """

    def __init__(self, setup: SimulationSetup, tell: Callable[[TruthBlock], None]) -> None:
        super().__init__(
            setup.settings,
            setup.station,
            setup.truth,
            setup.site,
            setup.seed,
            setup.begin_ns,
            lambda t_ns: setup.pass_at(t_ns).truth,
        )
        self._setup, self._tell = setup, tell
        focus = setup.settings.surroundings.focus
        self._focuser, self._max_step = SimFocuser(focus, setup.site.temperature_c), focus.max_step
        self._focuser.open()
        self.calibration_light = SimCalibrationLight(setup.settings.surroundings.calibration_light)
        self.calibration_light.open()
        self._status = StationStatus()
        self._log: PassLog | None = None
        self._pass = setup.pass_at(setup.begin_ns)
        self._tilt_residuals: list[TiltResidual] = []

    def _publish(self, rows: FloatArray, interval: Interval) -> None:
        received = receiver_rows(interval, self.polarization_error_rad(interval))
        self._tell(TruthBlock(self.now_ns, np.concatenate([rows, received])))

    def step(self, now_ns: int) -> None:
        """Let time go by; keep the truth of a running session."""
        self.advance(now_ns)
        interval = self.interval()
        if self._log is not None and len(interval.t_ns):
            self._log.add(self.now_ns, interval, self._status)
            if not isnan(self._status.error_x_urad):  # a spot counts once
                self._status = StationStatus(self._status.phase, self._status.time_bias_s, self._status.cross_track_m)

    # --- orders of the actuator drivers ---

    def drive(self, now_ns: int, order: Drive) -> None:
        """Drives on, off, or to rest."""
        act = {Drive.OFF: lambda _: self.mount.close(), Drive.ENABLE: self.mount.enable, Drive.STOP: self.mount.stop}
        act[order](now_ns)

    def set_point(self, now_ns: int, command: MountCommand) -> None:
        """A set-point on the drives' bus; drives that are off do not answer, as real ones."""
        try:
            self.mount.command(now_ns, command)
        except DeviceFault as fault:
            if fault.code != 'mount.off':
                raise

    def shine(self, now_ns: int, on: bool) -> None:
        """Our beacon on or off; an open interlock keeps it dark."""
        if not on:
            self.beacon.off(now_ns)
            return
        try:
            self.beacon.on(now_ns)
        except DeviceFault as fault:
            if fault.code != 'beacon.interlock':
                raise

    def move_hwp(self, now_ns: int, angle_rad: float) -> None:
        """Move the half-wave plate to an angle; NaN stops it."""
        if isnan(angle_rad):
            self.hwp.stop(now_ns)
        else:
            self.hwp.move(now_ns, angle_rad)

    def light_up(self, now_ns: int, brightness: float) -> None:
        """Calibration light on, with a share of its full brightness; 0: off."""
        if brightness:
            self.calibration_light.on(now_ns, brightness)
        else:
            self.calibration_light.off(now_ns)

    def move_focuser(self, now_ns: int, position: int) -> None:
        """Move the focuser to a position, or halt it."""
        if position == HALT:
            self._focuser.halt(now_ns)
        else:
            self._focuser.move(now_ns, position)

    def focuser_state(self, now_ns: int) -> FocuserState:
        """Of the focuser; the tube is as warm as the air of the site."""
        return FocuserState(self._focuser.read(now_ns), self._max_step)

    # --- the truth of a session ---

    def begin_session(self) -> None:
        """A pass begins."""
        self._log, self._tilt_residuals = PassLog(self), []
        self._pass = self._setup.pass_at(self.now_ns)

    def station_status(self, status: StationStatus) -> None:
        """Take the newest status of the station."""
        self._status = status

    def count(self, full: CountBin) -> None:
        """Take the newest counts of the station."""
        if self._log is not None:
            self._log.count(full)

    def add_tilt_residual(self, residual: TiltResidual) -> None:
        """The tracking camera has finished an exposure."""
        if self._log is not None:
            self._tilt_residuals.append(residual)

    def take_truth(self, model: MountModel) -> Callable[[Path], None] | None:
        """The pass is over: what writes its truth into a folder, which takes a second and may be done in a thread.

        Parameters
        ----------
        model : MountModel
            As the station believes the mount to be.
        """
        log, residuals = self._log, self._tilt_residuals
        self._log, self._tilt_residuals = None, []
        one, station = self._pass, self._setup.station
        return None if log is None else lambda folder: _save_truth(folder, log, residuals, one, station, model)


def _save_truth(
    folder: Path,
    log: PassLog,
    residuals: list[TiltResidual],
    one: SimulatedPass,
    station: StationSettings,
    model: MountModel,
) -> None:
    """Write what only the truth can tell of a pass into its session's folder."""
    tilts = np.array([(f.stamp_ns, f.x_rad, f.y_rad) for f in residuals], float).reshape(-1, 3)
    figures = {
        'tracking': finite(asdict(tracking_part(log, one.truth, tilts, station))),
        'polarization': finite(polarization_part(log, one.predicted, model, one.truth, station)),
    }
    log.telemetry().save(folder)
    replace_file(folder / TRUTH_FILE, json.dumps(figures, indent=2) + '\n')
