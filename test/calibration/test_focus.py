"""Autofocus: width of a spot, the parabola, and the run through the focuser's positions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.calibration.focus import (
    Autofocus,
    Focus,
    FocusState,
    fit_focus,
    save_focus,
    spot_width_px,
    temperature_warning,
)
from qkd_gs.devices.camera import Frame, Roi
from qkd_gs.devices.focuser import FocuserReading
from qkd_gs.errors import StationError

SECOND = 10**9
TRAVEL = 0, 50_000


def frame(stamp_ns, sigma_px, electrons=20_000.0, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:120, :160]
    image = 200 + rng.normal(0, 6, y.shape)
    image += electrons / (2 * np.pi * sigma_px**2) * np.exp(-((x - 70.3) ** 2 + (y - 55.8) ** 2) / (2 * sigma_px**2))
    return Frame(stamp_ns, 0.01, 1.0, np.clip(image, 0, 65535).astype(np.uint16), Roi(0, 0, 160, 120))


@pytest.mark.parametrize('sigma_px', [1.5, 2.0, 3.0, 4.5])
def test_the_width_of_a_spot_is_found(sigma_px):
    assert spot_width_px(frame(0, sigma_px)) == pytest.approx(sigma_px, rel=0.05)


def test_an_image_without_a_star_has_no_width():
    assert np.isnan(spot_width_px(frame(0, 2.0, electrons=0.0)))


@given(st.floats(-0.8, 0.8), st.floats(1.0, 3.0), st.floats(0.5, 3.0))
def test_the_lowest_point_of_the_parabola_is_found(off, width, blur):
    best = 20_000 + off * 3000
    widths = [(p, float(np.hypot(width, blur * (p - best) / 1000))) for p in range(17_000, 23_001, 1000)]
    fit = fit_focus(widths)
    assert fit.position == pytest.approx(best, abs=1)
    assert fit.width_px == pytest.approx(width, rel=0.01)


@pytest.mark.parametrize(
    ('widths', 'said'),
    [
        ([(0, 2.0), (1000, 2.1), (2000, 2.2)], 'seen at 3 positions'),
        ([(p, 2.0 + p / 1000) for p in range(0, 7000, 1000)], 'the focus is not between 0 and 6000'),
        ([(p, 5.0 - ((p - 3000) / 1500) ** 2 / 2) for p in range(0, 7000, 1000)], 'the focus is not between'),
    ],
)
def test_what_has_no_lowest_point_is_refused(widths, said):
    with pytest.raises(StationError, match=said):
        fit_focus(widths)


def run(best, blind=(), moves=True):
    """Run against a focuser that moves at once; no star at the positions of `blind`."""
    focus = Autofocus(FocuserReading(1, 20_000, False), TRAVEL, 6000, 0)
    now_ns, position, seed = 0, 20_000, 0
    asked = []
    while focus.state is FocusState.RUNNING:
        now_ns += SECOND // 10
        seed += 1
        electrons = 0.0 if position in blind else 20_000.0
        sigma = float(np.hypot(2.0, (position - best) / 1000))
        wanted = focus.step(now_ns, FocuserReading(now_ns, position, False), [frame(now_ns, sigma, electrons, seed)])
        asked.append(wanted)
        if moves:
            position = wanted
    return focus, asked


def test_a_run_ends_at_the_focus():
    focus, asked = run(best=20_900)
    assert focus.state is FocusState.DONE
    assert asked[-1] == pytest.approx(20_900, abs=100)
    assert min(asked) == 17_000
    assert max(asked) == 23_000


def test_positions_without_a_star_are_left_out():
    focus, asked = run(best=20_300, blind=(17_000, 18_000))
    assert focus.state is FocusState.DONE
    assert asked[-1] == pytest.approx(20_300, abs=150)


@pytest.mark.parametrize(
    ('given', 'said'),
    [
        ({'best': 23_400}, 'the focus is not between'),
        ({'best': 20_000, 'blind': tuple(range(17_000, 21_001, 1000))}, 'seen at 2 positions'),
        ({'best': 20_000, 'moves': False}, 'the focuser is at 20000, not at 17000'),
    ],
)
def test_a_run_that_fails_says_why_and_goes_back(given, said):
    focus, asked = run(**given)
    assert focus.state is FocusState.FAILED
    assert said in focus.message
    assert asked[-1] == 20_000


def test_a_range_at_the_end_of_the_travel_is_moved_inside():
    focus = Autofocus(FocuserReading(1, 500, False), TRAVEL, 6000, 0)
    assert focus.step(1, FocuserReading(1, 500, False), []) == 0
    with pytest.raises(StationError, match='60000 steps are more than the travel'):
        Autofocus(FocuserReading(1, 500, False), TRAVEL, 60_000, 0)


def test_a_warning_when_the_temperature_has_changed(tmp_path):
    assert temperature_warning(tmp_path, 20.0) == ''
    save_focus(tmp_path, Focus(utc='2018-10-03T14:00:00Z', position=20_000, width_px=2.0, temperature_c=20.0))
    assert temperature_warning(tmp_path, 17.0) == ''
    assert temperature_warning(tmp_path, float('nan')) == ''
    assert temperature_warning(tmp_path, 12.0).startswith('the tube is 8 degrees colder than at the last autofocus')
