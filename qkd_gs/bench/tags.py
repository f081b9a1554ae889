"""Time tags: sealed file to gated events, and PicoQuant PTU in and out beside `ptufile`.

All figures are million tags a second of processor time, best of several runs in one thread.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import ptufile

from qkd_gs.tag_formats.ptu_reader import PtuFile
from qkd_gs.tag_formats.ptu_writer import write_ptu
from qkd_gs.timing.clicks import ClickFilter
from qkd_gs.timing.gate import Gate, find_gate, gate_events
from qkd_gs.timing.profile import fold_clicks
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.sealed import SealedFile, SealedWriter
from qkd_gs.timing.sealed.hybrid import SealingKey
from qkd_gs.timing.slots import Slots
from qkd_gs.timing.spline import TimeMap
from qkd_gs.timing.tags import Channel, TagBlock

TAGS = 20_000_000
REPEATS = 3
_PASS_PS = 400 * 10**12
_BLOCK = 25_000  # a chunk of the sealed file: half a second at 50,000 tags a second
_PERIOD, _PERIOD_PS, _GRID_PS = PulsePeriod(1e8), 10_000, 50 * 10**9
_BEACON_SHARE = 0.3
_NOISE_SHARE = 0.05
_STARTED_NS = 1_538_582_000 * 10**9


def run(tags: int = TAGS) -> dict[str, Any]:
    """Write and read `tags` tags of a pass of 400 s: photons on a drifting clock, 5 % noise, 30 % beacon."""
    slots = _slots()
    blocks = _blocks(tags, slots)
    key = SealingKey.generate()
    with tempfile.TemporaryDirectory() as folder:
        sealed = SealedFile(Path(folder) / 'tags.sealed', key)
        seconds = {'sealed_write': _seconds(lambda: _seal(sealed.path, key, blocks), 1)}
        seconds['sealed_read'] = _seconds(lambda: _drain(sealed.blocks()))
        gate = find_gate(fold_clicks(blocks, slots, 2000), 2000, 2000)
        seconds['fold'] = _seconds(lambda: fold_clicks(blocks, slots, 2000))
        seconds['gate'] = _seconds(lambda: _gate(blocks, slots, gate))
        seconds['file_to_gated_events'] = _seconds(lambda: _gate(sealed.blocks(), slots, gate))
        seconds['file_to_fold'] = _seconds(lambda: fold_clicks(sealed.blocks(), slots, 2000))
        kept = _gate(blocks, slots, gate)
        ptu = Path(folder) / 'tags.ptu'
        seconds['ptu_write'] = _seconds(lambda: write_ptu(ptu, blocks, _STARTED_NS), 1)
        seconds['ptu_read'] = _seconds(lambda: _read_ptu(ptu))
        seconds['ptu_read_by_ptufile'] = _seconds(lambda: _read_with_ptufile(ptu))
    rates = {f'{name}_mtags_s': tags / seconds[name] / 1e6 for name in seconds}
    return {'tags': tags, 'gated_events': kept, 'clock': 'processor time, best run, one thread'} | rates


def _seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Shortest processor time."""
    times = []
    for _ in range(repeats):
        begin = process_time()
        work()
        times.append(process_time() - begin)
    return min(times)


def _slots() -> Slots:
    """A satellite's clock that runs at another rate and drifts, as the range changes in a pass."""
    grid = np.arange(0, _PASS_PS + 2 * _GRID_PS, _GRID_PS, dtype=np.int64)
    away_s = (grid - _PASS_PS // 2) * 1e-12
    difference = -np.rint(1e12 * 25e-6 * (np.hypot(away_s, 60.0) - 60.0)).astype(np.int64)
    clock = TimeMap.through(0, _GRID_PS, difference, np.zeros(len(grid)))
    return Slots(clock, np.zeros(len(Channel) + 1, np.int64), np.array([[0, _PASS_PS]], np.int64), _PERIOD)


def _blocks(tags: int, slots: Slots) -> list[TagBlock]:
    rng = np.random.default_rng(20200807)
    time_ps = np.sort(rng.integers(_GRID_PS, _PASS_PS, tags))
    channel = rng.integers(Channel.H, Channel.A + 1, tags).astype(np.uint8)
    drawn = rng.random(tags)
    channel[drawn < _BEACON_SHARE] = Channel.BEACON
    photons = drawn > _BEACON_SHARE + _NOISE_SHARE
    away_ps = (slots.to_satellite(time_ps) + _PERIOD_PS // 2) % _PERIOD_PS - _PERIOD_PS // 2
    jitter_ps = np.rint(rng.standard_normal(tags) * 200).astype(np.int64)
    time_ps = np.where(photons, time_ps - away_ps + jitter_ps, time_ps)
    order = np.argsort(time_ps, kind='stable')
    time_ps, channel = time_ps[order], channel[order]
    return [TagBlock(time_ps[k : k + _BLOCK], channel[k : k + _BLOCK]) for k in range(0, tags, _BLOCK)]


def _seal(path: Path, key: SealingKey, blocks: Iterable[TagBlock]) -> None:
    writer = SealedWriter(path, bytes(16), key.public_bytes(), _STARTED_NS, bytes(32))
    for block in blocks:
        writer.append(int(block.time_ps[-1]) // 1000, block)
    writer.close()


def _gate(blocks: Iterable[TagBlock], slots: Slots, gate: Gate) -> int:
    """Number of events, after gate, hold-off and watch."""
    last = _PASS_PS // _PERIOD_PS
    clicks = ClickFilter(0, last, 10**12 // _PERIOD_PS, dead_slots=5, hold_off_slots=50)
    return sum(len(events) for events in gate_events(blocks, slots, gate, clicks))


def _drain(blocks: Iterable[TagBlock]) -> int:
    return sum(len(block) for block in blocks)


def _read_ptu(path: Path) -> int:
    return sum(len(block.time_ps) for block in PtuFile(path).blocks())


def _read_with_ptufile(path: Path) -> int:
    with ptufile.PtuFile(path) as file:
        return len(file.decode_records())
