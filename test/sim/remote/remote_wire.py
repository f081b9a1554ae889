"""A link without processes, and the setup that both of its ends share."""

from __future__ import annotations

from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.pass_window import pass_window_nearest
from qkd_gs.sim.simulation_setup import SimulationSetup

MS = 1_000_000
SECOND_NS = 10**9
AT_NS = parse_utc('2018-10-03T15:56:42Z')


class Wire:
    """A link of plain calls; keeps what was sent, loses what it is told to."""

    def __init__(self, setup=None):
        self.setup = setup
        self.sent, self._takers = [], {}

    def send(self, channel, value, now_ns=0):
        self.sent.append((channel, value))

    def listen(self, channel, kind, take):
        self._takers[channel] = take

    def poll(self):
        pass

    def arrives(self, channel, value):
        self._takers[channel](value)

    def last(self, channel):
        return next(value for name, value in reversed(self.sent) if name == channel)


def setup_for(elements, site, seed, twin, station):
    return SimulationSetup(twin, station, site, pass_window_nearest(elements, site, AT_NS, station), -30.0, seed)
