"""Serial devices in memory for tests, behind pyserial's own interface: ``emulator://NAME``.

What is written reaches the device at once, and so do its answers the driver: a test depends on no scheduler.
"""

from qkd_gs.sim.hil.serial_device import SerialDevice

DEVICES = {}


class Pluggable(SerialDevice):
    """A device that can be reached by a URL."""

    def plug_into(self, name):
        """Be reachable as ``emulator://NAME``; returns that URL."""
        DEVICES[name] = self
        return f'emulator://{name}'
