"""Half-wave-plate node: tracked polarization angle in, rotator commands out."""

from __future__ import annotations

from math import nan, radians

import qkd_gs.msg as m
from qkd_gs.devices.hwp import HwpRotator
from qkd_gs.devices.kinds import HWP
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime import parameters
from qkd_gs.nodes.runtime.base import IN_TIME
from qkd_gs.nodes.runtime.context import device_of, station_of
from qkd_gs.nodes.runtime.device import DeviceNode, require_open
from qkd_gs.nodes.runtime.gathered import NEWEST
from qkd_gs.nodes.runtime.process import run
from qkd_gs.pointing.hwp import HwpFollower
from qkd_gs.pointing.pointing_file import FILE_NAME, load_pointing
from qkd_gs.settings.station import HwpSettings
from qkd_gs.station.loop_timing import LoopWatch

_SILENCE_NS = 300_000_000  # an older polarization angle stops the half-wave plate


class HwpNode(DeviceNode):
    """Follows the tracked polarization angle at half its rate."""

    name = 'hwp'
    priority = IN_TIME

    def __init__(self) -> None:
        super().__init__()
        self._settings = station_of(self).hwp
        parameters.offer(self, self._settings, 'hwp', lambda: self.active)
        self._angle: m.PolarizationAngle | None = None
        self._hwp: HwpRotator | None = None
        self._commanded_rad = nan
        self._timer = 0
        self._moving = False
        self._states = self.publisher(m.HwpState, 'hwp/state')
        self.gather(m.PolarizationAngle, 'hwp/polarization_angle', self._take, NEWEST)

    def opened(self) -> None:
        """Connect to the rotator."""
        settings = self._settings = parameters.read(self, HwpSettings, self._settings, 'hwp')
        station = station_of(self).model_copy(update={'hwp': settings})
        self._hwp = device_of(self, HWP, station)
        self._hwp.open()
        self._timer = self.every(1 / settings.rate_hz, self._step, LoopWatch(1 / settings.rate_hz))

    def _new_follower(self) -> HwpFollower:
        """Follower with the zero as last calibrated."""
        settings = self._settings
        stored = (self.state_dir / FILE_NAME).exists()
        offset_deg = load_pointing(self.state_dir).hwp_offset_deg if stored else 0.0
        return HwpFollower(
            radians(settings.zero_deg + offset_deg),
            round(settings.delay_s * 1e9),
            settings.parity,
            round(1e9 / settings.rate_hz),
        )

    def stopped(self) -> None:
        """Stop the rotator."""
        if self._hwp is not None:
            self._hwp.stop(self.clock.now_ns())

    def closed(self) -> None:
        """Close the rotator."""
        if self._hwp is not None:
            self.cease(self._timer)
            self._hwp.close()
            self._hwp = None

    def _take(self, angle: m.PolarizationAngle) -> None:
        self._angle = angle

    def _step(self, now_ns: int) -> None:
        angle = self._angle
        follow = self.active and angle is not None and angle.follow
        if follow and angle is not None:
            stamp_ns = messages.stamp_of(angle)
            follow = abs(now_ns - stamp_ns) < _SILENCE_NS
        if follow and not self._moving:
            self._follower = self._new_follower()
        if follow and angle is not None:
            since_s = (now_ns - stamp_ns) * 1e-9  # the angle holds for its stamp: extrapolate it to now
            angle_rad = angle.polarization_angle_rad + angle.polarization_rate_rad_s * since_s
            command = self._follower.step(now_ns, angle_rad, angle.polarization_rate_rad_s)
            require_open(self._hwp).move(now_ns, command.angle_rad)
            self._commanded_rad = command.angle_rad
        elif self._moving:
            require_open(self._hwp).stop(now_ns)
        self._moving = follow
        self._states.publish(messages.hwp_state(require_open(self._hwp).read(now_ns), self._commanded_rad, self.fault))


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(HwpNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
