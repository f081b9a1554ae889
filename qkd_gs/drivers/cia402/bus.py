"""The CAN bus: frames that have arrived, frames to send, and SDO transfers of up to four bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from qkd_gs.drivers.cia402.objects import SDO_ANSWER, SDO_REQUEST, TPDO
from qkd_gs.drivers.extras import need
from qkd_gs.drivers.percentiles import Latencies
from qkd_gs.drivers.steady import looks
from qkd_gs.errors import DeviceFault


class Frame(NamedTuple):
    """A frame that has arrived.

    Attributes
    ----------
    at_ns : int
        When, by the steady clock of this machine; 0: not known.
    """

    identifier: int
    data: bytes
    at_ns: int = 0


_UPLOADED = {0x43: 4, 0x47: 3, 0x4B: 2, 0x4F: 1, 0x42: 4}
_DOWNLOADED = 0x60
_ABORTED = 0x80
_OLDEST_NS = 500_000_000  # an older time stamp is of another clock


class SdoAbort(DeviceFault):
    """A drive refuses to read or write an object."""

    def __init__(self, index: int, subindex: int, reason: int) -> None:
        super().__init__('mount.refused', f'object 0x{index:04X}:{subindex}: the drive aborts with 0x{reason:08X}')


class CanBus:
    """Frames over a bus of python-can.

    Parameters
    ----------
    open_bus : callable
        Makes the bus: an object with ``recv(timeout)``, ``send(message)`` and ``shutdown()``.
    name : str
        For messages.
    steady, wall : callable
        Clocks of this machine, ns; time stamps of frames are by `wall`.
    """

    def __init__(
        self,
        open_bus: Callable[[], Any],
        name: str,
        steady: Callable[[], int] = time.monotonic_ns,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._open_bus, self._name, self._steady, self._wall = open_bus, name, steady, wall
        self._bus: Any = None
        self._message: Any = None
        self._waiting: list[Frame] = []  # arrived during an SDO transfer
        self._synced_ns = 0  # when the last SYNC was sent (wall), if no drive has answered it yet
        self.answers = Latencies()  # of the drives, from a SYNC to the first position

    def open(self) -> None:
        """Open the bus.

        Raises
        ------
        DeviceFault
            ``mount.silent``: there is no such interface.
        StationError
            python-can is not installed.
        """
        can = need('can', 'can')
        self._message = can.Message
        try:
            self._bus = self._open_bus()
        except (OSError, ValueError, can.CanError) as error:
            raise DeviceFault('mount.silent', f'{self._name}: {error}') from error
        self._waiting.clear()

    def close(self) -> None:
        """Close the bus; allowed in every state."""
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.shutdown()

    def send(self, identifier: int, data: bytes) -> None:
        """Send a frame; raises ``mount.silent`` if the bus is gone or its buffer is full."""
        if self._bus is None:
            raise DeviceFault('mount.silent', f'{self._name}: the bus is closed')
        try:
            self._bus.send(self._message(arbitration_id=identifier, data=data, is_extended_id=False))
        except (OSError, need('can', 'can').CanError) as error:
            raise DeviceFault('mount.silent', f'{self._name}: {error}') from error

    def synced(self) -> None:
        """A SYNC has been sent."""
        self._synced_ns = self._wall()

    def frames(self) -> list[Frame]:
        """Frames that have arrived; never waits."""
        frames, self._waiting = self._waiting, []
        frames += self._arriving(0.0)
        return frames

    def _arriving(self, wait_s: float) -> Iterator[Frame]:
        """The next frame, which is waited for, and those behind it that are there already."""
        frame = self._receive(wait_s)
        while frame is not None:
            yield frame
            frame = self._receive(0.0)

    def _receive(self, wait_s: float) -> Frame | None:
        message = self._any(wait_s)
        while message is not None and (message.is_error_frame or message.is_remote_frame or message.is_extended_id):
            message = self._any(0.0)
        if message is None:
            return None
        if self._synced_ns and message.arbitration_id & 0x780 == TPDO[0]:
            self.answers.add(max(message.timestamp - self._synced_ns * 1e-9, 0.0))
            self._synced_ns = 0
        return Frame(message.arbitration_id, bytes(message.data), self._arrived_ns(message.timestamp))

    def _any(self, wait_s: float) -> Any:
        if self._bus is None:
            raise DeviceFault('mount.silent', f'{self._name}: the bus is closed')
        try:
            return self._bus.recv(wait_s)
        except (OSError, need('can', 'can').CanError) as error:
            raise DeviceFault('mount.silent', f'{self._name}: {error}') from error

    def _arrived_ns(self, timestamp_s: float) -> int:
        """Steady time of a frame's time stamp, which is the kernel's by the system clock for most interfaces."""
        ago_ns = self._wall() - round(timestamp_s * 1e9)
        return self._steady() - ago_ns if 0 <= ago_ns < _OLDEST_NS else 0

    def wait(self, seconds: float) -> None:
        """Let time pass; frames that arrive are kept."""
        for left_s in looks(seconds):
            self._waiting += self._arriving(left_s)

    # --- SDO; waits, so only while the device is opened ---

    def upload(self, node: int, index: int, subindex: int, timeout_s: float, signed: bool = False) -> int:
        """Read an object as integer.

        Raises
        ------
        DeviceFault
            ``mount.silent``: no answer; `SdoAbort`: the drive refuses.
        """
        head = bytes((0x40, index & 0xFF, index >> 8, subindex))
        answer = self._transfer(node, head + bytes(4), timeout_s)
        size = _UPLOADED.get(answer[0])
        if size is None:
            raise DeviceFault('mount.refused', f'object 0x{index:04X}:{subindex} has more than four bytes')
        return int.from_bytes(answer[4 : 4 + size], 'little', signed=signed)

    def download(self, node: int, index: int, subindex: int, value: int, size: int, timeout_s: float) -> None:
        """Write an object of `size` bytes; raises as `upload`."""
        self._transfer(node, download_request(index, subindex, value, size), timeout_s)

    def _transfer(self, node: int, request: bytes, timeout_s: float) -> bytes:
        self.send(SDO_REQUEST + node, request)
        for left_s in looks(timeout_s):
            for frame in self._arriving(left_s):
                if frame[0] != SDO_ANSWER + node or len(frame[1]) != 8 or frame[1][1:4] != request[1:4]:
                    self._waiting.append(frame)
                elif frame[1][0] == _ABORTED:
                    index, subindex = int.from_bytes(request[1:3], 'little'), request[3]
                    raise SdoAbort(index, subindex, int.from_bytes(frame[1][4:8], 'little'))
                else:
                    return frame[1]
        raise DeviceFault('mount.silent', f'{self._name}: node {node} does not answer within {timeout_s:g} s')


def download_request(index: int, subindex: int, value: int, size: int) -> bytes:
    """Data of the frame that writes an object of up to four bytes."""
    data = (value & ((1 << 8 * size) - 1)).to_bytes(size, 'little').ljust(4, b'\0')
    return bytes((0x23 | (4 - size) << 2, index & 0xFF, index >> 8, subindex)) + data
