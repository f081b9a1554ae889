"""Contents of a file of tags: inputs, rates, gaps, overflows, and a histogram folded on a period."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qkd_gs.arrays import IntArray
from qkd_gs.errors import StationError
from qkd_gs.jit import njit
from qkd_gs.tag_formats.open_file import open_tags
from qkd_gs.tag_formats.order import in_order
from qkd_gs.tag_formats.raw import MARKER, MAX_INPUT, SYNC, RawTags

BINS = 100
_MIN_PERIOD_PS, _MAX_PERIOD_PS = 10.0, 1e13


@dataclass
class _Source:
    """Figures of one input."""

    tags: int = 0
    last_ps: int = -1
    longest_gap_ps: int = 0
    shortest_gap_ps: int | None = None
    folded: IntArray = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, time_ps: IntArray, period_ps: float | None) -> None:
        if self.last_ps >= 0:
            time_ps = np.concatenate([[self.last_ps], time_ps])
        gap_ps = np.diff(time_ps)
        if len(gap_ps):
            self.longest_gap_ps = max(self.longest_gap_ps, int(gap_ps.max()))
            shortest = int(gap_ps.min())
            self.shortest_gap_ps = shortest if self.shortest_gap_ps is None else min(self.shortest_gap_ps, shortest)
        new = time_ps[1:] if self.last_ps >= 0 else time_ps
        self.tags += len(new)
        if period_ps is not None:
            _fold(new, int(period_ps), period_ps - int(period_ps), self.folded)
        self.last_ps = int(time_ps[-1])

    def figures(self, duration_s: float, period_ps: float | None) -> dict[str, Any]:
        rate_hz = self.tags / duration_s if duration_s > 0 else None
        shortest_ns = None if self.shortest_gap_ps is None else self.shortest_gap_ps * 1e-3
        known = {
            'tags': self.tags,
            'rate_hz': rate_hz,
            'longest_gap_s': self.longest_gap_ps * 1e-12,
            'shortest_gap_ns': shortest_ns,
        }
        return known if period_ps is None else known | {'folded': self.folded.tolist()}


def look(path: Path, period_ps: float | None = None, resolution_ps: float | None = None) -> dict[str, Any]:
    """Read a file of tags once; returns figures for JSON.

    Parameters
    ----------
    path : Path
    period_ps : float, optional
        Period on which each input is folded into a histogram of `BINS` bins.
    resolution_ps : float, optional
        For formats that do not tell theirs.

    Returns
    -------
    dict
        ``format``, ``resolution_ps``, ``duration_s`` (first to last tag), ``inputs`` by number (negative: the falling
        edge), ``sync``, ``markers``, ``overflows``, ``lost``, ``notes``.

    Raises
    ------
    StationError
        Not readable, damaged, or a period that no source has.
    """
    if period_ps is not None and not _MIN_PERIOD_PS <= period_ps <= _MAX_PERIOD_PS:
        raise StationError(f'{period_ps:g} ps is no period to fold on', where='--period-ps')
    file = open_tags(path, resolution_ps)
    sources: dict[int, _Source] = {}
    first_ps, last_ps = None, 0
    for block in in_order(file, path):
        first_ps = int(block.time_ps[0]) if first_ps is None else first_ps
        last_ps = int(block.time_ps[-1])
        for source, time_ps in _by_source(block):
            sources.setdefault(source, _Source()).add(time_ps, period_ps)
    duration_s = (last_ps - (first_ps or 0)) * 1e-12
    counts = file.counts
    markers = {source - MARKER: one.tags for source, one in sorted(sources.items()) if source > MARKER}
    return {
        'format': file.format,
        'resolution_ps': file.resolution_ps,
        'duration_s': duration_s,
        'inputs': {
            str(source): one.figures(duration_s, period_ps)
            for source, one in sorted(sources.items(), key=lambda item: (abs(item[0]), item[0] < 0))
            if source < SYNC
        },
        'sync': sources[SYNC].tags if SYNC in sources else 0,
        'markers': {str(number): tags for number, tags in markers.items()},
        'overflows': counts.overflows,
        'lost': {'records': counts.missing, 'overflows': counts.lost_overflows},
        'reordered': counts.reordered,
        'notes': counts.notes,
    } | ({} if period_ps is None else {'period_ps': period_ps})


def _by_source(block: RawTags) -> list[tuple[int, IntArray]]:
    """Times of each source of a block."""
    present = np.flatnonzero(np.bincount(block.source.astype(np.int64) + MAX_INPUT)) - MAX_INPUT
    return [(int(source), block.time_ps[block.source == source]) for source in present]


@njit(cache=True)
def _fold(time_ps, whole_ps, rest, histogram):  # type: ignore[no-untyped-def]
    """Add positions in the period, which is `whole_ps` + `rest`, to the histogram."""
    period_ps, bins = whole_ps + rest, len(histogram)
    for k in range(len(time_ps)):
        turn = np.int64(time_ps[k] / period_ps)
        into_ps = float(time_ps[k] - turn * whole_ps) - turn * rest
        histogram[min(max(int(into_ps / period_ps * bins), 0), bins - 1)] += 1
