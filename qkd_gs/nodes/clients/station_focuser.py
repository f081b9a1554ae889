"""The focuser of the station, if it has one: read now and then by the node that owns it, and moved by an autofocus."""

from __future__ import annotations

from qkd_gs.calibration.focus import temperature_warning
from qkd_gs.calibration.star_focus import FocuserSeen
from qkd_gs.devices.focuser import Focuser
from qkd_gs.devices.kinds import FOCUSER
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.nodes.runtime.base import StationMixin
from qkd_gs.nodes.runtime.context import device_of
from qkd_gs.safety.device_watch import DeviceWatch
from qkd_gs.settings.station import StationSettings

NO_FOCUSER = 'the station has no focuser (`focuser` of its devices file): focus by hand'


class StationFocuser:
    """Keeps the focuser open; one with a fault is opened again.

    Parameters
    ----------
    node : StationMixin
        Whose devices file names it.

    Attributes
    ----------
    seen : FocuserSeen or None
        As last read; None: there is none, it has told nothing yet, or it has a fault.
    """

    def __init__(self, node: StationMixin, station: StationSettings) -> None:
        self.seen: FocuserSeen | None = None
        self._node = node
        self._ordered: int | None = None
        self._watch: DeviceWatch[Focuser] | None = None
        if FOCUSER.name in node.devices.chosen():
            self._watch = DeviceWatch(lambda: device_of(node, FOCUSER, station), self._look, self._lost)

    @property
    def exists(self) -> bool:
        """Whether the station has one."""
        return self._watch is not None

    def read(self, now_ns: int) -> None:
        """Take a reading."""
        if self._watch is not None:
            self._watch.step(now_ns, self._node.clock.steady_ns())

    def move(self, now_ns: int, position: int | None) -> None:
        """Order it to a position, once; None: it stays where it is."""
        device = self._watch.device if self._watch is not None else None
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
        """Why to focus, or what is wrong with the focuser; empty: nothing."""
        if self._watch is None:
            return ''
        if self._watch.fault or self.seen is None:
            return self._watch.fault
        try:
            return temperature_warning(self._node.state_dir, self.seen.reading.temperature_c)
        except StationError as error:
            return str(error)

    def close(self) -> None:
        """Halt and close."""
        if self._watch is not None:
            self._watch.close()

    def _look(self, device: Focuser, now_ns: int) -> None:
        reading = device.read(now_ns)
        self.seen = FocuserSeen(reading, device.travel()) if reading.stamp_ns else None

    def _lost(self, why: str) -> None:
        self.seen = None
