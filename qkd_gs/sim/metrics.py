"""Metrics of a simulated pass that need the truth."""

from __future__ import annotations

from math import radians
from typing import Any

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.polarization import polarization_angle_in_tube
from qkd_gs.settings.station import StationSettings
from qkd_gs.sim.pass_log import PassLog
from qkd_gs.tracking.record.statistics import (
    Offsets,
    PassSamples,
    TrackingMetrics,
    counted_samples,
    tracking_metrics,
)
from qkd_gs.tracking.types import OVER, Phase

_URAD = 1e-6


def _samples(log: PassLog, truth: Trajectory, station: StationSettings) -> PassSamples:
    t_ns = log.times()
    x_rad, y_rad = log.column('x_urad') * _URAD, log.column('y_urad') * _URAD
    camera = station.guiding_camera
    half_rad = camera.scale_urad_px * _URAD * min(camera.width_px, camera.height_px) / 2
    lit, phase = log.column('lit') > 0, log.column('phase')
    return PassSamples(
        t_ns=t_ns,
        x_rad=x_rad,
        y_rad=y_rad,
        el_rad=truth.table(t_ns).el_rad,
        locked=phase == Phase.FINE,
        ended=np.isin(phase, OVER),
        lit=lit,
        in_guiding_field=lit & (np.hypot(x_rad, y_rad) < half_rad),
    )


def tracking_part(
    log: PassLog, truth: Trajectory, tilt_residuals: FloatArray, station: StationSettings
) -> TrackingMetrics:
    """Part ``tracking`` of the result; `tilt_residuals` as from `World.tilt_residuals`."""
    spot_t_ns, spot_x, spot_y = log.spots()
    return tracking_metrics(
        _samples(log, truth, station),
        Offsets(spot_t_ns, spot_x * _URAD, spot_y * _URAD),
        Offsets(tilt_residuals[:, 0].astype(np.int64), tilt_residuals[:, 1], tilt_residuals[:, 2]),
        radians(station.tracking.data_el_deg),
    )


def polarization_part(
    log: PassLog, predicted: Trajectory, model: MountModel, truth: Trajectory, station: StationSettings
) -> dict[str, Any]:
    """Part ``polarization``: largest polarization error while counted and locked, and with the elements alone.

    Without lock, as in a gap at the zenith, no light comes from the satellite whose polarization could be wrong.
    Open loop: the HWP exactly at the predicted polarization angle, without time bias and with the modelled roll of
    the mount.
    """
    samples = _samples(log, truth, station)
    counted = counted_samples(samples, radians(station.tracking.data_el_deg)) & samples.locked
    hwp_t_ns, error_rad = log.hwp()
    index = np.clip(np.searchsorted(samples.t_ns, hwp_t_ns), 0, len(samples.t_ns) - 1)
    during = counted[index]
    if not during.any():
        return {'max_error_deg': None, 'open_loop_error_deg': None, 'qber_cost': None}
    angles = []
    for path in (predicted, truth):
        place = path.table(hwp_t_ns[during])
        angle, _ = polarization_angle_in_tube(
            model, model.encoder_command(place), place.polarization_angle_rad, place.polarization_rate_rad_s
        )
        angles.append(angle)
    turn = np.remainder(angles[0] - angles[1] + np.pi / 2, np.pi) - np.pi / 2
    return {
        'max_error_deg': float(np.degrees(np.abs(error_rad[during]).max())),
        'open_loop_error_deg': float(np.degrees(np.abs(turn).max())),
        'qber_cost': float(np.mean(np.sin(error_rad[during]) ** 2)),
    }
