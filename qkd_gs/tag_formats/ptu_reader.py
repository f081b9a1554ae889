"""PicoQuant PTU files of every make's T2 mode, read in pieces of any size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.tag_formats.ptu_header import PtuHeader, read_header
from qkd_gs.tag_formats.ptu_records import SPARE, decode
from qkd_gs.tag_formats.raw import MAX_TIME_PS, RawTags, RecordCounts
from qkd_gs.tag_formats.scale import to_ps

_CHUNK = 1 << 20  # records
_RECORD_BYTES = 4
_MAX_COUNTS = 1 << 62  # of 64 bits


class PtuFile:
    """A PTU file in T2 mode.

    An input code of a record counts from 0, and input 1 is the first of the front panel: a code c is input c + 1.  On
    a PicoHarp 300 that is input 1 for the connector labelled 0.  A file whose recording was broken off has 0 as its
    number of records; it is read to its end.

    Parameters
    ----------
    path : Path

    Raises
    ------
    StationError
        Not a PTU file, damaged in its header, or not T2.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with open(path, 'rb') as file:
            self._header: PtuHeader = read_header(file, path)
        self.format = f'PTU, {self._header.kind.make}, T2'
        self.resolution_ps = self._header.resolution_ps
        self.counts = RecordCounts()

    def blocks(self) -> Iterator[RawTags]:
        """All tags; see `TagFile.blocks`."""
        header, counts = self._header, RecordCounts()
        self.counts = counts
        most = min(int(MAX_TIME_PS / self.resolution_ps), _MAX_COUNTS)
        turned = 0
        with open(self._path, 'rb') as file:
            left = self._records_there(os.fstat(file.fileno()).st_size)
            file.seek(header.start)
            while left:
                records = np.frombuffer(file.read(_RECORD_BYTES * min(left, _CHUNK)), '<u4')
                if not len(records):
                    raise StationError('became shorter while it was read', where=self._path)
                left -= len(records)
                while len(records):
                    ticks = np.empty(len(records) + SPARE, np.int64)
                    source = np.empty(len(ticks), np.int16)
                    n, used, turned, counts.overflows, bad = decode(
                        records, int(header.kind.layout), turned, counts.overflows, most, ticks, source
                    )
                    counts.records += used
                    if bad >= 0:
                        raise StationError(f'record {counts.records} means nothing', where=self._path)
                    records = records[used:]
                    yield RawTags(to_ps(ticks[:n], self.resolution_ps, self._path), source[:n])

    def _records_there(self, size: int) -> int:
        """Number of records to read; differences to the header go into the counts."""
        counts, announced = self.counts, self._header.records
        there, part = divmod(size - self._header.start, _RECORD_BYTES)
        if announced == 0:
            if there:
                counts.notes.append('the header counts no records (the recording was broken off): read to the end')
            if part:
                counts.missing = 1
                counts.notes.append(f'the last record is cut: {part} of {_RECORD_BYTES} bytes')
            return there
        if there < announced:
            counts.missing = announced - there
            counts.notes.append(f'is cut short: {counts.missing} of {announced} records are missing')
        elif there > announced or part:
            counts.missing = there - announced
            counts.notes.append(f'{there - announced} records and {part} bytes behind the announced ones are not read')
        return min(there, announced)
