"""Serial devices in memory for tests, behind pyserial's own interface: ``emulator://NAME``.

What is written reaches the device at once, and so do its answers the driver: a test depends on no scheduler.
"""

DEVICES = {}


class SerialDevice:
    """A device on a serial line; a subclass answers in `receive` and, with time, in `advance`."""

    def __init__(self):
        self.sent = bytearray()  # towards the driver, not read yet
        self.silent = self.unplugged = False

    def plug_into(self, name):
        """Be reachable as ``emulator://NAME``; returns that URL."""
        DEVICES[name] = self
        return f'emulator://{name}'

    def say(self, text):
        if not self.silent:
            self.sent += text.encode('ascii')

    def receive(self, data):
        raise NotImplementedError

    def advance(self, now_ns):
        pass
