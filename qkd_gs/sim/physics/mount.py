"""Simulated mount: two direct drives with servo, encoders, limits and watchdog.  Mount Protocol."""

from __future__ import annotations

from collections import deque
from math import exp, pi, radians, tau

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.devices.mount import MountCommand, MountMode, MountReading, check_set_point
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.station import AxisSettings, MountSettings
from qkd_gs.settings.twin_plant import AxisPlantSettings, Gust, MountPlantSettings
from qkd_gs.sim.physics import axis_kernel as kernel

_GUST_NS = 10_000_000  # interval of constant gust torque
_AT_REST_RAD_S = 1e-9
_NEVER = 10**9  # sub-steps
_CALM = np.zeros(2)

_DRIVE = {
    MountMode.OFF: kernel.BRAKED,
    MountMode.HOLD: kernel.HOLDING,
    MountMode.TRACK: kernel.FOLLOWING,
    MountMode.STOPPING: kernel.STOPPING,
    MountMode.FAULT: kernel.BRAKED,
}


class SimMount:
    """A mount that moves with simulated time.

    Parameters
    ----------
    plant : MountPlantSettings
        Properties of drives and axes.
    station : MountSettings
        Limits and watchdog set in the drives.
    start_ns : int
        Time at which the mount is at its park position, brakes on.
    sample_hz : int
        Samples of the true axis angles a second; divides the rate of the velocity loop.
    rng : numpy.random.Generator
        Wind and encoder noise.
    """

    def __init__(
        self, plant: MountPlantSettings, station: MountSettings, start_ns: int, sample_hz: int, rng: np.random.Generator
    ) -> None:
        self._rate_hz = plant.servo.velocity_loop_hz
        self._step_ns = 10**9 // self._rate_hz
        self._every = self._rate_hz // sample_hz
        self._plant, self._station, self._rng = plant, station, rng
        self._delay_ns = round(plant.servo.command_delay_s * 1e9)
        self._watchdog_ns = round(station.watchdog_s * 1e9)
        self._following_limit_rad = plant.servo.following_limit_mrad * 1e-3
        self._constants = np.array(
            [
                _constants(plant, plant.azimuth, station.azimuth),
                _constants(plant, plant.elevation, station.elevation),
            ]
        )
        self._state = np.zeros((2, kernel.STATES))
        self._state[:, kernel.ANGLE] = radians(station.park_az_deg), radians(station.park_el_deg)
        self._state[:, kernel.MEASURED] = self._state[:, kernel.ANGLE]
        self._gusts: tuple[tuple[int, int, float], ...] = ()
        self._mode = MountMode.OFF
        self._fault = ''
        self._command = np.zeros((2, 3))
        self._command_ns = start_ns
        self._received_ns = start_ns
        self._queue: deque[tuple[int, MountCommand]] = deque()
        self._now_ns = start_ns

    def open(self) -> None: ...

    def enable(self, now_ns: int) -> None:
        """Release the brakes and hold the present position; clears a fault."""
        if self._mode not in (MountMode.OFF, MountMode.FAULT):
            return
        state = self._state
        state[:, kernel.REF] = state[:, kernel.MEASURED]
        for column in (kernel.REF_RATE, kernel.INTEGRAL, kernel.DEMAND):
            state[:, column] = 0.0
        self._mode, self._fault = MountMode.HOLD, ''

    def command(self, now_ns: int, command: MountCommand) -> None:
        """Follow a set-point; see the Protocol.

        Raises
        ------
        DeviceFault
            ``mount.limit`` beyond the end of travel, ``mount.command`` not a number, ``mount.off`` while the
            brakes are on.
        """
        if self._mode in (MountMode.OFF, MountMode.FAULT):
            raise DeviceFault('mount.off', f'set-point in mode {self._mode.name}; enable first')
        check_set_point(self._station, command)
        self._queue.append((now_ns + self._delay_ns, command))

    def read(self, now_ns: int) -> MountReading:
        """Both encoders at the last sub-step."""
        return MountReading(
            self._now_ns,
            self._state.item(0, kernel.MEASURED),
            self._state.item(1, kernel.MEASURED),
            self._state.item(0, kernel.MEASURED_RATE),
            self._state.item(1, kernel.MEASURED_RATE),
            self._mode,
            self._fault,
        )

    def stop(self, now_ns: int) -> None:
        """Brake both axes to rest, then hold."""
        self._queue.clear()
        if self._mode == MountMode.TRACK:
            self._mode = MountMode.STOPPING

    def close(self) -> None:
        """Power off: brakes on."""
        self._queue.clear()
        self._mode = MountMode.OFF

    # ---- simulation side ----

    def set_gusts(self, gusts: tuple[Gust, ...], rise_ns: int) -> None:
        """Set the gusts of a scenario; times count from the rise of the satellite."""
        self._gusts = tuple(
            (rise_ns + round(gust.start_s * 1e9), round(gust.duration_s * 1e9), gust.torque_n_m) for gust in gusts
        )

    def true_angles(self) -> tuple[float, float]:
        """Angles of the axes now, rad, without the encoders' errors."""
        return self._state.item(0, kernel.ANGLE), self._state.item(1, kernel.ANGLE)

    def advance(self, samples: int) -> FloatArray:
        """Advance by a number of samples.

        Returns
        -------
        (samples, 2) array
            True azimuth and elevation axis angle at the end of each sample, rad.
        """
        out = np.empty((samples, 2))
        done, total = 0, samples * self._every
        noise = self._rng.standard_normal((total, 2, 2))
        while done < total:
            self._apply_due()
            steps = min(total - done, self._steps_to_next_event())
            self._run(noise[done : done + steps], done, out)
            done += steps
        self._apply_due()
        return out

    def _apply_due(self) -> None:
        """Apply set-points that have arrived, and the watchdog."""
        while self._queue and self._queue[0][0] <= self._now_ns:
            self._apply(*self._queue.popleft())
        if self._mode == MountMode.TRACK and self._expiry_ns() <= self._now_ns:
            self._mode = MountMode.STOPPING

    def _expiry_ns(self) -> int:
        return self._received_ns + self._watchdog_ns

    def _steps_to_next_event(self) -> int:
        """Sub-steps until the next set-point, the watchdog or the next value of a gust; at least one."""
        events = [self._queue[0][0]] if self._queue else []
        if self._mode == MountMode.TRACK:
            events.append(self._expiry_ns())
        if self._gusts:
            events.append((self._now_ns // _GUST_NS + 1) * _GUST_NS)
        if not events:
            return _NEVER
        return max(-(-(min(events) - self._now_ns) // self._step_ns), 1)

    def _apply(self, received_ns: int, command: MountCommand) -> None:
        self._command[0] = command.az_rad, command.az_rate_rad_s, command.az_acc_rad_s2
        self._command[1] = command.el_rad, command.el_rate_rad_s, command.el_acc_rad_s2
        self._command_ns, self._received_ns = command.at_ns, received_ns
        if self._mode in (MountMode.HOLD, MountMode.STOPPING):
            self._mode, self._fault = MountMode.TRACK, ''

    def _run(self, noise: FloatArray, done: int, out: FloatArray) -> None:
        steps = len(noise)
        elapsed_s = (self._now_ns - self._command_ns) * 1e-9
        limited = kernel.run(
            self._state, self._constants, self._command, elapsed_s, _DRIVE[self._mode], steps,
            self._step_ns * 1e-9, self._plant.servo.position_divisor, self._every, noise, self._gust(), done, out,
        )  # fmt: skip
        self._now_ns += steps * self._step_ns
        if limited:
            self._mode, self._fault = MountMode.STOPPING, 'mount.limit'
        value = self._state.item
        if self._mode == MountMode.STOPPING:
            rate = max(abs(value(axis, kernel.REF_RATE)) for axis in range(2))
            self._mode = MountMode.HOLD if rate < _AT_REST_RAD_S else self._mode
        following = max(abs(value(axis, kernel.REF) - value(axis, kernel.MEASURED)) for axis in range(2))
        if following > self._following_limit_rad and self._mode not in (MountMode.OFF, MountMode.FAULT):
            self._mode, self._fault = MountMode.FAULT, 'mount.following_error'

    def _gust(self) -> FloatArray:
        if not self._gusts:
            return _CALM
        torque = 0.0
        for start_ns, duration_ns, peak in self._gusts:
            phase = (self._now_ns - start_ns) / duration_ns
            if 0 < phase < 1:
                torque += peak * (1 - np.cos(tau * phase)) / 2
        return np.full(2, torque)


def _constants(plant: MountPlantSettings, axis: AxisPlantSettings, limits: AxisSettings) -> FloatArray:
    servo, encoder = plant.servo, plant.encoder
    dt = 1 / servo.velocity_loop_hz
    stiffness = axis.inertia_kg_m2 * tau * servo.velocity_hz
    position = tau * servo.position_hz
    c = np.zeros(kernel.CONSTANTS)
    c[kernel.INERTIA] = axis.inertia_kg_m2
    c[kernel.COULOMB] = axis.coulomb_n_m
    c[kernel.VISCOUS] = axis.viscous_n_m_s
    c[kernel.PRESLIDING] = axis.presliding_urad * 1e-6
    c[kernel.TORQUE_MAX] = axis.torque_limit_n_m
    c[kernel.BRAKE] = servo.brake_n_m
    c[kernel.FEEDFORWARD] = axis.inertia_kg_m2 * (1 + servo.inertia_error)
    c[kernel.KV] = stiffness
    c[kernel.KP] = position
    c[kernel.KI] = position * tau * servo.integral_hz
    c[kernel.FILTER] = 1 - exp(-tau * servo.filter_hz * dt)
    c[kernel.LAG] = 1 - exp(-dt / servo.current_lag_s)
    c[kernel.SHAPING] = tau * servo.shaping_hz
    c[kernel.RATE_MAX] = radians(limits.max_rate_deg_s) * (1 - servo.rate_reserve)
    c[kernel.ACC_MAX] = radians(limits.max_acc_deg_s2) * (1 - servo.acceleration_reserve)
    c[kernel.ANGLE_MIN] = radians(limits.min_deg)
    c[kernel.ANGLE_MAX] = radians(limits.max_deg)
    c[kernel.LSB] = 2 * pi / 2**encoder.bits
    c[kernel.PERIODS] = encoder.periods
    c[kernel.INTERPOLATION] = encoder.interpolation_urad * 1e-6
    c[kernel.JITTER] = encoder.jitter_urad * 1e-6
    c[kernel.WIND_RMS] = axis.wind_n_m
    c[kernel.WIND_OMEGA] = tau * plant.wind_corner_hz
    return c
