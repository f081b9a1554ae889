"""The scene's process: the station's body, its frames and what is in the sky, for rviz."""

from __future__ import annotations

from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

import qkd_gs.msg as m
from qkd_gs.errors import StationError
from qkd_gs.monitoring.description import robot_description
from qkd_gs.monitoring.kinematics import FrameTree
from qkd_gs.monitoring.scene_builder import SceneBoard
from qkd_gs.nodes.conversions import messages, scene
from qkd_gs.nodes.runtime.base import LATCHED, OK, WARN, CoreNode
from qkd_gs.nodes.runtime.context import site_of, station_of
from qkd_gs.nodes.runtime.process import run
from qkd_gs.orbit.sky import sun_at
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import load_pointing
from qkd_gs.tracking.types import Phase

_DRAW_S = 0.2


class SceneNode(CoreNode):
    """Publishes robot_description, /tf, /tf_static and markers; commands nothing."""

    name = 'scene'

    def __init__(self) -> None:
        super().__init__()
        self._station, site = station_of(self), site_of(self)
        self._board = SceneBoard(self._station, lambda t_ns: sun_at(site, t_ns))
        self._description = self.publisher(String, 'robot_description', LATCHED)
        self._fixed = self.publisher(TFMessage, '/tf_static', LATCHED)
        self._moving = self.publisher(TFMessage, '/tf')
        self._markers = self.publisher(MarkerArray, 'markers')
        self._show_body()
        self.listen(JointState, 'joint_states', self._move)
        self.listen(m.Target, 'target', lambda message: self._board.hear_target(scene.seen(message)))
        self.listen(m.SessionState, 'session/state', self._hear_session)
        self.listen(m.BeaconState, 'beacon/state', self._hear_beacon)
        self.listen(Bool, 'calibrator/busy', self._hear_calibrator, LATCHED)
        self.every(_DRAW_S, self._draw)

    def clock_set(self) -> None:
        """The fixed frames have a stamp of station time, too."""
        self._show_body()

    def _show_body(self) -> None:
        """Body and fixed frames, as the mount is known to stand."""
        text = robot_description(self._station, self._mount_model())
        self._tree = FrameTree(text)
        self._description.publish(String(data=text))
        if self.clock.latched:
            self._fixed.publish(scene.transforms(self.clock.now_ns(), self._tree.fixed()))

    def _mount_model(self) -> MountModel:
        """As calibrated; without a calibration a perfect one is drawn, and said so."""
        try:
            model = load_pointing(self.state_dir).model
        except StationError as error:
            self.level, self.message = WARN, f'drawn as if the mount stood perfectly: {error}'
            return MountModel()
        self.level, self.message = OK, ''
        return model

    def _move(self, message: JointState) -> None:
        steps = self._tree.moving(scene.positions(message))
        self._moving.publish(scene.transforms(messages.stamp_of(message), steps))

    def _hear_session(self, message: m.SessionState) -> None:
        self._board.hear_phase(messages.stamp_of(message), Phase(message.phase))

    def _hear_beacon(self, message: m.BeaconState) -> None:
        self._board.hear_beacon(messages.stamp_of(message), message.emitting)

    def _hear_calibrator(self, busy: Bool) -> None:
        """A calibration that has ended may have left a new model."""
        if not busy.data:
            self._show_body()

    def _draw(self, now_ns: int) -> None:
        things, gone = self._board.step(now_ns)
        self._markers.publish(scene.markers(now_ns, things, gone))


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(SceneNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
