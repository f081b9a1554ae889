"""Swabian Instruments' .ttbin files, read by the maker's own library where it is installed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.tag_formats.columns import checked_inputs
from qkd_gs.tag_formats.raw import RawTags, RecordCounts
from qkd_gs.tag_formats.scale import to_ps

_CHUNK = 1 << 20
_TIME_TAG, _ERROR, _OVERFLOW_BEGIN, _OVERFLOW_END, _MISSED = range(5)  # types of an event, as the maker numbers them


class TtbinFile:
    """A recording of a Time Tagger; the channels are the maker's, negative for the falling edge.

    Parameters
    ----------
    path : Path

    Raises
    ------
    StationError
        The maker's library is not installed, or refuses the file.
    """

    resolution_ps = 1.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self.format = 'Swabian ttbin'
        self.counts = RecordCounts()
        self._library: Any = _library(path)

    def blocks(self) -> Iterator[RawTags]:
        """All tags; see `TagFile.blocks`."""
        self.counts = counts = RecordCounts()
        try:
            reader = self._library.FileReader(str(self._path))
            while reader.hasData():
                buffer = reader.getData(_CHUNK)
                kind = np.asarray(buffer.getEventTypes())
                tags = kind == _TIME_TAG
                counts.records += int(tags.sum())
                counts.lost_overflows += int((kind == _OVERFLOW_BEGIN).sum())
                missed = kind == _MISSED
                if missed.any():
                    counts.missing += int(np.asarray(buffer.getMissedEvents())[missed].sum())
                if (kind == _ERROR).any():
                    counts.notes.append(f'the device reported {int((kind == _ERROR).sum())} errors')
                source = checked_inputs(np.asarray(buffer.getChannels())[tags], counts.records, self._path)
                yield RawTags(to_ps(np.asarray(buffer.getTimestamps(), np.int64)[tags], 1.0, self._path), source)
        except (RuntimeError, OSError) as error:
            raise StationError(f'cannot be read: {error}', where=self._path) from error


def _library(path: Path) -> Any:
    for name in ('Swabian.TimeTagger', 'TimeTagger'):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise StationError(
        "can be read only with the maker's library, which is not installed",
        where=path,
        hint='install Swabian-TimeTagger, or convert the file to CSV',
    )
