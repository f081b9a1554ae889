"""Where the package's own data files (config/, launch/) are, in a source tree, a wheel or a colcon install."""

from __future__ import annotations

import sys
from pathlib import Path

from qkd_gs.errors import StationError

_PACKAGE = 'qkd_gs'


def share_path(*parts: str) -> Path:
    """Path of an installed data file, e.g. ``share_path('config', 'station.yaml')``.

    A source tree comes first (the tree that the code runs from), then the ament index, then the
    Python prefix that pip installed into.

    Raises
    ------
    StationError
        If the file is in none of these places.
    """
    for root in _roots():
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise StationError(f'data file {"/".join(parts)} is not installed', hint='run `make setup` again')


def _roots() -> list[Path]:
    source = Path(__file__).resolve().parent.parent
    roots = [source] if (source / 'package.xml').exists() else []
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
    except ImportError:  # plain pip environment without the ament index
        pass
    else:
        try:
            roots.append(Path(get_package_share_directory(_PACKAGE)))
        except (PackageNotFoundError, OSError, LookupError):  # AMENT_PREFIX_PATH not set, or not there
            pass
    roots.append(Path(sys.prefix) / 'share' / _PACKAGE)
    return roots
