"""quTAG and quTAU binary files: 10 bytes an event, an int64 of counts and an int16 of the input.

The maker's recorder puts 40 bytes of header in front, which tell nothing that is needed here; files without it exist,
too (the maker's manual of the quTAU, chapter "Time Stamping", and its recording library).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.tag_formats.columns import checked_inputs
from qkd_gs.tag_formats.raw import RawTags, RecordCounts
from qkd_gs.tag_formats.scale import check_resolution, to_ps

_EVENT = np.dtype([('ticks', '<i8'), ('input', '<i2')])
_HEADER_BYTES = 40
_CHUNK = 1 << 20
_MAX_INPUT = 255


class QutagFile:
    """A binary file of a quTAG (1 ps a count) or quTAU (80.955 ps a count).

    Parameters
    ----------
    path : Path
    resolution_ps : float, optional
        1 if not given.

    Raises
    ------
    StationError
        Too short, or not such a file.
    """

    def __init__(self, path: Path, resolution_ps: float | None = None) -> None:
        self._path = path
        self.format = 'quTAG binary'
        self.resolution_ps = check_resolution(1.0 if resolution_ps is None else resolution_ps, path)
        self.counts = RecordCounts()
        with open(path, 'rb') as file:
            self._start = 0 if _are_events(file.read(_HEADER_BYTES + _EVENT.itemsize)) else _HEADER_BYTES

    def blocks(self) -> Iterator[RawTags]:
        """All tags; see `TagFile.blocks`."""
        self.counts = RecordCounts()
        with open(self._path, 'rb') as file:
            size = os.fstat(file.fileno()).st_size - self._start
            if size < 0:
                raise StationError('is shorter than its header', where=self._path)
            left, part = divmod(size, _EVENT.itemsize)
            if part:
                self.counts.missing = 1
                self.counts.notes.append(f'the last event is cut: {part} of {_EVENT.itemsize} bytes')
            file.seek(self._start)
            while left:
                events = np.frombuffer(file.read(_EVENT.itemsize * min(left, _CHUNK)), _EVENT)
                if not len(events):
                    raise StationError('became shorter while it was read', where=self._path)
                left -= len(events)
                source = checked_inputs(events['input'], self.counts.records, self._path)
                self.counts.records += len(events)
                yield RawTags(to_ps(events['ticks'].astype(np.int64), self.resolution_ps, self._path), source)


def _are_events(head: bytes) -> bool:
    """True if the first bytes are events in the order of time, and no header."""
    events = np.frombuffer(head[: len(head) // _EVENT.itemsize * _EVENT.itemsize], _EVENT)
    ticks, inputs = events['ticks'], events['input']
    whole = len(events) > 1 and bool((ticks > 0).all() and (inputs >= 0).all() and (inputs <= _MAX_INPUT).all())
    return whole and bool((np.diff(ticks) >= 0).all())
