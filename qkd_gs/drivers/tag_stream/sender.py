"""Reference sender of the tag stream: what an FPGA's processor does, and a source of made-up tags.

``python -m qkd_gs.drivers.tag_stream.sender --listen HOST:PORT`` sends counts, beacon pulses and PPS in real time; the
first line of its output is the address.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from qkd_gs.arrays import ByteArray, IntArray
from qkd_gs.drivers.tag_stream.frames import Flag, Frame, FrameReader, Kind, encode, pack_tags

_ALIVE_S = 0.2
_LONGEST_TAGS = 1 << 16  # in a frame


class TagSender:
    """One connection of a TDC.

    The tags of a frame wait in a buffer of limited size until the network takes them.  When it is full, the frame is
    dropped, and the next one that fits says so (`Flag.OVERFLOW`), with the sequence number of the dropped one.

    Parameters
    ----------
    connection : socket
        To the station.
    hello : dict
        ``model``, ``serial_number``, ``firmware``, ``tick_ps`` (numerator, denominator).
    buffer_bytes : int
        Size of the buffer.

    Attributes
    ----------
    run : int
        Of the station's last START; 0: none.
    unlocked : bool
        The reference of the clock is missing.
    """

    def __init__(self, connection: socket.socket, hello: dict[str, object], buffer_bytes: int = 1 << 24) -> None:
        self._socket, self._buffer_bytes = connection, buffer_bytes
        connection.setblocking(False)
        self._reader = FrameReader()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._partly = b''  # rest of a frame that the network has taken in part
        self._overflow = False
        self._sequence = 0
        self._end_ticks = 0
        self.run, self.unlocked = 0, False
        self._queue(Frame(Kind.HELLO, payload=json.dumps(hello).encode('utf-8')))

    def orders(self) -> bool:
        """Take the station's orders; True when a run has begun: its clock starts now.

        Raises
        ------
        OSError
            The station has gone.
        """
        began = False
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return False
        if not data:
            raise ConnectionResetError('the station has closed the connection')
        for frame in self._reader.feed(data):
            if frame.kind is Kind.START:
                self._waiting.clear()
                self._waiting_bytes = 0
                self.run, self._sequence, self._end_ticks, self._overflow, began = frame.run, 0, 0, False, True
                self._queue(Frame(Kind.STARTED, run=self.run))
            elif frame.kind is Kind.STOP:
                self.run, began = 0, False
        return began

    def tags(self, ticks: IntArray, inputs: ByteArray, end_ticks: int) -> None:
        """Send the tags of the run up to `end_ticks` (exclusive), in order of time."""
        first = 0
        while True:
            last = _end_of_frame(ticks, first)
            end = end_ticks if last == len(ticks) else int(ticks[last])
            self._send_tags(ticks[first:last], inputs[first:last], end)
            first = last
            if first == len(ticks):
                return

    def _send_tags(self, ticks: IntArray, inputs: ByteArray, end_ticks: int) -> None:
        flags = (Flag.OVERFLOW if self._overflow else Flag(0)) | (Flag.UNLOCKED if self.unlocked else Flag(0))
        frame = Frame(Kind.TAGS, flags, self.run, self._sequence, end_ticks, pack_tags(ticks, inputs))
        if self._waiting_bytes + len(frame.payload) > self._buffer_bytes:
            self._overflow = True
            return
        self._queue(frame)
        self._sequence, self._end_ticks, self._overflow = (self._sequence + 1) % 2**32, end_ticks, False

    def alive(self) -> None:
        """Say that the TDC lives; at least every 0.2 s without tags."""
        self._queue(Frame(Kind.ALIVE, run=self.run, sequence=self._sequence, end_ticks=self._end_ticks))

    def _queue(self, frame: Frame) -> None:
        self._waiting.append(encode(frame))
        self._waiting_bytes += len(self._waiting[-1])

    def pump(self) -> None:
        """Give the network what it takes; never waits."""
        while self._partly or self._waiting:
            if not self._partly:
                self._partly = self._waiting.popleft()
                self._waiting_bytes -= len(self._partly)
            try:
                sent = self._socket.send(self._partly)
            except BlockingIOError:
                return
            self._partly = self._partly[sent:]


def _end_of_frame(ticks: IntArray, first: int) -> int:
    """Index behind the last tag of the frame that begins with tag `first`; equal ticks stay together."""
    last = first + _LONGEST_TAGS
    if last >= len(ticks):
        return len(ticks)
    together = int(np.searchsorted(ticks, ticks[last]))
    return together if together > first else int(np.searchsorted(ticks, ticks[first], 'right'))


@dataclass(frozen=True)
class MadeUp:
    """Made-up tags: Poisson counts on the first four inputs, beacon on the fifth, PPS on the sixth; ticks of 1 ps.

    Attributes
    ----------
    rate_hz, beacon_hz : float
        Counts of each detector, and pulses of the beacon.
    phase_ps : int
        Ticks from the beginning of the run to the first PPS.
    """

    rate_hz: float = 1000.0
    beacon_hz: float = 10_000.0
    phase_ps: int = 123_456_789_012
    seed: int = 1

    def tags(self, begin_ps: int, end_ps: int) -> tuple[IntArray, ByteArray]:
        """Ticks and inputs of an interval, in order of time."""
        rng = np.random.default_rng((self.seed, begin_ps))
        mean = 4 * self.rate_hz * (end_ps - begin_ps) * 1e-12
        counts = rng.integers(begin_ps, end_ps, rng.poisson(mean))
        beacon = _regular(begin_ps, end_ps, 0, round(1e12 / self.beacon_hz))
        pps = _regular(begin_ps, end_ps, self.phase_ps, 10**12)
        ticks = np.concatenate([counts, beacon, pps])
        inputs = np.concatenate(
            [
                rng.integers(1, 5, len(counts), np.uint8),
                np.full(len(beacon), 5, np.uint8),
                np.full(len(pps), 6, np.uint8),
            ]
        )
        order = np.argsort(ticks, kind='stable')
        return ticks[order], inputs[order]


def _regular(begin_ps: int, end_ps: int, phase_ps: int, period_ps: int) -> IntArray:
    first = -(-(begin_ps - phase_ps) // period_ps) * period_ps + phase_ps
    return np.arange(first, end_ps, period_ps, dtype=np.int64)


HELLO: dict[str, object] = {'model': 'made up', 'serial_number': 'S1', 'firmware': '1', 'tick_ps': [1, 1]}


def serve(connection: socket.socket, source: MadeUp, buffer_bytes: int) -> None:
    """Serve one connection in real time until the station goes."""
    sender = TagSender(connection, HELLO, buffer_bytes)
    began_ns = sent_ps = told_ns = 0
    while True:
        select.select([connection], [], [], 0.01)
        if sender.orders():
            began_ns, sent_ps = time.monotonic_ns(), 0
        now_ns = time.monotonic_ns()
        if sender.run:
            end_ps = (now_ns - began_ns) * 1000
            sender.tags(*source.tags(sent_ps, end_ps), end_ps)
            sent_ps = end_ps
        elif now_ns - told_ns >= _ALIVE_S * 1e9 / 2:
            sender.alive()
            told_ns = now_ns
        sender.pump()


def main(arguments: list[str]) -> int:
    """Listen, and serve one station after the other."""
    parser = argparse.ArgumentParser(description='Reference sender of the tag stream.')
    parser.add_argument('--listen', default='127.0.0.1:5500', metavar='HOST:PORT', help='port 0: any')
    parser.add_argument('--rate', type=float, default=1000.0, metavar='HZ', help='counts of each detector')
    parser.add_argument('--buffer-mib', type=float, default=16.0, metavar='MIB', help='size of the buffer')
    args = parser.parse_args(arguments)
    host, _, port = args.listen.rpartition(':')
    with socket.create_server((host, int(port))) as server:
        where = server.getsockname()
        sys.stdout.write(f'{where[0]}:{where[1]}\n')
        sys.stdout.flush()
        while True:
            connection, _ = server.accept()
            with connection:
                try:
                    serve(connection, replace(MadeUp(), rate_hz=args.rate), int(args.buffer_mib * 2**20))
                except OSError as error:
                    sys.stderr.write(f'{error}\n')


if __name__ == '__main__':
    raise SystemExit(main(sys.argv[1:]))
