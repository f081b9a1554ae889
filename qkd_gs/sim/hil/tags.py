"""TDC of the twin as a process: its photons over the tag stream.

``python -m qkd_gs.sim.hil.tags PLACE``
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

import numpy as np

from qkd_gs.drivers.tag_stream.sender import TagSender
from qkd_gs.sim.hil.place import IN_TIME, TAGS_PORT, begun, serving
from qkd_gs.sim.remote.sensors import RemoteTdc

_PERIOD_S, _ALIVE_S = 0.02, 0.1
_JITTER_PS = 2000  # by which tags of the next interval may be earlier than the last one of this
HELLO: dict[str, object] = {
    'model': 'digital twin', 'serial_number': 'TWIN', 'firmware': '1', 'tick_ps': [1, 1], 'simulated': True,
}  # fmt: skip


def main() -> int:
    """Serve one station after the other until the world ends."""
    place, _ = begun()
    setup = place.setup()
    tdc = RemoteTdc(setup, place.connect(setup))
    tdc.open()
    with socket.create_server(('127.0.0.1', TAGS_PORT)) as server:
        serving(f'TDC listens at 127.0.0.1:{TAGS_PORT}', IN_TIME)
        while True:
            connection, _ = server.accept()
            with connection:
                try:
                    _serve(TagSender(connection, HELLO), connection, tdc, place.now_ns)
                except OSError:
                    tdc.stop(place.now_ns())  # the station has gone


def _serve(sender: TagSender, connection: socket.socket, tdc: RemoteTdc, now_ns: Callable[[], int]) -> None:
    told_s, running = 0.0, 0
    ticks, inputs = np.empty(0, np.int64), np.empty(0, np.uint8)
    while True:
        select.select([connection], [], [], _PERIOD_S)
        if sender.orders():
            tdc.start(now_ns())
            ticks, inputs = ticks[:0], inputs[:0]
        if running and not sender.run:
            tdc.stop(now_ns())
        running = sender.run
        block = tdc.poll(now_ns())  # also without a run: the state of the world goes by
        if running and len(block):
            ticks, inputs = np.concatenate([ticks, block.time_ps]), np.concatenate([inputs, block.channel])
            order = np.argsort(ticks, kind='stable')
            ticks, inputs = ticks[order], inputs[order]
            end = int(ticks[-1]) - _JITTER_PS
            first, ready = (int(np.searchsorted(ticks, bound)) for bound in (0, max(end, 0)))
            sender.tags(ticks[first:ready], inputs[first:ready], max(end, 0))
            ticks, inputs = ticks[ready:], inputs[ready:]
        elif time.monotonic() - told_s > _ALIVE_S:
            sender.alive()
            told_s = time.monotonic()
        sender.pump()


if __name__ == '__main__':
    raise SystemExit(main())
