"""The HWP aligns the polarization: Jones matrices as the reference, closure, and the lead over delay and hold."""

from math import cos, pi, radians, sin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.pointing.hwp import HwpFollower, check_hwp_speed
from qkd_gs.pointing.mount_model import AxisMotion, MountModel
from qkd_gs.pointing.polarization import polarization_angle_in_tube, polarization_error

angles = st.floats(-10 * pi, 10 * pi)
parities = st.sampled_from([1, -1])
FROM_H = {'H': 0.0, 'V': pi / 2, 'D': pi / 4, 'A': -pi / 4}


def linear(angle):
    """Jones vector of linear light; x to the right, y up, looking against the light."""
    return np.array([cos(angle), sin(angle)])


def half_wave_plate(axis):
    """Half a wave of delay between the axis and its normal (Jones 1941)."""
    turn = np.array([[cos(axis), -sin(axis)], [sin(axis), cos(axis)]])
    return turn @ np.diag([1.0, -1.0]) @ turn.T


def mirrors(parity):
    """An odd number of ideal mirrors swaps right and left, seen against the light on both sides; up stays up.

    The fixed turn of half a circle, or any other, would be part of the HWP's zero.
    """
    return np.diag([1.0, 1.0]) if parity == 1 else np.diag([1.0, -1.0])


def analyser_axis(state, zero, parity):
    """Angle of a state's axis behind an aligned HWP."""
    return (2 * zero - parity * FROM_H[state]) % pi


def counts(state, angle, hwp, zero, parity):
    """Shares of a state's photons at the four analysers."""
    light = half_wave_plate(hwp) @ mirrors(parity) @ linear(angle + FROM_H[state])
    return {name: float(light @ linear(analyser_axis(name, zero, parity))) ** 2 for name in FROM_H}


@given(angle=angles, zero=angles, parity=parities)
def test_every_state_reaches_its_own_detector(angle, zero, parity):
    command = HwpFollower(zero, 0, parity).step(0, angle, 0.0)
    assert 0 <= command.angle_rad < pi
    assert polarization_error(command.angle_rad, zero, angle, parity) == pytest.approx(0, abs=1e-9)
    for state, other in (('H', 'V'), ('V', 'H'), ('D', 'A'), ('A', 'D')):
        seen = counts(state, angle, command.angle_rad, zero, parity)
        assert seen[state] == pytest.approx(1, abs=1e-12)
        assert seen[other] == pytest.approx(0, abs=1e-12)


@given(angle=angles, zero=angles, parity=parities, off=st.floats(-0.5, 0.5))
def test_an_error_costs_what_malus_says(angle, zero, parity, off):
    hwp = HwpFollower(zero, 0, parity).step(0, angle, 0.0).angle_rad + off / 2
    error = polarization_error(hwp, zero, angle, parity)
    assert error == pytest.approx(off, abs=1e-9)
    for state, other in (('H', 'V'), ('D', 'A')):
        assert counts(state, angle, hwp, zero, parity)[other] == pytest.approx(sin(error) ** 2, abs=1e-12)


def test_the_hwp_turns_at_half_the_rate_of_the_polarization_angle_with_the_sign_of_the_parity():
    assert HwpFollower(0.0, 0, 1).step(0, 0.2, 0.1).rate_rad_s == pytest.approx(0.05)
    assert HwpFollower(0.0, 0, -1).step(0, 0.2, 0.1).rate_rad_s == pytest.approx(-0.05)
    assert HwpFollower(0.0, 0, -1).step(0, 0.2, 0.1).angle_rad == pytest.approx(pi - 0.1)


def test_the_two_diagonal_detectors_change_places_with_the_parity():
    assert analyser_axis('D', 0.0, 1) == pytest.approx(analyser_axis('A', 0.0, -1))


@pytest.mark.parametrize('rate_deg_s', [2.8, 10.0, 25.0])
def test_lead_removes_the_delay_and_halves_the_hold(rate_deg_s):
    """A HWP that stands still from one command to the next errs by plus and minus half a period's turn, no more."""
    rate, delay_ns, period_ns = radians(rate_deg_s), 40_000_000, 20_000_000
    follower = HwpFollower(0.3, delay_ns, 1, period_ns)
    errors = []
    for sent_ns in range(0, 1_000_000_000, period_ns):
        command = follower.step(sent_ns, rate * sent_ns * 1e-9, rate)
        for t_ns in np.linspace(sent_ns + delay_ns, sent_ns + delay_ns + period_ns, 11):
            errors.append(polarization_error(command.angle_rad, 0.3, rate * t_ns * 1e-9))
    half = rate * period_ns * 1e-9 / 2
    assert max(errors) == pytest.approx(half, rel=1e-6)
    assert min(errors) == pytest.approx(-half, rel=1e-6)


def test_hwp_speed_of_a_pass():
    t_ns = np.arange(0, 10_000_000_000, 10_000_000)
    rate = radians(25) / (1 + ((t_ns * 1e-9 - 5) / 2.3) ** 2)
    slow = check_hwp_speed(t_ns, rate, radians(10))
    assert slow.rate_rad_s == pytest.approx(radians(12.5))
    assert slow.at_ns == 5_000_000_000
    assert slow.beyond_s == pytest.approx(2 * 2.3 * 0.5, abs=0.03)
    assert check_hwp_speed(t_ns, -rate, radians(20)).beyond_s == 0


def test_the_tubes_roll_is_subtracted_from_the_polarization_angle():
    """An axis fixed on the sky keeps its angle to the tube plus the tube's roll, and so does its rate."""
    model = MountModel(AN=0.006, AW=-0.004, CA=5e-4)
    motion = AxisMotion(0, 1.0, radians(84), radians(8), radians(0.3), radians(0.5), radians(-0.1))
    angle, rate = polarization_angle_in_tube(model, motion, 0.7, 0.1)
    assert angle + model.roll(1.0, radians(84)) == pytest.approx(0.7, abs=1e-12)
    step_s = 0.05
    later = AxisMotion(
        0,
        1.0 + radians(8) * step_s + radians(0.5) * step_s**2 / 2,
        radians(84) + radians(0.3) * step_s - radians(0.1) * step_s**2 / 2,
        0.0,
        0.0,
        0.0,
        0.0,
    )
    earlier = AxisMotion(
        0,
        1.0 - radians(8) * step_s + radians(0.5) * step_s**2 / 2,
        radians(84) - radians(0.3) * step_s - radians(0.1) * step_s**2 / 2,
        0.0,
        0.0,
        0.0,
        0.0,
    )
    after = polarization_angle_in_tube(model, later, 0.7 + 0.1 * step_s, 0.0)[0]
    before = polarization_angle_in_tube(model, earlier, 0.7 - 0.1 * step_s, 0.0)[0]
    assert rate == pytest.approx((after - before) / (2 * step_s), abs=1e-5)
    assert abs(rate - 0.1) > 1e-4


def test_parity_is_one_or_minus_one():
    with pytest.raises(StationError, match=r'hwp\.parity'):
        HwpFollower(0.0, 0, 0)
