"""The focuser of the station, if it has one: read now and then by the node that owns it, and moved by an autofocus."""

from __future__ import annotations

from qkd_gs.calibration.focus import temperature_warning
from qkd_gs.calibration.star_focus import FocuserSeen
from qkd_gs.devices.focuser import Focuser
from qkd_gs.devices.kinds import FOCUSER
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.nodes.clients.station_device import StationDevice
from qkd_gs.nodes.runtime.base import StationMixin
from qkd_gs.settings.station import StationSettings


class StationFocuser(StationDevice[Focuser, FocuserSeen]):
    """Keeps the focuser open; it is moved by an autofocus."""

    def __init__(self, node: StationMixin, station: StationSettings) -> None:
        super().__init__(node, FOCUSER, station)
        self._ordered: int | None = None

    def move(self, now_ns: int, position: int | None) -> None:
        """Order it to a position, once; None: it stays where it is."""
        device = self._device
        if device is None or position is None or position == self._ordered:
            return
        self._ordered = position
        try:
            device.move(now_ns, position)
        except DeviceFault as fault:  # the autofocus finds that it does not arrive
            self._node.warning = str(fault)

    def begin(self) -> None:
        """Another autofocus: whatever was ordered before, its orders are given."""
        self._ordered = None

    def advice(self) -> str:
        """Reason to focus, or trouble of the focuser; empty: neither."""
        if self.trouble or self.seen is None:
            return self.trouble
        try:
            return temperature_warning(self._node.state_dir, self.seen.reading.temperature_c)
        except StationError as error:
            return str(error)

    def _look(self, device: Focuser, now_ns: int) -> None:
        reading = device.read(now_ns)
        self.seen = FocuserSeen(reading, device.travel()) if reading.stamp_ns else None
