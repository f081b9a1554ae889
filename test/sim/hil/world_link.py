"""A link to a mount and a beacon of the twin in the test's process, instead of the bus."""

from dataclasses import replace

import numpy as np

from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.devices.mount import MountReading
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.physics.mount import SimMount
from qkd_gs.sim.remote.actuators import Drive


class WorldLink:
    def __init__(self, start_ns):
        station = load_yaml(share_path('config', 'station.yaml'), StationSettings)
        self.mount = SimMount(load_twin().plant.mount, station.mount, start_ns, 1000, np.random.default_rng(1))
        self.now_ns, self.sent, self._takers = start_ns, [], {}
        self.beacon = BeaconReading(start_ns, False, 0.0, True)

    def send(self, channel, value, now_ns=0):
        self.sent.append((channel, value))
        if channel == 'mount/command':
            try:
                self.mount.command(now_ns, value)
            except DeviceFault as fault:
                if fault.code != 'mount.off':
                    raise
        elif channel == 'mount/drive':
            {Drive.OFF: lambda _: self.mount.close(), Drive.ENABLE: self.mount.enable, Drive.STOP: self.mount.stop}[
                value
            ](now_ns)

    def listen(self, channel, kind, take):
        self._takers[kind] = take

    def advance(self, now_ns):
        samples = (now_ns - self.now_ns) // 1_000_000
        if samples > 0:
            self.mount.advance(samples)
            self.now_ns += samples * 1_000_000
        for kind, reading in ((MountReading, self.mount.read(now_ns)), (BeaconReading, self.beacon)):
            if kind in self._takers:
                self._takers[kind](reading)

    def open_interlock(self):
        self.beacon = replace(self.beacon, interlock_closed=False)
