"""Tags as a file has them: a time and the input it was recorded on, before anything is known about the inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from qkd_gs.arrays import IntArray

InputArray = NDArray[np.int16]
"""Inputs of a time tagger, as `RawTags.source` numbers them."""

SYNC = 10_000
MARKER = 10_000  # plus the number of the marker, 1 to 4
MARKERS = 4
MAX_INPUT = 1_000
MAX_TIME_PS = 1 << 60  # 13 days: what a sealed file can hold


class RawTags(NamedTuple):
    """Tags in the order of the file.

    Attributes
    ----------
    time_ps : (n,) int64
        Picoseconds of the time tagger's clock.
    source : (n,) int16
        Input as its maker counts them, from 1; negative: the falling edge of that input; `SYNC`; `MARKER` + number.
    """

    time_ps: IntArray
    source: InputArray

    def __repr__(self) -> str:  # never the contents: a repr ends up in logs
        return f'<RawTags: {len(self.time_ps)}>'


@dataclass
class RecordCounts:
    """Counts of what a file holds; complete once its last block is read.

    Attributes
    ----------
    records : int
        Records read.
    overflows : int
        Turns of the device's counter that the file tells.
    missing : int
        Records that the file announces and does not hold, or holds in part.
    lost_overflows : int
        Intervals in which the device itself lost tags, as far as the file tells.
    reordered : int
        Tags that stood behind a later one, and were brought into the order of time.
    notes : list of str
        Sentences for people: what is odd about the file.
    """

    records: int = 0
    overflows: int = 0
    missing: int = 0
    lost_overflows: int = 0
    reordered: int = 0
    notes: list[str] = field(default_factory=list)


class TagFile(Protocol):
    """A file of tags that was opened by `qkd_gs.tag_formats.open_file.open_tags`.

    Attributes
    ----------
    format : str
        Name of the format, with the make as far as the file tells.
    resolution_ps : float
        Picoseconds of a count of the file.
    counts : RecordCounts
        Filled while the blocks are read.
    """

    format: str
    resolution_ps: float
    counts: RecordCounts

    def blocks(self) -> Iterator[RawTags]:
        """All tags from the first; each call restarts and clears `counts`.

        Raises
        ------
        StationError
            Damaged, cut in its header, or with a record that means nothing.
        """


def source_name(source: int) -> str:
    """Name of an input as a map gives it: ``input 3``, ``input -3`` (its falling edge), ``sync``, ``marker 2``."""
    if source == SYNC:
        return 'sync'
    return f'marker {source - MARKER}' if source > MARKER else f'input {source}'
