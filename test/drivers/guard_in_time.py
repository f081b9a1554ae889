"""The guard of a laser without a process of its own."""

from qkd_gs.devices.conformance.rig import START_NS
from qkd_gs.drivers.guarded_laser.state import LaserState


class GuardInTime:
    """Does what a `GuardProcess` does, in the time of a test instead of a process of its own."""

    def __init__(self, kind, options, now_ns=START_NS):
        self._kind, self._options, self.now_ns = kind, options, now_ns
        self.control, self.state = None, LaserState()

    def start(self):
        self.control = self._kind(self._options, 1.0)
        self.advance(self.now_ns)
        self.poll()

    def advance(self, now_ns):
        self.now_ns = now_ns
        if self.control is not None:
            self.control.step(now_ns)

    def order(self, on):
        if self.control is not None:
            self.control.order(on, self.now_ns)

    def poll(self):
        if self.control is not None:
            self.state = self.control.state
        return True

    def age_ns(self):
        return self.now_ns - self.state.at_ns

    def replace(self):
        self.close()
        self.start()

    def close(self):
        if self.control is not None:
            self.control.order(False, self.now_ns)
            for _ in range(3):
                self.control.step(self.now_ns)
            self.control.close()
            self.control = None
