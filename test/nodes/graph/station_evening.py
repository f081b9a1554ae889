"""A station that does an evening: what its mount, its laser and its journal tell of it."""

import json
from math import cos, hypot, radians

import qkd_gs.msg as m
from qkd_gs.action import Tonight
from rclpy.action import ActionClient
from std_msgs.msg import UInt8

from qkd_gs.devices.mount import MountMode
from qkd_gs.evening.steps import State
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.qos import TRANSIENT_LOCAL
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.tracking.types import Phase

REST_RAD_S = radians(0.01)
UNTIL = '2018-10-03T16:40:00Z'
SKY = ['find', 'calibrate', 'focus', 'efficiency', 'noise', 'polarization']


class Watched:
    """A station with ears, and a client for its evening."""

    def __init__(self, station):
        self.station = station
        self.drives, self.laser = station.overhear('mount/state'), station.overhear('beacon/state')
        self.states = station.hear(m.SessionState, 'session/state')
        self.keys = station.hear(m.KeyState, 'key/state', TRANSIENT_LOCAL)
        self.tasks = station.hear(UInt8, 'calibrator/busy', TRANSIENT_LOCAL)
        self.client = ActionClient(station.node, Tonight, 'tonight')
        self.mount = load_yaml(station.place / 'station.yaml', StationSettings).mount

    def ask(self, **goal):
        """Send a goal; its future result."""
        self.station.until(self.client.server_is_ready, 'the evening takes goals')
        until = messages.to_time(parse_utc(UNTIL))
        sent = self.client.send_goal_async(Tonight.Goal(**{'until': until} | goal))
        self.station.until(sent.done, 'the goal is answered')
        return sent.result().get_result_async()

    def phase(self):
        return Phase(self.states[-1].phase)

    def moves(self):
        now = self.drives[-1]
        return hypot(now.az_rate_rad_s * cos(now.el_rad), now.el_rate_rad_s) > REST_RAD_S

    def comes_to_rest(self, what):
        self.station.until(lambda: not self.moves() and self.drives[-1].mode == MountMode.HOLD, what)
        assert not self.laser[-1].emitting

    def journal(self):
        path = sorted((self.station.state / 'evenings').glob('*.json'))[-1]
        return json.loads(path.read_text())

    def state(self, step):
        return next(State(one['state']) for one in self.journal()['entries'] if one['step'] == step)
