"""A running station whose calibrator is asked for observations."""

from qkd_gs.action import Observe
from rclpy.action import ActionClient
from std_msgs.msg import UInt8

from qkd_gs.nodes.runtime.qos import TRANSIENT_LOCAL


def observing(station):
    """The station, once its calibrator takes goals: tasks and drives are heard."""
    station.tasks = station.hear(UInt8, 'calibrator/busy', TRANSIENT_LOCAL)
    station.drives = station.overhear('mount/state')
    station.client = ActionClient(station.node, Observe, 'observe')
    station.until(
        lambda: station.client.server_is_ready() and station.drives and station.tasks, 'the calibrator takes goals'
    )
    return station


def ask(station, task):
    """Send a goal; its handle."""
    sent = station.client.send_goal_async(Observe.Goal(task=task))
    station.until(sent.done, 'the goal is answered')
    return sent.result()
