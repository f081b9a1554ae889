"""Free space of the disk that sessions are written to."""

from __future__ import annotations

import os
from pathlib import Path

from qkd_gs.errors import StationError


def free_mb(folder: Path) -> float:
    """Space that this user may still fill on the disk of a folder (or of where it is to be created), MB.

    Raises
    ------
    StationError
        No part of the path exists or can be read.
    """
    try:
        place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        found = os.statvfs(place)
    except OSError as error:
        raise StationError(f'cannot be read: {error.strerror}', where=folder) from error
    return found.f_bavail * found.f_frsize / 1e6


def require_space(folder: Path, needed_mb: float) -> None:
    """Refuse a disk that has less free space than this.

    Raises
    ------
    StationError
        It has less.
    """
    free = free_mb(folder)
    if free < needed_mb:
        raise StationError(
            f'{free:.0f} MB are free on its disk, a pass needs {needed_mb:.0f} MB', where=folder,
            hint='delete old sessions, or other files',
        )  # fmt: skip
