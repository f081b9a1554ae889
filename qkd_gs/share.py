"""Paths of the package's own data files (config/, launch/), in a source tree, a wheel or a colcon install."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from qkd_gs.errors import StationError

_PACKAGE = 'qkd_gs'


def share_path(*parts: str) -> Path:
    """Path of a data file, e.g. ``share_path('config', 'station.yaml')``.

    Data come from where the code comes from, so the two are always of one version: beside the package in
    a source tree, else from ``share/qkd_gs`` below the prefix that the package is installed in.

    Raises
    ------
    StationError
        If the file is not there.
    """
    path = _root().joinpath(*parts)
    if not path.exists():
        raise StationError(
            f'data file {"/".join(parts)} is not installed', where=_root(), hint='run `make setup` again'
        )
    return path


@cache
def _root() -> Path:
    return find_root(Path(__file__).resolve().parent)


def find_root(package: Path) -> Path:
    """Folder that holds config/ and launch/ of the package in the folder `package`.

    PREFIX/lib/pythonX.Y/site-packages/qkd_gs (pip, colcon), ``pip install --target`` and Debian's
    dist-packages differ in depth only, so the nearest ``share/qkd_gs`` above is taken.

    Raises
    ------
    StationError
        If there is none.
    """
    if (package.parent / 'package.xml').exists():
        return package.parent
    for folder in package.parents:
        if (folder / 'share' / _PACKAGE).is_dir():
            return folder / 'share' / _PACKAGE
    raise StationError('share/qkd_gs is not installed', where=package, hint='run `make setup` again')
