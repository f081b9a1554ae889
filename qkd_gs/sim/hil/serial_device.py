"""Base of the emulated devices on a serial line."""

from __future__ import annotations


class SerialDevice:
    """A subclass answers in `receive` and, with time, in `advance`.

    Attributes
    ----------
    sent : bytearray
        Towards the driver, not read yet.
    silent, unplugged : bool
        It does not answer; it is not there.
    """

    def __init__(self) -> None:
        self.sent = bytearray()
        self.silent = self.unplugged = False

    def say(self, text: str) -> None:
        """Answer."""
        if not self.silent:
            self.sent += text.encode('ascii')

    def receive(self, data: bytes) -> None:
        """Bytes that the driver has sent."""
        raise NotImplementedError

    def advance(self, now_ns: int) -> None:
        """Let time pass until `now_ns`."""
