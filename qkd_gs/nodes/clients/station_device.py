"""A device that a station may have, kept open by the node that owns it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from qkd_gs.devices.kinds import DeviceKind
from qkd_gs.nodes.runtime.base import StationMixin
from qkd_gs.nodes.runtime.context import device_of
from qkd_gs.safety.device_watch import DeviceWatch, Readable
from qkd_gs.settings.station import StationSettings

D = TypeVar('D', bound=Readable)
Seen = TypeVar('Seen')


class StationDevice(ABC, Generic[D, Seen]):
    """Reads a device when asked to; one with a fault is opened again.

    Parameters
    ----------
    node : StationMixin
        Whose devices file names it.

    Attributes
    ----------
    seen : Seen or None
        As last read; None: there is none, it has told nothing yet, or it has a fault.
    """

    def __init__(self, node: StationMixin, kind: DeviceKind[D], station: StationSettings) -> None:
        self.seen: Seen | None = None
        self._node = node
        self._watch: DeviceWatch[D] | None = None
        if kind.name in node.devices.chosen():
            self._watch = DeviceWatch(lambda: device_of(node, kind, station), self._look, self._lost)

    @property
    def exists(self) -> bool:
        """Whether the station has one."""
        return self._watch is not None

    @property
    def trouble(self) -> str:
        """Its fault, in words; empty: none."""
        return self._watch.fault if self._watch is not None else ''

    @property
    def _device(self) -> D | None:
        """The device, if it is open."""
        return self._watch.device if self._watch is not None else None

    def read(self, now_ns: int) -> None:
        """Take a reading."""
        if self._watch is not None:
            self._watch.step(now_ns, self._node.clock.steady_ns())

    def close(self) -> None:
        """Close it, which makes it safe."""
        if self._watch is not None:
            self._watch.close()

    @abstractmethod
    def _look(self, device: D, now_ns: int) -> None:
        """Read the open device into `seen`."""

    def _lost(self, why: str) -> None:
        """It has a fault, and is closed."""
        self.seen = None
