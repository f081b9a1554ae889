"""The twin's rotator turns the shorter way, within its speed, after its delay, and hides a small error."""

from __future__ import annotations

from math import pi, radians, remainder

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import DeviceFault
from qkd_gs.sim.physics.hwp import SimHwp

MS = 1_000_000


def make(twin, seed=1):
    return SimHwp(twin.plant.hwp, 0, 1000, np.random.default_rng(seed))


@settings(max_examples=30, deadline=None)
@given(goals=st.lists(st.floats(-10, 10), min_size=1, max_size=4))
def test_it_arrives_the_shorter_way_within_speed_and_acceleration(twin, goals):
    plant, plate = twin.plant.hwp, make(twin)
    angles = [np.zeros(1) + plate.mounting_error_rad]
    for k, goal in enumerate(goals):
        plate.move(k * 150 * MS, goal)
        angles.append(plate.advance(150))
    angles.append(plate.advance(3000))
    angle = np.concatenate(angles)
    rate = np.diff(angle) * 1000
    assert np.abs(rate).max() <= radians(plant.speed_deg_s) * 1.001
    # a motor of discrete steps of time may brake into its place within one of them
    assert np.abs(np.diff(rate)).max() * 1000 <= radians(plant.acceleration_deg_s2) * 2.01
    left = remainder(angle[-1] - plate.mounting_error_rad - goals[-1], pi)
    assert abs(left) <= radians(plant.step_deg) / 2 + 1e-12
    assert not plate.read(0).moving
    assert np.ptp(angle) <= pi / 2 * len(goals) + 1e-3


def test_it_waits_its_delay_and_then_runs_as_a_trapezoid(twin):
    plant, plate = twin.plant.hwp, make(twin)
    plate.move(0, radians(10))
    angle = plate.advance(400) - plate.mounting_error_rad
    start_s = np.argmax(angle > 0) * 1e-3
    assert abs(start_s - plant.delay_s) <= plant.delay_error_s + 0.0015
    arrived_s = np.argmax(angle >= radians(10) - radians(plant.step_deg)) * 1e-3
    trapezoid = 10 / plant.speed_deg_s + plant.speed_deg_s / plant.acceleration_deg_s2
    assert arrived_s - start_s == pytest.approx(trapezoid, abs=0.006)


def test_the_station_file_knows_the_total_delay_to_5_ms(twin, station):
    """An HWP that follows a turning polarization with the stated lead is late by less than 5 ms."""
    for seed in range(5):
        plate, rate = make(twin, seed), radians(1.4)  # half of 2.8 deg/s, a pass of 72 deg
        lead_s, late = station.hwp.delay_s, []
        for k in range(100):
            now_s = k / station.hwp.rate_hz
            plate.move(round(now_s * 1e9), rate * (now_s + lead_s))
            angle = plate.advance(round(1000 / station.hwp.rate_hz)) - plate.mounting_error_rad
            t_s = now_s + 1e-3 * np.arange(1, len(angle) + 1)
            late.append((rate * t_s - angle).mean() / rate)
        # between two commands the HWP stands still: half a period late on average, which the lead's user adds
        assert abs(np.mean(late[20:]) - 0.5 / station.hwp.rate_hz) < 0.005


def test_stop_is_idempotent_and_nonsense_is_refused(twin):
    plate = make(twin)
    plate.move(0, 1.0)
    plate.advance(100)
    plate.stop(100 * MS)
    plate.stop(100 * MS)
    rest = plate.advance(200)
    assert not plate.read(0).moving
    assert np.ptp(rest[100:]) == 0.0
    assert abs(remainder(rest[-1] - plate.mounting_error_rad - 1.0, pi)) > 0.01
    with pytest.raises(DeviceFault, match=r'hwp\.command'):
        plate.move(0, float('inf'))
