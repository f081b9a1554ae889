"""Scene node: robot description, TF frames and sky markers for rviz."""

from __future__ import annotations

from sensor_msgs.msg import JointState
from std_msgs.msg import String, UInt8
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

import qkd_gs.msg as m
from qkd_gs.errors import StationError
from qkd_gs.monitoring.description import robot_description
from qkd_gs.monitoring.kinematics import FrameTree
from qkd_gs.monitoring.load import Stage
from qkd_gs.monitoring.scene_builder import SceneBuilder
from qkd_gs.nodes.conversions import messages, scene
from qkd_gs.nodes.conversions.monitoring import stage_of
from qkd_gs.nodes.runtime.base import CoreNode
from qkd_gs.nodes.runtime.context import site_of, station_of
from qkd_gs.nodes.runtime.gathered import NEWEST
from qkd_gs.nodes.runtime.process import run
from qkd_gs.nodes.runtime.qos import SENSOR, TRANSIENT_LOCAL
from qkd_gs.orbit.sky import sun_at
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import load_pointing
from qkd_gs.tracking.types import MountTask, Phase

_DRAW_S = 0.2


class SceneNode(CoreNode):
    """Publishes robot_description, /tf, /tf_static and markers; commands nothing."""

    name = 'scene'
    of_a_station = False  # it draws a pass that is played, too

    def __init__(self) -> None:
        super().__init__()
        self._station, site = station_of(self), site_of(self)
        self._board = SceneBuilder(self._station, lambda t_ns: sun_at(site, t_ns))
        self._description = self.publisher(String, 'robot_description', TRANSIENT_LOCAL)
        self._fixed = self.publisher(TFMessage, '/tf_static', TRANSIENT_LOCAL)
        self._moving = self.publisher(TFMessage, '/tf')
        self._markers = self.publisher(MarkerArray, 'markers')
        self._show_body()
        self.listen(JointState, 'joint_states', self._move, SENSOR)
        self.gather(m.Target, 'target', lambda message: self._board.update_target(scene.seen(message)), NEWEST)
        self.gather(m.SessionState, 'session/state', self._take_session, NEWEST)
        self.gather(m.BeaconState, 'beacon/state', self._take_beacon, NEWEST)
        self.listen(UInt8, 'calibrator/busy', self._take_calibrator, TRANSIENT_LOCAL)
        self._stage = Stage.NOTHING
        self.listen(UInt8, 'load', self._take_load, TRANSIENT_LOCAL)
        self.every(_DRAW_S, self._draw)

    def on_clock_set(self) -> None:
        """Publish the fixed frames with their stamp of station time."""
        self._show_body()

    def _show_body(self) -> None:
        """Publish the description and the fixed frames of the calibrated mount."""
        text = robot_description(self._station, self._mount_model())
        self._tree = FrameTree(text)
        self._description.publish(String(data=text))
        if self.clock.is_set:
            self._fixed.publish(scene.transforms(self.clock.now_ns(), self._tree.fixed()))

    def _mount_model(self) -> MountModel:
        """Calibrated mount model; without a calibration the ideal one, with a warning in the heartbeat."""
        try:
            model = load_pointing(self.state_dir).model
        except StationError as error:
            self.warning = f'drawn with an ideal mount: {error}'
            return MountModel()
        self.warning = ''
        return model

    def _move(self, message: JointState) -> None:
        steps = self._tree.moving(scene.positions(message))
        self._moving.publish(scene.transforms(messages.stamp_of(message), steps))

    def _take_session(self, message: m.SessionState) -> None:
        self._board.update_phase(messages.stamp_of(message), Phase(message.phase))

    def _take_beacon(self, message: m.BeaconState) -> None:
        self._board.update_beacon(messages.stamp_of(message), message.emitting)

    def _take_calibrator(self, task: UInt8) -> None:
        """Reload the model when a calibration has ended."""
        if task.data == MountTask.NONE:
            self._show_body()

    def _take_load(self, message: UInt8) -> None:
        self._stage = stage_of(message)

    def _draw(self, now_ns: int) -> None:
        if self._stage >= Stage.NO_MARKERS:
            return
        things, gone = self._board.step(now_ns)
        self._markers.publish(scene.markers(now_ns, things, gone))


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(SceneNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
