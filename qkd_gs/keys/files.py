"""Files that hold secrets: readable by their owner only, written atomically."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qkd_gs.errors import StationError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def write_secret(path: Path, content: bytes, replace: bool = False) -> None:
    """Write a file of mode 0600 atomically: after a crash it holds the old content or the new, never a part.

    Replaced content is overwritten with zeros where it lay.  File systems that copy on write, and flash, may keep it.

    Raises
    ------
    StationError
        The file exists and `replace` is False, or it cannot be written.
    """
    draft = path.with_name(f'.{path.name}.new')
    try:
        draft.unlink(missing_ok=True)  # left over from a crash
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            with _overwritten_afterwards(path):
                os.replace(draft, path)
                sync_folder(path.parent)
        else:
            os.link(draft, path)  # unlike a rename, this never replaces what is there
            draft.unlink()
            sync_folder(path.parent)
    except FileExistsError as error:
        draft.unlink(missing_ok=True)
        raise StationError('exists already', where=path) from error
    except OSError as error:
        raise StationError(f'cannot be written: {error.strerror}', where=path) from error


def overwrite(path: Path, start: int, content: bytes) -> None:
    """Write a part of a secret file in its place, on the disk before this returns.

    Raises
    ------
    StationError
        It cannot be written.
    """
    try:
        with open(path, 'r+b', buffering=0) as file:
            os.pwrite(file.fileno(), content, start)
            os.fdatasync(file.fileno())
    except OSError as error:
        raise StationError(f'cannot be written: {error.strerror}', where=path) from error


def read_secret(path: Path) -> bytes:
    """Content of a secret file, after checking that nobody else can read it.

    Raises
    ------
    StationError
        Not there, not ours, open to others, or unreadable.
    """
    check_private(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise StationError(f'cannot be read: {error.strerror}', where=path) from error


def check_private(path: Path) -> None:
    """Refuse a file or folder that is missing, a symbolic link, somebody else's, or open to others."""
    try:
        found = path.lstat()
    except FileNotFoundError as error:
        raise StationError('is missing', where=path, hint='restore it from your backup of the key folder') from error
    except OSError as error:
        raise StationError(f'cannot be examined: {error.strerror}', where=path) from error
    mode = '0700' if stat.S_ISDIR(found.st_mode) else '0600'
    if stat.S_ISLNK(found.st_mode):
        raise StationError('is a symbolic link', where=path, hint='give the path that it points to')
    if found.st_uid != os.geteuid():
        raise StationError('belongs to another user', where=path, hint='run as its owner, or chown it')
    if found.st_mode & _OTHERS:
        raise StationError(
            f'has mode {stat.S_IMODE(found.st_mode):04o}, so others can reach it',
            where=path,
            hint=f'chmod {mode} {path}',
        )


def erase_secret(path: Path) -> None:
    """Delete a file of secrets, if it is there, and overwrite where it lay.

    Raises
    ------
    StationError
        It cannot be deleted.
    """
    try:
        with _overwritten_afterwards(path):
            path.unlink(missing_ok=True)
            sync_folder(path.parent)
    except OSError as error:
        raise StationError(f'cannot be deleted: {error.strerror}', where=path) from error


@contextmanager
def _overwritten_afterwards(path: Path) -> Iterator[None]:
    """Overwrite the present content of a file, if there is any, after it was replaced or deleted in this context."""
    try:
        old = open(path, 'r+b', buffering=0)  # noqa: SIM115  closed below
    except FileNotFoundError:
        yield
        return
    with old:
        yield
        old.write(bytes(os.fstat(old.fileno()).st_size))
        os.fsync(old.fileno())


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
