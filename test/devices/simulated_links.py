"""Counterparts of the simulated drivers: the plants that they command, and a world that publishes its true state."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from qkd_gs.devices.conformance.rig import Counterpart
from qkd_gs.devices.mount import MountCommand
from qkd_gs.errors import DeviceFault
from qkd_gs.sim.physics.beacon import SimBeacon
from qkd_gs.sim.physics.calibration_light import SimCalibrationLight
from qkd_gs.sim.physics.focus import SimFocuser
from qkd_gs.sim.physics.hwp import SimHwp
from qkd_gs.sim.physics.mount import SimMount
from qkd_gs.sim.remote.actuators import HALT, Drive, FocuserState
from qkd_gs.sim.remote.realtime_world import RealtimeWorld

SAMPLE_HZ = 1000


class LinkOfOnePlant(Counterpart):
    """A link of plain calls to one plant; its state is published every step of time, until it is silenced."""

    def __init__(self, plant, channel, start_ns):
        self.plant, self._channel, self.now_ns = plant, channel, start_ns
        self._listeners, self._silent = {}, False

    def listen(self, channel, kind, take):
        self._listeners[channel] = take

    def poll(self):
        pass

    def advance(self, now_ns):
        self.run(now_ns)
        self.now_ns = now_ns
        if not self._silent and self._channel in self._listeners:
            self._listeners[self._channel](self.told())

    def told(self):
        return self.plant.read(self.now_ns)

    def silence(self):
        self._silent = True


class MountLink(LinkOfOnePlant):
    def __init__(self, settings, station, start_ns):
        mount = SimMount(settings.plant.mount, station.mount, start_ns, SAMPLE_HZ, np.random.default_rng(1))
        super().__init__(mount, 'mount/state', start_ns)

    def run(self, now_ns):
        self.plant.advance((now_ns - self.now_ns) * SAMPLE_HZ // 10**9)

    def send(self, channel, value, now_ns=0):
        if isinstance(value, MountCommand):
            with suppress(DeviceFault):  # drives that are off do not answer
                self.plant.command(self.now_ns, value)
        elif value is Drive.OFF:
            self.plant.close()
        else:
            (self.plant.enable if value is Drive.ENABLE else self.plant.stop)(self.now_ns)


class BeaconLink(LinkOfOnePlant):
    def __init__(self, settings, station, start_ns):
        beacon = SimBeacon(settings.plant.beacon, station.beacon, start_ns, np.random.default_rng(1))
        super().__init__(beacon, 'beacon/state', start_ns)

    def run(self, now_ns):
        self.plant.advance(now_ns)

    def send(self, channel, value, now_ns=0):
        (self.plant.on if value else self.plant.off)(self.now_ns)

    def open_interlock(self):
        self.plant._open_ns = ((self.now_ns, self.now_ns + 10**12),)


class HwpLink(LinkOfOnePlant):
    def __init__(self, settings, station, start_ns):
        hwp = SimHwp(settings.plant.hwp, start_ns, SAMPLE_HZ, np.random.default_rng(1))
        super().__init__(hwp, 'hwp/state', start_ns)

    def run(self, now_ns):
        self.plant.advance((now_ns - self.now_ns) * SAMPLE_HZ // 10**9)

    def send(self, channel, value, now_ns=0):
        if np.isnan(value):
            self.plant.stop(self.now_ns)
        else:
            self.plant.move(self.now_ns, value)


class FocuserLink(LinkOfOnePlant):
    def __init__(self, settings, start_ns):
        super().__init__(SimFocuser(settings, 10.0), 'focuser/state', start_ns)
        self.plant.open()
        self._max_step = settings.max_step

    def run(self, now_ns):
        self.now_ns = now_ns

    def told(self):
        return FocuserState(self.plant.read(self.now_ns), self._max_step)

    def send(self, channel, value, now_ns=0):
        if value == HALT:
            self.plant.halt(self.now_ns)
        else:
            self.plant.move(self.now_ns, value)


class CalibrationLightLink(LinkOfOnePlant):
    def __init__(self, settings, start_ns):
        super().__init__(SimCalibrationLight(settings), 'calibration_light/state', start_ns)
        self.plant.open()

    def run(self, now_ns):
        self.now_ns = now_ns

    def send(self, channel, value, now_ns=0):
        if value:
            self.plant.on(self.now_ns, value)
        else:
            self.plant.off(self.now_ns)


class WorldLink(Counterpart):
    """A link to a whole world: its true state goes to a camera or TDC that draws images or photons from it."""

    def __init__(self, setup):
        self.setup = setup
        self._listeners = {}
        self._world = RealtimeWorld(setup, self._publish)

    def _publish(self, block):
        self._listeners['truth'](block)

    def listen(self, channel, kind, take):
        self._listeners[channel] = take

    def poll(self):
        pass

    def send(self, channel, value, now_ns=0):
        assert channel == 'tilt_residual'

    def advance(self, now_ns):
        self._world.step(now_ns)
