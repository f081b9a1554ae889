"""The turn of the azimuth axis: inside the travel, and the nearest one."""

from math import pi, radians

import pytest

from qkd_gs.pointing.azimuth_turn import nearest_turn
from qkd_gs.settings.station import AxisSettings

AXIS = AxisSettings(min_deg=-270, max_deg=270, max_rate_deg_s=20, max_acc_deg_s2=20)


@pytest.mark.parametrize(
    ('az_deg', 'present_deg', 'turns'),
    [(300, 0, -1), (100, 0, 0), (200, -200, -1), (200, 100, 0), (640, 0, -2)],
)
def test_the_nearest_turn_inside_the_travel_is_taken(az_deg, present_deg, turns):
    assert nearest_turn(radians(az_deg), AXIS, radians(present_deg)) == pytest.approx(turns * 2 * pi)


def test_an_axis_that_never_gets_there_keeps_the_angle():
    short = AXIS.model_copy(update={'min_deg': 0.0, 'max_deg': 90.0})
    assert nearest_turn(radians(180), short, 0.0) == 0.0
