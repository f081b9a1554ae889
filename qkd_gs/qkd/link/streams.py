"""Streams and channels inside one process: a pair in memory, and a meter that estimates the time on a slow link."""

from __future__ import annotations

import queue
from dataclasses import dataclass, field

from qkd_gs.qkd.link.channel import HEADER_BYTES, Channel, Message, PacketChannel
from qkd_gs.qkd.link.faults import ProtocolError


class MemoryStream:
    """One end of a pipe in memory; `pipe()` makes both ends."""

    def __init__(self, inbox: queue.Queue[bytes], outbox: queue.Queue[bytes], timeout_s: float):
        self._inbox, self._outbox, self._timeout_s = inbox, outbox, timeout_s
        self._buffer = bytearray()
        self._closed = False

    def write(self, data: bytes) -> None:
        """Send the bytes to the other end."""
        if self._closed:
            raise ProtocolError('truncated', 'the link is closed')
        if data:  # an empty piece marks the end
            self._outbox.put(bytes(data))

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        while len(self._buffer) < size:
            if self._closed:
                raise ProtocolError('truncated', 'the link is closed')
            try:
                piece = self._inbox.get(timeout=self._timeout_s)
            except queue.Empty as error:
                raise ProtocolError('silent', f'nothing was received for {self._timeout_s:g} s') from error
            if not piece:
                self._closed = True
            self._buffer += piece
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def close(self) -> None:
        """Close this end; the other end reads the end of the stream."""
        if not self._closed:
            self._closed = True
            self._outbox.put(b'')


def pipe(timeout_s: float = 60.0) -> tuple[MemoryStream, MemoryStream]:
    """Two ends of a stream in memory."""
    there: queue.Queue[bytes] = queue.Queue()
    back: queue.Queue[bytes] = queue.Queue()
    return MemoryStream(there, back, timeout_s), MemoryStream(back, there, timeout_s)


def channel_pair(timeout_s: float = 60.0) -> tuple[PacketChannel, PacketChannel]:
    """Two connected channels in memory; each side runs in its own thread."""
    one, other = pipe(timeout_s)
    return PacketChannel(one), PacketChannel(other)


@dataclass
class LinkMeter:
    """A channel that counts its traffic and estimates how long a slower link would take.

    Only one side sends at a time, so the time on a link is the bits over its rate, plus half a round trip for each
    change of direction.
    """

    channel: Channel
    bytes_sent: int = 0
    bytes_received: int = 0
    turns: int = 0  # changes of direction; two make a round trip
    bytes_by_kind: dict[str, int] = field(default_factory=dict)
    _sending: bool | None = None

    def send(self, message: Message) -> None:
        """Send and count a message."""
        self.channel.send(message)
        self.bytes_sent += self._count(message, sending=True)

    def receive(self) -> Message:
        """Receive and count a message."""
        message = self.channel.receive()
        self.bytes_received += self._count(message, sending=False)
        return message

    def close(self) -> None:
        """Close the underlying channel."""
        self.channel.close()

    def link_s(self, round_trip_s: float = 0.25, rate_bit_s: float = 1e6) -> float:
        """Seconds that this traffic takes on a link, without computing time."""
        return 8 * (self.bytes_sent + self.bytes_received) / rate_bit_s + self.turns * round_trip_s / 2

    def _count(self, message: Message, sending: bool) -> int:
        if sending is not self._sending:
            self.turns += 1
            self._sending = sending
        size = HEADER_BYTES + len(message.payload)
        self.bytes_by_kind[message.kind.name] = self.bytes_by_kind.get(message.kind.name, 0) + size
        return size
