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
from qkd_gs.sim.metrics import polarization_part, tracking_part
from qkd_gs.sim.pass_log import FlightLog, StationStatus
from qkd_gs.sim.photons.receiver import receiver_rows
from qkd_gs.sim.physics.plant import Body, Interval
from qkd_gs.sim.remote.actuators import Drive, Floor, TruthBlock
from qkd_gs.sim.setup import Stage
from qkd_gs.timing.live import CountBin
from qkd_gs.tracking.record.manifest_keeper import finite

TRUTH_FILE = 'simulated_truth.json'


class LiveWorld(Body):
    """The body of the twin for devices in other processes.

    Parameters
    ----------
    stage : Stage
    tell : callable
        Takes a `TruthBlock` for every block of time gone by.
    """

    def __init__(self, stage: Stage, tell: Callable[[TruthBlock], None]) -> None:
        super().__init__(stage.settings, stage.station, stage.truth, stage.site, stage.seed, stage.begin_ns)
        self._stage, self._tell = stage, tell
        self._status = StationStatus()
        self._log: FlightLog | None = None
        self._floor: list[Floor] = []

    def _shown(self, rows: FloatArray, interval: Interval) -> None:
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

    # --- the truth of a session ---

    def begin_session(self) -> None:
        """A pass begins."""
        self._log, self._floor = FlightLog(self), []

    def station_status(self, status: StationStatus) -> None:
        """Take the newest status of the station."""
        self._status = status

    def count(self, full: CountBin) -> None:
        """Take the newest counts of the station."""
        if self._log is not None:
            self._log.count(full)

    def floor_of(self, floor: Floor) -> None:
        """The tracking camera has finished an exposure."""
        if self._log is not None:
            self._floor.append(floor)

    def take_truth(self, model: MountModel) -> Callable[[Path], None] | None:
        """The pass is over: what writes its truth into a folder, which takes a second and may be done in a thread.

        Parameters
        ----------
        model : MountModel
            As the station believes the mount to be.
        """
        log, floor, self._log, self._floor = self._log, self._floor, None, []
        stage = self._stage
        return None if log is None else lambda folder: _save_truth(folder, log, floor, stage, model)


def _save_truth(folder: Path, log: FlightLog, floor: list[Floor], stage: Stage, model: MountModel) -> None:
    """Write what only the truth can tell of a pass into its session's folder."""
    tilts = np.array([(f.stamp_ns, f.x_rad, f.y_rad) for f in floor], float).reshape(-1, 3)
    figures = {
        'tracking': finite(asdict(tracking_part(log, stage.truth, tilts, stage.station))),
        'polarization': finite(polarization_part(log, stage.predicted, model, stage.truth, stage.station)),
    }
    log.telemetry().save(folder)
    draft = folder / f'.{TRUTH_FILE}.new'
    draft.write_text(json.dumps(figures, indent=2) + '\n', encoding='utf-8')
    draft.replace(folder / TRUTH_FILE)
