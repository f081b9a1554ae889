"""The half-wave plate's process: tracked frame angle in, plate commands out."""

from __future__ import annotations

from math import nan, radians
from typing import Any

import qkd_gs.msg as m
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime import parameters
from qkd_gs.nodes.runtime.base import IN_TIME
from qkd_gs.nodes.runtime.context import device_of, station_of
from qkd_gs.nodes.runtime.device import DeviceNode
from qkd_gs.nodes.runtime.process import run
from qkd_gs.pointing.hwp import HwpFollower
from qkd_gs.settings.station import HwpSettings
from qkd_gs.station.loop_timing import LoopWatch

_SILENCE_NS = 300_000_000  # an older frame angle stops the plate


class HwpNode(DeviceNode):
    """Follow the frame as tracked."""

    name = 'hwp'
    priority = IN_TIME

    def __init__(self) -> None:
        super().__init__()
        self._settings = station_of(self).hwp
        parameters.offer(self, self._settings, 'hwp', lambda: self.active)
        self._frame: m.FrameAngle | None = None
        self._plate: Any = None
        self._wanted_rad = nan
        self._timer = 0
        self._moving = False
        self._states = self.publisher(m.HwpState, 'hwp/state')
        self.listen(m.FrameAngle, 'hwp/frame', self._take)

    def opened(self) -> None:
        """Connect to the rotator."""
        settings = self._settings = parameters.read(self, HwpSettings, self._settings, 'hwp')
        station = station_of(self).model_copy(update={'hwp': settings})
        period_ns = round(1e9 / settings.rate_hz)
        self._follower = HwpFollower(
            radians(settings.zero_deg), round(settings.delay_s * 1e9), settings.parity, period_ns
        )
        self._plate = device_of(self, 'hwp', station)
        self._plate.open()
        self._timer = self.every(1 / settings.rate_hz, self._step, LoopWatch(1 / settings.rate_hz))

    def stopped(self) -> None:
        """Stop the plate."""
        if self._plate is not None:
            self._plate.stop(self.clock.now_ns())

    def closed(self) -> None:
        """Let go of the rotator."""
        if self._plate is not None:
            self.cease(self._timer)
            self._plate.close()
            self._plate = None

    def _take(self, frame: m.FrameAngle) -> None:
        self._frame = frame

    def _step(self, now_ns: int) -> None:
        frame = self._frame
        follow = self.active and frame is not None and frame.follow
        if follow and frame is not None:
            stamp_ns = messages.stamp_of(frame)
            follow = now_ns - stamp_ns < _SILENCE_NS
        if follow and frame is not None:
            since_s = (now_ns - stamp_ns) * 1e-9  # the angle holds for its stamp: carry it on to now
            frame_rad = frame.frame_rad + frame.frame_rate_rad_s * since_s
            command = self._follower.step(now_ns, frame_rad, frame.frame_rate_rad_s)
            self._plate.move(now_ns, command.angle_rad)
            self._wanted_rad = command.angle_rad
        elif self._moving:
            self._plate.stop(now_ns)
        self._moving = follow
        self._states.publish(messages.hwp_state(self._plate.read(now_ns), self._wanted_rad, self.fault))


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(HwpNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
