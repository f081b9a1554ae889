"""Columns of a table of tags, found by their names: one of times, with its unit, and one of inputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from qkd_gs.arrays import IntArray
from qkd_gs.errors import StationError
from qkd_gs.tag_formats.raw import MAX_INPUT, InputArray
from qkd_gs.tag_formats.scale import check_resolution

_TIME = re.compile(
    r'(?:t|time|times|timestamp|timestamps|time_?tag|time_?tags|tag|ticks?)(?:[ _]*[\[(]?(fs|ps|ns|us|s)[\])]?)?'
)
_INPUT = re.compile(r'(?:ch|chan|channel|channels|input|inputs|detector|detectors)')
_UNIT_PS = {'fs': 1e-3, 'ps': 1.0, 'ns': 1e3, 'us': 1e6, 's': 1e12}
_HINT = 'name a column time_ps (or time_ns, time_s, or time with resolution_ps in the map), and one channel'


@dataclass(frozen=True)
class Columns:
    """Names of the two columns, and picoseconds of a unit of the times."""

    time: str
    source: str
    unit_ps: float


def find_columns(
    names: Sequence[str], resolution_ps: float | None, where: Path, typed_ps: Mapping[str, float] = MappingProxyType({})
) -> Columns:
    """Choose the columns of times and inputs.

    Parameters
    ----------
    names : sequence of str
        Of all columns.
    resolution_ps : float, optional
        Unit of a column of times whose name has none.
    typed_ps : mapping
        Picoseconds of a unit, of the columns whose type has a unit.

    Raises
    ------
    StationError
        None or several fit, the unit is not known, or the type has another than the name or `resolution_ps` says.
    """
    times = {name: found for name in names if (found := _TIME.fullmatch(name.strip().lower()))}
    inputs = [name for name in names if _INPUT.fullmatch(name.strip().lower())]
    if len(times) != 1 or len(inputs) != 1:
        raise StationError(
            f'has not one column of times and one of inputs; its columns: {", ".join(names)[:200]}',
            where=where,
            hint=_HINT,
        )
    name, found = next(iter(times.items()))
    type_ps = typed_ps.get(name)
    unit_ps = _UNIT_PS[found[1]] if found[1] else resolution_ps or type_ps
    if type_ps is not None and unit_ps != type_ps:
        said = 'its name' if found[1] else 'resolution_ps'
        raise StationError(
            f'its column {name[:40]} counts units of {type_ps:g} ps by its type, and of {unit_ps:g} ps by {said}',
            where=where,
            hint='rename the column, or convert it to whole counts (int64) of the unit that its name says',
        )
    if unit_ps is None:
        raise StationError(f'the unit of its column {name} is not known', where=where, hint=_HINT)
    return Columns(name, inputs[0], check_resolution(unit_ps, where) if not found[1] else unit_ps)


def checked_inputs(values: NDArray[np.generic], first_row: int, where: Path) -> InputArray:
    """Inputs as int16.

    Raises
    ------
    StationError
        Not whole numbers, or none that a time tagger has.
    """
    if values.dtype.kind not in 'iu':
        raise StationError('its inputs are not whole numbers', where=where)
    bad = (values > MAX_INPUT) | (values < -MAX_INPUT)  # type: ignore[operator]
    if bad.any():
        k = int(np.argmax(bad))
        raise StationError(f'row {first_row + k + 1} names input {values[k]}', where=where)
    return values.astype(np.int16)


def checked_times(values: NDArray[np.generic], where: Path) -> IntArray:
    """Whole counts as int64.

    Raises
    ------
    StationError
        Not whole numbers, or too large.
    """
    if values.dtype.kind not in 'iu':
        raise StationError(
            'its times are not whole numbers', where=where, hint='floating point loses picoseconds: write whole counts'
        )
    if values.dtype.kind == 'u' and len(values) and values.max() > np.iinfo(np.int64).max:  # type: ignore[operator]
        raise StationError('has a time below 0 or beyond 13 days', where=where)
    return values.astype(np.int64, copy=False)
