"""A TCP relay on loopback that is as slow as a link through space: delay and bit rate each way, in real time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from time import monotonic

from qkd_gs.qkd.link.tls import LOOPBACK

_PACKET_BYTES = 1500
_WAITING_PACKETS = 100  # a router keeps no more; the sender is held up
_OVER = ConnectionError, asyncio.CancelledError


class Pace:
    """Times at which packets arrive at the far end of one direction.

    Parameters
    ----------
    delay_s : float
        From the last bit's departure to its arrival.
    rate_bit_s : float
        Departure of one bit after the other.
    """

    def __init__(self, delay_s: float, rate_bit_s: float) -> None:
        self._delay_s, self._rate_bit_s = delay_s, rate_bit_s
        self._free_s = 0.0

    def arrival_s(self, now_s: float, size: int) -> float:
        """Time at which a packet of `size` bytes, handed over now, has arrived; packets stay in their order."""
        self._free_s = max(now_s, self._free_s) + 8 * size / self._rate_bit_s
        return self._free_s + self._delay_s


@contextmanager
def slow_link(port: int, round_trip_s: float, rate_bit_s: float) -> Iterator[int]:
    """Relay for one connection to `port` on loopback; the port to call instead."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def serve() -> asyncio.Server:
        async def relay(near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
            far_in, far_out = await asyncio.open_connection(LOOPBACK, port)
            with closing(near_out), closing(far_out), suppress(*_OVER):  # one that goes ends the other
                await asyncio.gather(
                    _carry(near_in, far_out, Pace(round_trip_s / 2, rate_bit_s)),
                    _carry(far_in, near_out, Pace(round_trip_s / 2, rate_bit_s)),
                )

        return await asyncio.start_server(relay, LOOPBACK, 0)

    server = asyncio.run_coroutine_threadsafe(serve(), loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.get_loop().call_soon_threadsafe(server.close)
        asyncio.run_coroutine_threadsafe(_end_all(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end_all() -> None:
    """Break off what is still under way."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pace: Pace) -> None:
    """One direction, until its sender ends it."""
    way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_WAITING_PACKETS)

    async def arrive() -> None:
        while True:
            due_s, packet = await way.get()
            await asyncio.sleep(max(due_s - monotonic(), 0.0))
            if not packet:
                return writer.write_eof()
            writer.write(packet)
            await writer.drain()

    async def depart() -> None:
        packet = b'-'
        while packet:
            packet = await reader.read(_PACKET_BYTES)
            await way.put((pace.arrival_s(monotonic(), len(packet)), packet))

    await asyncio.gather(depart(), arrive())
