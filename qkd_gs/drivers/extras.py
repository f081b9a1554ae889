"""Optional libraries of drivers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from qkd_gs.errors import StationError


def need(module: str, extra: str) -> Any:
    """Import an optional library.

    Parameters
    ----------
    module : str
        Name of the module, e.g. ``'serial'``.
    extra : str
        Extra of this package that installs it.

    Raises
    ------
    StationError
        It is not installed; the sentence names the extra.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise StationError(
            f'the Python module {module!r} is not installed', hint=f'pip install "qkd_gs[{extra}]"'
        ) from error
