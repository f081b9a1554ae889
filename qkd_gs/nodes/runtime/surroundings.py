"""Receiver of aircraft, weather station and dome of the monitor: devices that it reads by itself, without waiting."""

from __future__ import annotations

from typing import Any

from qkd_gs.devices.aircraft import AircraftReceiver
from qkd_gs.devices.dome import Dome
from qkd_gs.devices.kinds import AIRCRAFT, DOME, WEATHER
from qkd_gs.devices.weather import Weather
from qkd_gs.errors import in_words
from qkd_gs.nodes.runtime.base import StationMixin
from qkd_gs.nodes.runtime.context import device_of
from qkd_gs.nodes.runtime.heartbeat_values import device_values
from qkd_gs.safety.device_watch import DeviceWatch
from qkd_gs.safety.enclosure import Demand, Enclosure, EnclosureStatus, ShutterOrder
from qkd_gs.safety.laser.laser_safety import LaserSafety
from qkd_gs.settings.station import StationSettings


class Surroundings:
    """Reads the devices, tells `LaserSafety` and `Enclosure`, and moves the shutter.

    Parameters
    ----------
    node : StationMixin
        Whose devices file names them.
    """

    def __init__(self, node: StationMixin, station: StationSettings, laser: LaserSafety) -> None:
        self._laser, self._enclosure = laser, Enclosure(station.enclosure)
        self._after_park = station.enclosure.shutter.close_after_park
        chosen = node.devices.chosen()
        self._dome: DeviceWatch[Dome] | None = None
        self._watches: dict[str, DeviceWatch[Any]] = {}
        self._in_the_way = False  # a mount that is not parked
        if AIRCRAFT.name in chosen:
            self._watches['aircraft'] = DeviceWatch(lambda: device_of(node, AIRCRAFT, station), self._hear, laser.lost)
        if WEATHER.name in chosen:
            self._watches['weather'] = DeviceWatch(
                lambda: device_of(node, WEATHER, station), self._feel, lambda why: self._enclosure.lost('weather', why)
            )
        if DOME.name in chosen:
            self._dome = self._watches['dome'] = DeviceWatch(
                lambda: device_of(node, DOME, station), self._look, lambda why: self._enclosure.lost('dome', why)
            )

    def _hear(self, device: AircraftReceiver, now_ns: int) -> None:
        self._laser.heard(now_ns, device.read(now_ns))

    def _feel(self, device: Weather, now_ns: int) -> None:
        self._enclosure.weather(device.read(now_ns))

    def _look(self, device: Dome, now_ns: int) -> None:
        self._enclosure.dome(device.read(now_ns))

    def step(self, now_ns: int, steady_ns: int, demand: Demand) -> EnclosureStatus:
        """Read everything, and send the shutter what the enclosure orders."""
        for watch in self._watches.values():
            watch.step(now_ns, steady_ns)
        self._in_the_way = demand.in_pass or not demand.at_park
        status = self._enclosure.step(now_ns, demand)
        if self._dome is not None and self._dome.device is not None and status.order is not None:
            self._order(self._dome.device, now_ns, status.order)
        return status

    def _order(self, dome: Dome, now_ns: int, order: ShutterOrder) -> None:
        try:
            if order is ShutterOrder.OPEN:
                dome.open_shutter(now_ns)
            else:
                dome.close_shutter(now_ns)
        except Exception as error:  # noqa: BLE001  whatever a driver raises: told, and found again by the next reading
            self._enclosure.lost('dome', in_words(error))

    def values(self) -> dict[str, str]:
        """Values for the diagnostics."""
        told = {'aircraft': self._laser.aircraft}
        for name, watch in self._watches.items():
            if watch.fault:
                told[f'{name}_fault'] = watch.fault
            told |= {f'device_{name}_{key}': value for key, value in device_values(watch.device).items()}
        return told

    def close(self, now_ns: int) -> None:
        """The process ends: order the shutter closed, unless a mount that is not parked may be in its way."""
        dome = self._dome.device if self._dome is not None else None
        if dome is not None and not (self._after_park and self._in_the_way):
            self._order(dome, now_ns, ShutterOrder.CLOSE)
        for watch in self._watches.values():
            watch.close()
