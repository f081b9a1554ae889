"""Drivers by name.

The simulated ones and those of `qkd_gs.drivers` are part of this package.  One of another package is registered as an
entry point of the group ``qkd_gs.drivers`` called ``KIND.NAME``, which refers to a `Driver` (a factory with the
decorator `driver`).
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import signature
from typing import Any, TypeVar, cast

from qkd_gs.devices.driver import Driver, DriverContext
from qkd_gs.devices.kinds import KINDS, DeviceKind
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.settings.loader import Section
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings

D = TypeVar('D')

GROUP = 'qkd_gs.drivers'
SIMULATED = 'sim'
NONE = 'none'  # no driver is chosen
HINT = '`qkd-gs devices` lists what is installed; see CONTRIBUTING.md for how to add a driver'

_BUILT_IN = {f'{kind}.{SIMULATED}': f'qkd_gs.sim.remote.drivers:{kind}' for kind in KINDS} | {
    'mount.rotctl': 'qkd_gs.drivers.rotctl.mount:rotctl',
    'mount.indi': 'qkd_gs.drivers.indi.telescope:indi_telescope',
    'mount.alpaca': 'qkd_gs.drivers.alpaca.telescope:alpaca_telescope',
    'mount.cia402': 'qkd_gs.drivers.cia402.mount:cia402',
    'beacon.cobolt': 'qkd_gs.drivers.cobolt.beacon:cobolt',
    'beacon.scpi': 'qkd_gs.drivers.scpi.beacon:scpi',
    'gps.gpsd': 'qkd_gs.drivers.gnss.gpsd_receiver:gpsd',
    'gps.indi': 'qkd_gs.drivers.indi.gps:indi_gps',
    'gps.ublox': 'qkd_gs.drivers.gnss.ublox_receiver:ublox',
    'tdc.tag_stream': 'qkd_gs.drivers.tag_stream.receiver:tag_stream',
    'aircraft.sbs': 'qkd_gs.drivers.adsb.sbs_receiver:sbs',
    'aircraft.json': 'qkd_gs.drivers.adsb.json_receiver:json_snapshots',
    'weather.indi': 'qkd_gs.drivers.indi.weather:indi_weather',
    'weather.alpaca': 'qkd_gs.drivers.alpaca.weather:alpaca_weather',
    'dome.indi': 'qkd_gs.drivers.indi.dome:indi_dome',
    'dome.alpaca': 'qkd_gs.drivers.alpaca.dome:alpaca_dome',
    'hwp.indi': 'qkd_gs.drivers.indi.rotator:indi_rotator',
    'hwp.alpaca': 'qkd_gs.drivers.alpaca.rotator:alpaca_rotator',
    'hwp.elliptec': 'qkd_gs.drivers.elliptec.rotator:elliptec',
    'focuser.indi': 'qkd_gs.drivers.indi.focuser:indi_focuser',
    'focuser.alpaca': 'qkd_gs.drivers.alpaca.focuser:alpaca_focuser',
    'calibration_light.indi': 'qkd_gs.drivers.indi.lightbox:indi_lightbox',
    'calibration_light.alpaca': 'qkd_gs.drivers.alpaca.cover_calibrator:alpaca_cover_calibrator',
    'guiding_camera.indi': 'qkd_gs.drivers.indi.ccd:indi_ccd',
    'guiding_camera.alpaca': 'qkd_gs.drivers.alpaca.camera:alpaca_camera',
    'guiding_camera.gige': 'qkd_gs.drivers.gige.camera:gige',
    'tracking_camera.gige': 'qkd_gs.drivers.gige.camera:gige',
}


def installed(kind: str) -> dict[str, str]:
    """Names of the drivers of a kind, with their ``module:attribute``."""
    found = {name.split('.', 1)[1]: target for name, target in _BUILT_IN.items() if name.split('.', 1)[0] == kind}
    for point in _entry_points(tuple(sys.path)):
        of_kind, _, name = point.name.partition('.')
        if of_kind == kind and name:
            found[name] = point.value
    return found


@cache  # every package of the environment is looked at, and each node of a station asks for every kind
def _entry_points(path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Entry points of installed drivers; `path` is where Python looks for packages."""
    return tuple(entry_points(group=GROUP))


def not_installed(kind: str, name: str) -> str:
    """Sentence about a driver that is not installed."""
    names = ', '.join(sorted(installed(kind)))
    if name == NONE:
        return f'no driver has been chosen (installed: {names})'
    return f'driver {name!r} is not installed (installed: {names})'


def load_driver(kind: str, name: str) -> Driver[Any, Any]:
    """Load a driver by name.

    Raises
    ------
    StationError
        The driver is not installed, cannot be imported, or is not a `Driver`.
    """
    target = installed(kind).get(name)
    if target is None:
        raise StationError(not_installed(kind, name), hint=HINT)
    module, _, attribute = target.partition(':')
    try:
        loaded = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise StationError(f'driver {name!r} of {kind} cannot be loaded: {error}') from error
    if not isinstance(loaded, Driver):
        raise StationError(
            f'driver {name!r} of {kind} ({target}) is not a Driver', hint='decorate its factory with @driver'
        )
    return loaded


def make_device(
    kind: DeviceKind[D],
    name: str,
    station: StationSettings,
    site: Site,
    options: Section,
    link: Any = None,
    simulated: bool = False,
) -> D:
    """Make the device of a kind with a driver; it is not open yet.

    Parameters
    ----------
    name : str
        Name of the driver.
    options : Section
        Of the class that the driver registers, as `load_options` returns them.
    link : object
        Connection of simulated devices to the twin.
    simulated : bool
        The station is marked as simulated.

    Raises
    ------
    StationError
        The driver is not installed, or its device does not implement the Protocol of the kind.
    """
    context = DriverContext(kind.name, station, site, options, link, simulated)
    device: Any = load_driver(kind.name, name).make(context)
    if not isinstance(device, kind.protocol):
        lacks = f'{type(device).__name__} lacks methods of {kind.protocol.__name__}'
        raise StationError(f'driver {name!r} of {kind.name}: {lacks}')
    return cast(D, device)


def self_test(
    kind: DeviceKind[Any],
    name: str,
    station: StationSettings,
    site: Site,
    options: Section,
    move: bool = False,
    simulated: bool = False,
) -> dict[str, Any]:
    """Open a real device and close it again.

    A device may have a method ``self_test(move: bool = False) -> str``; without one, the result of a device that could
    be opened is ``'opened'``.  Only with `move` it may move or emit light.

    Returns
    -------
    dict
        ``found`` (bool) and ``self_test`` (str).
    """
    device = make_device(kind, name, station, site, options, simulated=simulated)
    try:
        device.open()
        result = _tested(device, move) if hasattr(device, 'self_test') else 'opened'
    except DeviceFault as fault:
        return {'found': False, 'self_test': str(fault)}
    finally:
        device.close()
    return {'found': True, 'self_test': result}


def _tested(device: Any, move: bool) -> str:
    takes_move = 'move' in signature(device.self_test).parameters
    return str(device.self_test(move=move) if takes_move else device.self_test())
