"""Replace a file as a whole: whatever happens, the old one or the new one is there; keep one that is damaged."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from qkd_gs.errors import StationError


def replace_file(path: Path, data: str | bytes, parents: bool = False) -> None:
    """Write a file in place of the one that is there.

    Parameters
    ----------
    path : Path
    data : str or bytes
        Text is written as UTF-8.
    parents : bool
        Create its folder if it is missing; False: that is refused.

    Raises
    ------
    StationError
        It cannot be written; the old file is as it was, and the draft takes no space.
    """
    draft = path.with_name(f'.{path.name}.new')
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        with open(draft, 'wb') as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise StationError(f'cannot be written: {error.strerror}', where=path) from error


def damaged_name(path: Path) -> Path:
    """A name beside a damaged file under which its bytes can be kept; no file has it."""
    numbers = ('', *(f'-{number}' for number in range(2, 1000)))
    return next(name for number in numbers if not (name := path.with_name(f'{path.name}.damaged{number}')).exists())


def set_aside(path: Path) -> Path:
    """Give a damaged file another name, under which its bytes stay.

    Raises
    ------
    StationError
        It cannot be renamed.
    """
    try:
        return path.rename(damaged_name(path))
    except OSError as error:
        raise StationError(f'is damaged and cannot be renamed: {error.strerror}', where=path) from error
