"""Values of a heartbeat that are the same for every node."""

from __future__ import annotations

import resource
from typing import Any

from qkd_gs.errors import in_words
from qkd_gs.station.loop_timing import LoopWatch


def loop_values(period_s: float, watch: LoopWatch, end: str) -> dict[str, str]:
    """Statistics of a loop as values of a heartbeat; `end` tells the loops of a node apart."""
    loop = watch.figures()
    values = {
        f'loop{end}_hz': f'{1 / period_s:g}',
        f'loop{end}_steps': str(loop.steps),
        f'loop{end}_missed': str(loop.missed),
    }
    for what, triple in (('period', loop.period_ms), ('latency', loop.latency_ms), ('busy', loop.busy_ms)):
        if triple[0] == triple[0]:
            values[f'loop{end}_{what}_ms'] = ' '.join(f'{value:.2f}' for value in triple)
    return values


def device_values(device: Any) -> dict[str, str]:
    """Values that a driver tells of its device (firmware, serial number ...); if that fails, why."""
    if not hasattr(device, 'health'):
        return {}
    try:
        return {key: str(value) for key, value in device.health().items()}
    except Exception as error:  # noqa: BLE001  the heartbeat goes out, whatever a driver raises
        return {'health': in_words(error)}


def resident_mb() -> float:
    """Memory that this process holds, MB."""
    with open('/proc/self/statm', encoding='ascii') as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6
