"""Numbers from the cells of a table, with errors that name the place."""

from __future__ import annotations

from math import isfinite

from qkd_gs.errors import StationError


def read_number(name: str, text: str, where: str, limits: tuple[float, float], unit: str = '') -> float:
    """Number in a cell.

    Parameters
    ----------
    name : str
        Name of the column.
    where : str
        File and line.
    limits : (float, float)
        Smallest and largest plausible value.

    Raises
    ------
    StationError
        Not a number, or outside its limits.
    """
    low, high = limits
    try:
        value = float(text)
    except ValueError as error:
        raise StationError(f'{name}: {text!r} is not a number', where=where) from error
    if not isfinite(value) or not low <= value <= high:
        raise StationError(f'{name}: {text.strip()} is outside {low:g} to {high:g}{unit}', where=where)
    return value
