"""What was heard is what is shown, for as long as it is true."""

from dataclasses import replace
from math import isfinite, nan, radians, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_station import NOW_NS, WALL_S, S, running_board, session

from qkd_gs.monitoring.readiness import Level, Readiness
from qkd_gs.monitoring.status_collector import SPOT_S, SpotHistory, StatusCollector
from qkd_gs.tracking.types import Phase


def test_a_running_station_is_shown():
    now = running_board().snapshot(NOW_NS, WALL_S, 2.0)
    assert now.readiness.sentence == 'tracking, locked, 43.1 deg'
    assert now.session.phase is Phase.FINE
    assert (now.el_rad, now.range_m) == (radians(43.1), 812e3)
    assert now.spot.rms_x_urad == pytest.approx(4.0)
    assert now.spot.rms_y_urad == pytest.approx(3.0)
    assert [node.name for node in now.nodes] == ['hwp', 'mount', 'scene', 'tracker']
    assert [node.silent for node in now.nodes] == [False, False, True, False]


def test_old_news_are_not_shown_as_new():
    later = running_board().snapshot(NOW_NS + 10 * S, WALL_S + 5)
    assert later.counts is None
    assert not isfinite(later.el_rad)
    assert later.readiness == Readiness(Level.ERROR, 'monitor has sent nothing for 5 s')
    assert all(node.silent for node in later.nodes)
    assert later.spot.seconds_x_urad[-10:] == pytest.approx((nan,) * 10, nan_ok=True)


def test_nothing_heard():
    now = StatusCollector().snapshot(NOW_NS, WALL_S)
    assert now.readiness.sentence == 'no station found'
    assert now.nodes == ()


@given(st.lists(st.tuples(st.floats(0, SPOT_S - 0.01), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1))
def test_the_rms_is_that_of_all_spots(spots):
    spots.sort(reverse=True)
    history = SpotHistory()
    for ago_s, x, y in spots:
        history.add(NOW_NS - round(ago_s * 1e9), x, y)
    seen = history.statistics(NOW_NS)
    assert seen.rms_x_urad == pytest.approx(sqrt(np.mean([x * x for _, x, _ in spots])))
    assert seen.rms_y_urad == pytest.approx(sqrt(np.mean([y * y for *_, y in spots])))
    shown = {SPOT_S - 1 - int(ago_s) for ago_s, *_ in spots}
    assert {index for index, value in enumerate(seen.seconds_x_urad) if isfinite(value)} == shown


def test_a_clock_set_back_resets_the_collector():
    board = running_board()
    board.update_session(replace(session(0, 9.0, 9.0), stamp_ns=NOW_NS - 1000 * S))
    seen = board.snapshot(NOW_NS - 1000 * S, WALL_S).spot
    assert (seen.rms_x_urad, sum(map(isfinite, seen.seconds_x_urad))) == (9.0, 1)


def test_a_step_without_a_spot_is_no_spot():
    board = StatusCollector()
    board.update_session(session())
    assert not isfinite(board.snapshot(NOW_NS, WALL_S).spot.rms_x_urad)
