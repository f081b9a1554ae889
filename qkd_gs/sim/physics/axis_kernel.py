"""Servo, motor and bearing of both axes in one compiled loop."""

from __future__ import annotations

from math import exp, sin, sqrt

import numpy as np

from qkd_gs.jit import njit

# Columns of the state of an axis.
ANGLE, RATE, FRICTION, TORQUE, REF, REF_RATE, REF_ACC, INTEGRAL, DEMAND, MEASURED, MEASURED_RATE, WIND, WIND_RATE = (
    range(13)
)
STATES = 13
# Columns of the constants of an axis.
(
    INERTIA,
    COULOMB,
    VISCOUS,
    PRESLIDING,
    TORQUE_MAX,
    BRAKE,
    FEEDFORWARD,
    KV,
    KP,
    KI,
    FILTER,
    LAG,
    SHAPING,
    RATE_MAX,
    ACC_MAX,
    ANGLE_MIN,
    ANGLE_MAX,
    LSB,
    PERIODS,
    INTERPOLATION,
    JITTER,
    WIND_RMS,
    WIND_OMEGA,
) = range(23)
CONSTANTS = 23
# Modes of the drive in the loop.
FREE, BRAKED, HOLDING, FOLLOWING, STOPPING = range(5)  # HOLDING and later: with torque


@njit(cache=True)
def shape(ref, rate, target, target_rate, target_acc, shaping, rate_max, acc_max, dt):  # type: ignore[no-untyped-def]
    """Acceleration that brings a set-point onto a moving target within limits of rate and acceleration.

    The commanded rate is the target's plus a correction, linear near the target and along the braking parabola
    far from it; a target within the limits is followed without error.
    """
    error = target - ref
    knee = 0.5 * acc_max / shaping**2
    if abs(error) <= knee:
        correction = shaping * error
    else:
        correction = sqrt(acc_max * (abs(error) - 0.5 * knee))
        correction = correction if error > 0 else -correction
    commanded = min(max(target_rate + correction, -rate_max), rate_max)
    acc = min(max(target_acc + 4 * shaping * (commanded - rate), -acc_max), acc_max)
    return min(max(acc, (-rate_max - rate) / dt), (rate_max - rate) / dt)


@njit(cache=True)
def run(state, constants, command, elapsed, mode, steps, dt, divisor, every, noise, gust, done, out):  # type: ignore[no-untyped-def]
    """Advance both axes by `steps` sub-steps of `dt` seconds.

    Parameters
    ----------
    state : (2, STATES) array
        Changed in place.
    constants : (2, CONSTANTS) array
    command : (2, 3) array
        Position, rate and acceleration of the last set-point, which held `elapsed` seconds ago.
    mode : int
        FREE, BRAKED, HOLDING, FOLLOWING or STOPPING.
    noise : (steps, 2, 2) array
        Standard normal numbers for wind and encoder.
    gust : (2,) array
        Torque on top of the wind, N m.
    done : int
        Sub-steps of this interval that earlier calls have done.
    out : (n, 2) array
        Filled with the true axis angles behind every `every`-th sub-step of the interval.

    Returns
    -------
    limited : bool
        An axis had to brake before the end of its travel.
    """
    limited = False
    driven = mode >= HOLDING
    for axis in range(2):
        s, c = state[axis], constants[axis]
        for i in range(steps):
            if driven:
                rate = s[REF_RATE]
                if mode == FOLLOWING:
                    tau = elapsed + i * dt
                    target_rate = command[axis, 1] + tau * command[axis, 2]
                    target = command[axis, 0] + 0.5 * tau * (command[axis, 1] + target_rate)
                    acc = shape(
                        s[REF], rate, target, target_rate, command[axis, 2], c[SHAPING], c[RATE_MAX], c[ACC_MAX], dt
                    )
                    # the braking parabola towards the end of travel, with a margin of a tenth
                    room = c[ANGLE_MAX] - s[REF] if rate > 0 else s[REF] - c[ANGLE_MIN]
                    if rate * rate > 1.8 * c[ACC_MAX] * max(room, 0.0):
                        acc = -c[ACC_MAX] if rate > 0 else c[ACC_MAX]
                        limited = True
                else:
                    acc = min(max(-rate / dt, -c[ACC_MAX]), c[ACC_MAX])
                s[REF_ACC] = acc
                error = s[REF] - s[MEASURED]
                if i % divisor == 0:
                    s[DEMAND] = c[KP] * error + s[INTEGRAL]
                torque = c[FEEDFORWARD] * acc + c[KV] * (rate + s[DEMAND] - s[MEASURED_RATE])
                if abs(torque) < c[TORQUE_MAX]:
                    s[INTEGRAL] += c[KI] * error * dt
                torque = min(max(torque, -c[TORQUE_MAX]), c[TORQUE_MAX])
                s[REF] += (rate + 0.5 * acc * dt) * dt
                s[REF_RATE] = rate + acc * dt
            else:
                torque = 0.0
            s[TORQUE] += c[LAG] * (torque - s[TORQUE])
            # wind: white noise through a critically damped second-order low pass
            w = c[WIND_OMEGA]
            kick = 2 * w * sqrt(w * dt) * c[WIND_RMS] * noise[i, axis, 0]
            s[WIND_RATE] += kick - (2 * w * s[WIND_RATE] + w * w * s[WIND]) * dt
            s[WIND] += s[WIND_RATE] * dt
            # friction: Dahl's model, exact for a constant rate within the step
            coulomb = c[COULOMB] + (c[BRAKE] if mode == BRAKED else 0.0)
            full = coulomb if s[RATE] >= 0 else -coulomb
            s[FRICTION] = full + (s[FRICTION] - full) * exp(-abs(s[RATE]) * dt / c[PRESLIDING])
            acc = (s[TORQUE] + s[WIND] + gust[axis] - s[FRICTION] - c[VISCOUS] * s[RATE]) / c[INERTIA]
            s[ANGLE] += (s[RATE] + 0.5 * acc * dt) * dt
            s[RATE] += acc * dt
            reading = s[ANGLE] + c[INTERPOLATION] * sin(c[PERIODS] * s[ANGLE]) + c[JITTER] * noise[i, axis, 1]
            reading = np.floor(reading / c[LSB] + 0.5) * c[LSB]
            s[MEASURED_RATE] += c[FILTER] * ((reading - s[MEASURED]) / dt - s[MEASURED_RATE])
            s[MEASURED] = reading
            if (done + i + 1) % every == 0:
                out[(done + i) // every, axis] = s[ANGLE]
    return limited
