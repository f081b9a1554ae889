"""Polarization angle in the tube at the measured axis angles."""

from __future__ import annotations

from math import cos, hypot, pi, remainder, sin

from qkd_gs.devices.mount import MountReading
from qkd_gs.orbit.target import TargetState
from qkd_gs.pointing.mount_model import AxisMotion, MountModel
from qkd_gs.pointing.polarization import convergence, polarization_angle_in_tube
from qkd_gs.tracking.control.prediction import place

WITHIN_NS = 100_000_000  # before the pass the state is that of its start: no extrapolation from there
ON_TRACK_RAD = 0.02  # farther off the satellite the angle is that of the prediction
ASTRAY_RAD = 100e-6  # farther off, as in a gap at the zenith, the telescope turns at another rate than the satellite
_STEP_S = 1e-3


def measured_polarization_angle(
    model: MountModel, reading: MountReading, state: TargetState[float]
) -> tuple[float, float]:
    """Angle of the satellite's H axis from the tube's horizontal, and its rate, at the stamp of the reading.

    Near the zenith the angle depends on the true azimuth of the telescope (`convergence`), and its rate, which the
    half-wave plate needs to be there in time, on that of the telescope.

    Parameters
    ----------
    model : MountModel
        The mount as calibrated; its roll is subtracted.
    reading : MountReading
        Measured axis angles.
    state : TargetState
        The satellite, estimated time bias included, at most 0.1 s after the reading.

    Returns
    -------
    polarization_angle_rad, polarization_rate_rad_s : float
        Counter-clockwise seen against the light.
    """
    t_ns = min(max(reading.stamp_ns, int(state.t_ns) - WITHIN_NS), int(state.t_ns))
    angle = state.polarization_angle_rad + state.polarization_rate_rad_s * (t_ns - state.t_ns) * 1e-9
    az, el = place(state, t_ns)
    here_az, here_el = model.apparent(reading.az_rad, reading.el_rad)
    rate, off_rad = state.polarization_rate_rad_s, hypot(remainder(here_az - az, 2 * pi) * cos(el), here_el - el)
    if off_rad < ON_TRACK_RAD:
        angle -= convergence(here_az, here_el, az, el)
        if off_rad > ASTRAY_RAD:
            rate -= (_azimuth_rate(model, reading) - state.az_rate_rad_s) * sin(0.5 * (here_el + el))
    axes = AxisMotion(t_ns, reading.az_rad, reading.el_rad, reading.az_rate_rad_s, reading.el_rate_rad_s, 0.0, 0.0)
    angle, rate = polarization_angle_in_tube(model, axes, angle, rate)
    return float(angle), float(rate)


def _azimuth_rate(model: MountModel, reading: MountReading) -> float:
    """Rate of the telescope's true azimuth, rad/s."""
    before, after = (
        model.apparent(reading.az_rad + reading.az_rate_rad_s * s, reading.el_rad + reading.el_rate_rad_s * s)[0]
        for s in (-_STEP_S, _STEP_S)
    )
    return remainder(after - before, 2 * pi) / (2 * _STEP_S)
