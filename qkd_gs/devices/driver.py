"""Drivers: a factory with the class of its options, and the context that it gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from qkd_gs.devices.capability import MountCapability
from qkd_gs.settings.loader import Section
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings

O = TypeVar('O', bound=Section)  # noqa: E741  options
D = TypeVar('D')  # device


class NoOptions(Section):
    """Options of a driver that needs none."""


@dataclass(frozen=True)
class DriverContext(Generic[O]):
    """Input of a driver's factory.

    Attributes
    ----------
    kind : str
        Of the device, e.g. ``'tracking_camera'``.
    station : StationSettings
        Limits, rates and geometry that the driver must keep.
    site : Site
        Position of the station.
    options : Section
        Validated options of the driver.
    link : object
        Connection of simulated devices to the twin; None for real ones.
    simulated : bool
        The station is marked as simulated, and so is its key.
    """

    kind: str
    station: StationSettings
    site: Site
    options: O
    link: Any = None
    simulated: bool = False


@dataclass(frozen=True)
class Probed:
    """A device that has answered a driver's probe.

    Attributes
    ----------
    options : dict
        Options that lead to it.
    said : str
        Its statements about itself.
    kind : str
        Kind of device; empty: that of the driver.  A server of many devices has one probe for all its kinds, whose
        drivers have the same name.
    """

    options: dict[str, Any]
    said: str
    kind: str = ''


Probe = Callable[[str], Probed | list[Probed] | None]


@dataclass(frozen=True)
class Driver(Generic[O, D]):
    """A driver as its package registers it.

    Attributes
    ----------
    options : type
        Class of the options, a `Section`; unknown and ill-typed options are refused by it.
    make : callable
        Factory: takes a `DriverContext`, returns a device that is not open yet.
    probe : callable, optional
        Asks an address (see `qkd_gs.devices.discovery`) whether a device of this driver is there, without moving it or
        emitting light; None if not, or if it is an address of another kind; a list from a server of many devices.
    capability : callable, optional
        Of a mount: what it can do with these options; None: all that the settings of the station say.
    """

    options: type[O]
    make: Callable[[DriverContext[O]], D]
    probe: Probe | None = None
    capability: Callable[[O], MountCapability] | None = None


def driver(
    options: type[O], probe: Probe | None = None, capability: Callable[[O], MountCapability] | None = None
) -> Callable[[Callable[[DriverContext[O]], D]], Driver[O, D]]:
    """Decorator that makes a `Driver` of a factory, the class of its options, and its probe if it has one.

    Examples
    --------
    ::

        class RotatorOptions(Section):
            port: str = Field(description='serial port')

        @driver(RotatorOptions)
        def rotator(context: DriverContext[RotatorOptions]) -> HwpRotator:
            return Rotator(context.options.port)
    """

    def register(make: Callable[[DriverContext[O]], D]) -> Driver[O, D]:
        return Driver(options, make, probe, capability)

    return register
