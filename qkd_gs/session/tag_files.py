"""Paths of a session's sealed tags: one file for each run of the TDC, numbered in the order of their start.

A detector process that starts again in mid-pass needs nothing but the session's folder to go on.
"""

from __future__ import annotations

import re
from pathlib import Path

from qkd_gs.errors import StationError

_NAME = re.compile(r'tags(?:-([2-9]|[1-9][0-9]{1,5}))?\.sealed')


def tags_paths(folder: Path) -> list[Path]:
    """Files of the runs so far, first run first: ``tags.sealed``, ``tags-2.sealed``, ``tags-3.sealed`` ...

    Raises
    ------
    StationError
        The folder cannot be read.
    """
    try:
        found = [(_number(path), path) for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    except OSError as error:
        raise StationError(f'cannot be read: {error.strerror}', where=folder) from error
    return [path for _, path in sorted(found)]


def next_tags_path(folder: Path) -> Path:
    """Path of the tag file of a new run: the number after the highest in the folder, even if that file is damaged.

    Raises
    ------
    StationError
        The folder cannot be read.
    """
    before = tags_paths(folder)
    number = _number(before[-1]) + 1 if before else 1
    return folder / ('tags.sealed' if number == 1 else f'tags-{number}.sealed')


def _number(path: Path) -> int:
    found = _NAME.fullmatch(path.name)
    return int(found[1] or 1) if found else 0
