"""Which driver each device has: config/devices/*.yaml, and drivers by name.

The simulated ones come with the package.  A real driver is a Python package of its own or a module of this one; it
makes itself known as an entry point of the group ``qkd_gs.drivers`` called ``KIND.NAME``, a callable that takes a
`DriverContext` and gives an object that speaks the Protocol of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import Field

from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.settings.loader import Section, load_yaml
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

GROUP = 'qkd_gs.drivers'
SIMULATED = 'sim'

# what comes with the package, as "module:callable"
_BUILT_IN = {f'{kind}.{SIMULATED}': f'qkd_gs.sim.remote.actuators:{kind}' for kind in ('mount', 'beacon', 'hwp')} | {
    f'{kind}.{SIMULATED}': f'qkd_gs.sim.remote.sensors:{kind}'
    for kind in ('guiding_camera', 'tracking_camera', 'gps', 'tdc')
}


class DeviceChoice(Section):
    """One device."""

    driver: str = Field(pattern='^[a-z0-9_]+$', description="name of the driver; 'none': not chosen yet")
    options: dict[str, Any] = Field(default_factory=dict, description='what the driver needs to know')


class DeviceSettings(Section):
    """A whole devices file."""

    mount: DeviceChoice
    guiding_camera: DeviceChoice
    tracking_camera: DeviceChoice
    beacon: DeviceChoice
    hwp: DeviceChoice
    gps: DeviceChoice
    tdc: DeviceChoice

    @property
    def simulated(self) -> bool:
        """Whether any device is simulated: then light, counts and key come from the twin."""
        return any(choice.driver == SIMULATED for choice in self.choices().values())

    def choices(self) -> dict[str, DeviceChoice]:
        """By kind of device."""
        return {kind: getattr(self, kind) for kind in type(self).model_fields}


KINDS = tuple(DeviceSettings.model_fields)


@dataclass(frozen=True)
class DriverContext:
    """What a driver may know.

    Attributes
    ----------
    options : mapping
        Of the devices file.
    link : object
        How simulated devices reach the twin; None for real ones.
    """

    kind: str
    station: StationSettings
    site: Site
    options: Mapping[str, Any] = field(default_factory=dict)
    link: Any = None


def devices_path(name: str) -> Path:
    """File of 'sim' or 'hardware', or the path itself."""
    return share_path('config', 'devices', f'{name}.yaml') if name in ('sim', 'hardware') else Path(name)


def load_devices(name: str) -> DeviceSettings:
    """Devices file, every driver in it being installed.

    Raises
    ------
    StationError
        No such file, a key that does not fit, or a driver that is not installed; names file and key.
    """
    path = devices_path(name)
    settings = load_yaml(path, DeviceSettings)
    for kind, choice in settings.choices().items():
        if choice.driver not in installed(kind):
            raise StationError(_not_installed(kind, choice.driver), where=f'{path}: {kind}', hint=_HINT)
    drivers = {choice.driver == SIMULATED for choice in settings.choices().values()}
    if len(drivers) > 1:
        raise StationError(
            'simulated and real devices in one station', where=path, hint='a key of such a mixture would mean nothing'
        )
    return settings


_HINT = '`qkd-gs devices` lists what is installed; see CONTRIBUTING.md for how to add a driver'


def installed(kind: str) -> dict[str, str]:
    """Names of the drivers of a kind, and where they come from."""
    found = {name.split('.', 1)[1]: target for name, target in _BUILT_IN.items() if name.split('.', 1)[0] == kind}
    for point in entry_points(group=GROUP):
        of_kind, _, name = point.name.partition('.')
        if of_kind == kind and name:
            found[name] = point.value
    return found


def make_device(choice: DeviceChoice, context: DriverContext) -> Any:
    """The device, not yet open.

    Raises
    ------
    StationError
        The driver is not installed, or does not take its options.
    """
    target = installed(context.kind).get(choice.driver)
    if target is None:
        raise StationError(_not_installed(context.kind, choice.driver), hint=_HINT)
    module, _, name = target.partition(':')
    try:
        factory: Callable[[DriverContext], Any] = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise StationError(f'driver {choice.driver!r} of {context.kind} cannot be loaded: {error}') from error
    return factory(context)


def self_test(choice: DeviceChoice, context: DriverContext) -> dict[str, Any]:
    """Open a real device and close it again: whether it was found, and what its driver says of it.

    A driver may have a method ``self_test() -> str``; without one, having been opened is all that is known.
    """
    device = make_device(choice, context)
    try:
        device.open()
        said = device.self_test() if hasattr(device, 'self_test') else 'opened'
    except DeviceFault as fault:
        return {'found': False, 'self_test': str(fault)}
    finally:
        device.close()
    return {'found': True, 'self_test': said}


def _not_installed(kind: str, driver: str) -> str:
    names = ', '.join(sorted(installed(kind)))
    if driver == 'none':
        return f'no driver has been chosen (installed: {names})'
    return f'driver {driver!r} is not installed (installed: {names})'
