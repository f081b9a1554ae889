"""Site, settings and devices of a node from its options; errors name file and key."""

from __future__ import annotations

from typing import Any, TypeVar

from qkd_gs.devices.capability import MountCapability
from qkd_gs.devices.devices_file import load_options
from qkd_gs.devices.kinds import AIRCRAFT, DOME, GPS, GUIDING_CAMERA, MOUNT, TDC, TRACKING_CAMERA, WEATHER, DeviceKind
from qkd_gs.devices.registry import SIMULATED, load_driver, make_device
from qkd_gs.nodes.runtime.base import StationMixin
from qkd_gs.nodes.runtime.device import DeviceNode
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import Site, load_site
from qkd_gs.settings.station import StationSettings

D = TypeVar('D')


def station_of(node: StationMixin) -> StationSettings:
    """Settings of the station, as the pointing calibration has refined them.

    Raises
    ------
    StationError
        A file that does not fit.
    """
    return load_yaml(node.station_path(), StationSettings)


def site_of(node: StationMixin) -> Site:
    """Site of the station."""
    return load_site(node.text('site'))


def mount_capability(node: StationMixin) -> MountCapability | None:
    """Capability of the mount as its driver states it; None: all that the settings of the station say."""
    loaded = load_driver(MOUNT.name, node.devices.choices()[MOUNT.name].driver)
    if loaded.capability is None:
        return None
    return loaded.capability(load_options(node.text('devices'), (MOUNT.name,))[MOUNT.name])


def simulation_setup(node: StationMixin, station: StationSettings) -> Any:
    """Setup shared by all simulated devices; imported only where devices are simulated."""
    from qkd_gs.orbit.elements import load_elements
    from qkd_gs.orbit.timescale import parse_utc
    from qkd_gs.pointing.pass_window import pass_window_nearest
    from qkd_gs.settings.twin import load_twin, under_real_stars
    from qkd_gs.sim.simulation_setup import SimulationSetup

    elements, site = load_elements(node.elements_path()), site_of(node)
    window = pass_window_nearest(elements, site, parse_utc(node.text('at'), 'at'), station)
    twin = load_twin(node.text('scenario') or None)
    if node.text('alignment') == 'compass':
        twin = under_real_stars(twin)
    return SimulationSetup(twin, station, site, window, float(node.options['lead_s']), int(node.options['seed']))


def device_of(node: StationMixin, kind: DeviceKind[D], station: StationSettings) -> D:
    """Device of a kind, not yet open, by the driver that the devices file names.

    Raises
    ------
    StationError
        The driver is not installed, or an option of it does not fit; names file and key.
    """
    choice = node.devices.choices()[kind.name]
    options = load_options(node.text('devices'), (kind.name,))[kind.name]
    link = None
    if choice.driver == SIMULATED:
        from qkd_gs.sim.remote.bus import Bus, bus_path

        namespace: str = node.get_namespace()  # type: ignore[attr-defined]
        setup = simulation_setup(node, station) if kind in _DRAW else None
        link = Bus(bus_path(namespace), lambda: node.clock.began_ns, setup)
    device = make_device(kind, choice.driver, station, site_of(node), options, link, node.simulated)
    if isinstance(node, DeviceNode):
        node.device = device
    return device


_DRAW = (
    GUIDING_CAMERA,
    TRACKING_CAMERA,
    TDC,
    GPS,
    AIRCRAFT,
    WEATHER,
    DOME,
)  # simulated devices that are not in the world
