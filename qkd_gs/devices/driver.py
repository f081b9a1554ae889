"""Drivers: a factory with the class of its options, and the context that it gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

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
    """

    kind: str
    station: StationSettings
    site: Site
    options: O
    link: Any = None


@dataclass(frozen=True)
class Driver(Generic[O, D]):
    """A driver as its package registers it.

    Attributes
    ----------
    options : type
        Class of the options, a `Section`; unknown and ill-typed options are refused by it.
    make : callable
        Factory: takes a `DriverContext`, returns a device that is not open yet.
    """

    options: type[O]
    make: Callable[[DriverContext[O]], D]


def driver(options: type[O]) -> Callable[[Callable[[DriverContext[O]], D]], Driver[O, D]]:
    """Decorator that makes a `Driver` of a factory and the class of its options.

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
        return Driver(options, make)

    return register
