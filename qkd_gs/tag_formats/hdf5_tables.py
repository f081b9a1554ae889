"""Tags in HDF5: Photon-HDF5 files, and plain tables of times and inputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.tag_formats.columns import checked_inputs, checked_times, find_columns
from qkd_gs.tag_formats.raw import RawTags, RecordCounts
from qkd_gs.tag_formats.scale import check_resolution, to_ps

_ROWS = 1 << 20


class Hdf5File:
    """Tags in an HDF5 file.

    Photon-HDF5: ``/photon_data/timestamps`` with their unit, and ``detectors``; the inputs are numbered as the file
    numbers its detectors.  Plain table: two datasets of equal length in one group, or one dataset with two fields,
    named as the columns of a table are (`qkd_gs.tag_formats.columns`).

    Parameters
    ----------
    path : Path
    resolution_ps : float, optional
        Unit of times whose name has none.

    Raises
    ------
    StationError
        Not HDF5, or neither of the two layouts.
    """

    def __init__(self, path: Path, resolution_ps: float | None = None) -> None:
        self._path = path
        self.counts = RecordCounts()
        with _opened(path) as file:
            self.format, self._group, self._names, self.resolution_ps = self._layout(file, resolution_ps)

    def blocks(self) -> Iterator[RawTags]:
        """All tags; see `TagFile.blocks`."""
        self.counts = RecordCounts()
        with _opened(self._path) as file:
            part = file[self._group]
            table = not isinstance(part, h5py.Group)
            times, sources = (part, part) if table else (_dataset(part, name, self._path) for name in self._names)
            if times.shape != sources.shape or times.ndim != 1:
                raise StationError(
                    f'has {times.shape} times and {sources.shape} inputs: not one of each', where=self._path
                )
            for start in range(0, len(times), _ROWS):
                rows = slice(start, start + _ROWS)
                block = times[rows]
                ticks, inputs = (block[name] for name in self._names) if table else (block, sources[rows])
                source = checked_inputs(np.asarray(inputs), start, self._path)
                self.counts.records += len(source)
                ticks = checked_times(np.asarray(ticks), self._path)
                yield RawTags(to_ps(ticks, self.resolution_ps, self._path), source)

    def _layout(self, file: Any, resolution_ps: float | None) -> tuple[str, str, tuple[str, str], float]:
        """Format, path of the group or table, names of times and inputs, and picoseconds of a count."""
        photons = [name for name in file if name.startswith('photon_data')]
        if photons:
            return self._photon_layout(file, photons)
        for group in (file, *(file[name] for name in file if isinstance(file[name], h5py.Group))):
            names = [name for name in group if isinstance(group[name], h5py.Dataset)]
            tables = [name for name in names if group[name].dtype.names]
            for name in tables:
                columns = find_columns(group[name].dtype.names, resolution_ps, self._path)
                return 'HDF5 table', group[name].name, (columns.time, columns.source), columns.unit_ps
            if len(names) > 1:
                columns = find_columns(names, resolution_ps, self._path)
                return 'HDF5 table', group.name, (columns.time, columns.source), columns.unit_ps
        raise StationError('holds neither Photon-HDF5 nor a table of tags', where=self._path)

    def _photon_layout(self, file: Any, photons: list[str]) -> tuple[str, str, tuple[str, str], float]:
        if photons != ['photon_data']:
            raise StationError(f'holds {len(photons)} measurements in one file', where=self._path, hint='split it')
        data = file['photon_data']
        if 'nanotimes' in data:
            raise StationError('holds nanotimes: its timestamps are not times of photons (T3)', where=self._path)
        if 'timestamps' not in data or 'detectors' not in data:
            raise StationError('lacks timestamps or detectors in /photon_data', where=self._path)
        unit_s = float(_dataset(data, 'timestamps_specs/timestamps_unit', self._path)[()])
        return 'Photon-HDF5', data.name, ('timestamps', 'detectors'), check_resolution(unit_s * 1e12, self._path)


def _dataset(group: Any, name: str, path: Path) -> Any:
    found = group[name]
    if not isinstance(found, h5py.Dataset):
        raise StationError(f'{name} is no dataset', where=path)
    return found


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An HDF5 file; what the library makes of a damaged one has many names."""
    try:
        with h5py.File(path, 'r') as file:
            yield file
    except StationError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise StationError(f'cannot be read as HDF5: {" ".join(str(error).split())[:200]}', where=path) from error
