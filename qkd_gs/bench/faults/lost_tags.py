"""Intervals of a session in which no tag was recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qkd_gs.keys.folder import KeyFolder
from qkd_gs.session.manifest import load_manifest
from qkd_gs.session.tag_files import tags_paths
from qkd_gs.timing.sealed import SealedFile

LEAST_NS = 100_000_000  # in the dark, too, there are some hundred counts a second


def gaps(folder: Path, keys: KeyFolder) -> list[tuple[int, int]]:
    """Intervals (UTC, ns) without any tag that are longer than `LEAST_NS`, between the first tag and the last.

    Raises
    ------
    StationError
        A file that cannot be opened.
    """
    identity = load_manifest(folder).session_id
    session_id, private = bytes.fromhex(identity), keys.session_private_key(identity)
    times = []
    for path in tags_paths(folder):
        file = SealedFile(path, private, session_id)
        blocks = [block.time_ps for block in file.blocks(require_end=False)]
        times += [file.start_ns() + np.concatenate(blocks) // 1000] if blocks else []
    if not times:
        return []
    t_ns = np.sort(np.concatenate(times))
    found = np.flatnonzero(np.diff(t_ns) > LEAST_NS)
    return list(zip(t_ns[found].tolist(), t_ns[found + 1].tolist(), strict=True))


def overlap_s(gap: tuple[int, int], begin_ns: int, end_ns: int) -> float:
    """Length of the part of a gap that lies in an interval, s."""
    return max(min(gap[1], end_ns) - max(gap[0], begin_ns), 0) * 1e-9
