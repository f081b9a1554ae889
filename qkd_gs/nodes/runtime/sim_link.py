"""Link of simulated devices to the world: topics below `sim/`, which the station does not read and no bag holds."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool, Float64, UInt8

import qkd_gs.msg as m
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.base import RELIABLE, StationMixin
from qkd_gs.sim.remote.actuators import Drive, TiltResidual, TruthBlock

if TYPE_CHECKING:
    from qkd_gs.sim.simulation_setup import SimulationSetup


# an order is sent once: a late subscriber must receive it, too
_ORDERS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Kind(NamedTuple):
    """Message type of a channel, with the conversions to and from it."""

    message: type
    to: Callable[[Any], Any]
    back: Callable[[Any], Any]
    qos: QoSProfile = RELIABLE


def _truth(block: TruthBlock) -> m.SimTruth:
    rows = np.ascontiguousarray(block.rows)
    return m.SimTruth(header=messages.header(block.end_ns), samples=rows.shape[1], rows=array('d', rows.tobytes()))


def _from_truth(message: m.SimTruth) -> TruthBlock:
    rows = np.frombuffer(message.rows, dtype=np.float64).reshape(-1, message.samples)
    return TruthBlock(messages.stamp_of(message), rows)


def _tilt_residual(tilt: TiltResidual) -> m.SimTruth:
    return m.SimTruth(header=messages.header(tilt.stamp_ns), samples=1, rows=array('d', (tilt.x_rad, tilt.y_rad)))


def _from_tilt_residual(message: m.SimTruth) -> TiltResidual:
    return TiltResidual(messages.stamp_of(message), *message.rows)


CHANNELS = {
    'mount/command': Kind(m.MountCommand, messages.mount_command, messages.from_mount_command),
    'mount/drive': Kind(UInt8, lambda v: UInt8(data=int(v)), lambda msg: Drive(msg.data), _ORDERS),
    'mount/state': Kind(m.MountState, messages.mount_state, messages.from_mount_state),
    'beacon/on': Kind(Bool, lambda v: Bool(data=v), lambda msg: msg.data),
    'beacon/state': Kind(m.BeaconState, lambda v: messages.beacon_state(v, v.emitting), messages.from_beacon_state),
    'hwp/move': Kind(Float64, lambda v: Float64(data=v), lambda msg: msg.data),
    'hwp/state': Kind(m.HwpState, messages.hwp_state, messages.from_hwp_state),
    'truth': Kind(m.SimTruth, _truth, _from_truth),
    'tilt_residual': Kind(m.SimTruth, _tilt_residual, _from_tilt_residual),
}


class SimLink:
    """`Link` of simulated devices over ROS topics.

    Parameters
    ----------
    node : StationMixin
    setup : SimulationSetup
        Common setup of all simulated devices, for those that draw from the seed themselves.
    """

    def __init__(self, node: StationMixin, setup: SimulationSetup | None) -> None:
        self._node, self.setup = node, setup
        self._publishers: dict[str, Any] = {}
        self._listening: dict[str, Callable[[Any], None]] = {}

    def send(self, channel: str, value: Any) -> None:
        """One value to whoever listens."""
        self.announce(channel)
        self._publishers[channel].publish(CHANNELS[channel].to(value))

    def announce(self, *channels: str) -> None:
        """Create the publishers before the first value is due: a new topic loses its first messages."""
        for channel in channels:
            if channel not in self._publishers:
                kind = CHANNELS[channel]
                self._publishers[channel] = self._node.publisher(kind.message, f'sim/{channel}', kind.qos)

    def listen(self, channel: str, kind: type, take: Callable[[Any], None]) -> None:
        """Call `take` with every value from now on; replaces an earlier callback of this channel."""
        new = channel not in self._listening
        self._listening[channel] = take
        if new:
            channel_kind = CHANNELS[channel]
            self._node.listen(
                channel_kind.message,
                f'sim/{channel}',
                lambda msg: self._listening[channel](channel_kind.back(msg)),
                channel_kind.qos,
            )
