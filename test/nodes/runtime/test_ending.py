"""When a process that was told to end does so; no ROS, no signals, only a clock."""

from qkd_gs.nodes.runtime.process import Ending


class Mount:
    """Needs a while to come to its park position."""

    winding_down = False
    may_end = False
    wound_down = 0

    def wind_down(self):
        self.wound_down += 1


def test_nobody_ends_who_was_not_told():
    mount = Mount()
    assert not Ending().over(100.0, mount)
    assert not mount.winding_down


def test_what_moves_is_wound_down_once_and_ends_when_it_rests():
    ending, mount = Ending(), Mount()
    ending.tell(10.0)
    assert not ending.over(10.0, mount)
    assert not ending.over(11.0, mount)
    assert (mount.winding_down, mount.wound_down) == (True, 1)
    mount.may_end = True
    assert ending.over(11.1, mount)


def test_what_does_not_come_to_rest_ends_after_two_seconds_all_the_same():
    ending, mount = Ending(), Mount()
    ending.tell(10.0)
    assert not ending.over(12.0, mount)
    assert ending.over(12.5, mount)


def test_further_orders_are_the_same_order_however_late_they_come():
    """The terminal and `ros2 launch` each send one, and on a busy machine they come far apart."""
    ending, mount = Ending(), Mount()
    for now_s in (10.0, 10.1, 11.5):
        ending.tell(now_s)
    assert not ending.over(12.0, mount)
    assert mount.wound_down == 1
    assert ending.over(12.5, mount)
