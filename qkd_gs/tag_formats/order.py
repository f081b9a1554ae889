"""The order of time: recorders that merge several streams swap neighbours; nothing else is forgiven."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.tag_formats.raw import RawTags, TagFile

_SHOWN_S = 1e-12


def in_order(file: TagFile, path: Path) -> Iterator[RawTags]:
    """Blocks of a file with ascending times; swapped tags within a block of the file and the next are put right.

    Raises
    ------
    StationError
        As `TagFile.blocks`; or a time goes back further.
    """
    held: RawTags | None = None
    until_ps = -1
    for block in file.blocks():
        if not len(block.time_ps):
            continue
        sound = (block.time_ps[1:] >= block.time_ps[:-1]).all()
        if sound and (held is None or block.time_ps[0] >= held.time_ps[-1]):
            if held is not None:
                yield held
                until_ps = int(held.time_ps[-1])
            held = block
            continue
        merged, swapped = _sorted(held, block)
        file.counts.reordered += swapped
        if merged.time_ps[0] < until_ps:
            back_s = (until_ps - int(merged.time_ps[0])) * _SHOWN_S
            raise StationError(
                f'its times go back by {back_s:.3g} s near record {file.counts.records}',
                where=path,
                hint='each run of the time tagger needs a file of its own',
            )
        cut = len(merged.time_ps) - len(block.time_ps)
        if cut:
            yield RawTags(merged.time_ps[:cut], merged.source[:cut])
            until_ps = int(merged.time_ps[cut - 1])
        held = RawTags(merged.time_ps[cut:], merged.source[cut:])
    if held is not None:
        yield held


def _sorted(held: RawTags | None, block: RawTags) -> tuple[RawTags, int]:
    """Both blocks in order, and how many of their tags stood behind a later one."""
    parts = [part for part in (held, block) if part is not None]
    time_ps = np.concatenate([part.time_ps for part in parts])
    source = np.concatenate([part.source for part in parts])
    swapped = int((time_ps < np.maximum.accumulate(time_ps)).sum())
    order = np.argsort(time_ps, kind='stable')
    return RawTags(time_ps[order], source[order]), swapped
