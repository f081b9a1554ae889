"""Deletes the bags of older passes; everything else of a session stays."""

from __future__ import annotations

import shutil
from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.session.manifest import KEY, PENDING, load_manifest
from qkd_gs.session.writers import is_being_written

BAG = 'bag'  # folder in a session's folder
_METADATA = 'metadata.yaml'


def retire_bags(sessions_dir: Path, keep: int) -> list[Path]:
    """Delete the bags of all sessions but the newest ones.

    A bag stays if its session is not of this software or damaged, is being recorded or not yet processed, or if its
    folder holds anything else.

    Parameters
    ----------
    sessions_dir : Path
        Folder of the sessions.
    keep : int
        Number of newest sessions with a bag that keep it; 0: all do.

    Returns
    -------
    list of Path
        Folders of the bags that were deleted, oldest first.

    Raises
    ------
    StationError
        A bag cannot be deleted.
    """
    if not keep:
        return []
    gone = []
    for bag in _bags(sessions_dir)[:-keep]:
        if is_being_written(bag.parent) or not all(_is_of_a_bag(path) for path in bag.iterdir()):
            continue
        try:
            shutil.rmtree(bag)
        except OSError as error:
            raise StationError(f'cannot be deleted: {error.strerror}', where=bag) from error
        gone.append(bag)
    return gone


def _bags(sessions_dir: Path) -> list[Path]:
    """Bags of sessions that are recorded and processed, oldest first."""
    found = []
    for bag in sessions_dir.glob(f'*/{BAG}'):
        try:
            manifest = load_manifest(bag.parent)
        except StationError:
            continue  # whoever opens it is told
        if manifest.closed and manifest.run.get(KEY) != PENDING:
            found.append((manifest.created_utc, bag))
    return [bag for _, bag in sorted(found)]


def _is_of_a_bag(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and (path.suffix == '.mcap' or path.name == _METADATA)
