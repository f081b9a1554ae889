"""Tags in tables: CSV (any delimiter, with a header) and Parquet, read in batches with pyarrow."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from qkd_gs.arrays import IntArray
from qkd_gs.errors import StationError
from qkd_gs.tag_formats.columns import checked_inputs, checked_times, find_columns
from qkd_gs.tag_formats.raw import RawTags, RecordCounts
from qkd_gs.tag_formats.scale import to_ps

_ROWS = 1 << 20
_BYTES = 1 << 24
_SNIFFED = 1 << 14
_DECIMALS = {1e3: 3, 1e6: 6, 1e12: 12}  # digits behind the point that a unit leaves for picoseconds
_DIGITS = 38  # of a decimal of 128 bits


class CsvFile:
    """A table in text.

    The first line that is no comment (``#``) names the columns.  Times in ns, us or s may have digits behind the
    point, down to a picosecond; they are read as decimal numbers, so none is lost.

    Parameters
    ----------
    path : Path
    resolution_ps : float, optional
        Unit of a column of times whose name has none.
    """

    def __init__(self, path: Path, resolution_ps: float | None = None) -> None:
        self._path = path
        with open(path, encoding='utf-8-sig', errors='replace', newline='') as file:
            self._skipped, line = 0, file.readline(_SNIFFED)
            while line.startswith('#') or (line and not line.strip()):
                self._skipped, line = self._skipped + 1, file.readline(_SNIFFED)
        self._delimiter = next((mark for mark in '\t;,| ' if mark in line), ',')
        self._names = [name.strip() for name in next(csv.reader([line], delimiter=self._delimiter), [])]
        self._columns = find_columns(self._names, resolution_ps, path)
        self.format = 'CSV'
        self.resolution_ps = self._columns.unit_ps
        self.counts = RecordCounts()

    def blocks(self) -> Iterator[RawTags]:
        """All tags; see `TagFile.blocks`."""
        self.counts = RecordCounts()
        columns = self._columns
        digits = _DECIMALS.get(columns.unit_ps)
        types = {columns.time: pa.string() if digits else pa.int64(), columns.source: pa.int16()}
        with _told(self._path):
            reader = pyarrow.csv.open_csv(
                self._path,
                pyarrow.csv.ReadOptions(
                    block_size=_BYTES, skip_rows=self._skipped + 1, column_names=self._names, use_threads=False
                ),
                pyarrow.csv.ParseOptions(delimiter=self._delimiter),
                pyarrow.csv.ConvertOptions(
                    column_types=types,
                    include_columns=[columns.time, columns.source],
                    strings_can_be_null=False,
                    null_values=[],
                ),
            )
            for batch in reader:
                times = batch.column(0)
                if digits:
                    times = _decimals(times, digits, self.counts.records, self._path)
                values, unit_ps = _ticks(times, columns.unit_ps, self._path)
                source = checked_inputs(_whole(batch.column(1), self._path), self.counts.records, self._path)
                self.counts.records += len(source)
                yield RawTags(to_ps(values, unit_ps, self._path), source)


class ParquetFile:
    """A table in Apache Parquet; see `CsvFile` for its columns."""

    def __init__(self, path: Path, resolution_ps: float | None = None) -> None:
        self._path = path
        with _told(path), pyarrow.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
        typed_ps = {field.name: _unit_ps(field.type) for field in schema if hasattr(field.type, 'unit')}
        self._columns = find_columns(list(schema.names), resolution_ps, path, typed_ps)
        self.format = 'Parquet'
        self.resolution_ps = self._columns.unit_ps
        self.counts = RecordCounts()

    def blocks(self) -> Iterator[RawTags]:
        """All tags; see `TagFile.blocks`."""
        self.counts = RecordCounts()
        columns = self._columns
        with _told(self._path), pyarrow.parquet.ParquetFile(self._path, memory_map=False) as file:
            for batch in file.iter_batches(_ROWS, columns=[columns.time, columns.source], use_threads=False):
                values, unit_ps = _ticks(batch.column(columns.time), columns.unit_ps, self._path)
                source = checked_inputs(
                    _whole(batch.column(columns.source), self._path), self.counts.records, self._path
                )
                self.counts.records += len(source)
                yield RawTags(to_ps(values, unit_ps, self._path), source)
            announced = file.metadata.num_rows
        if self.counts.records != announced:
            raise StationError(f'announces {announced} rows, and has {self.counts.records}', where=self._path)


def _decimals(column: Any, digits: int, first_row: int, path: Path) -> Any:
    """Decimal numbers of a column of text: digits and a point alone, for the library does not bear every exponent."""
    plain = pc.match_substring_regex(column, f'^ *[0-9]{{1,20}}([.][0-9]{{0,{digits}}})? *$')
    if not pc.all(plain, min_count=0).as_py():
        row = pc.index(plain, value=False).as_py()
        raise StationError(
            f'row {first_row + row + 1}: {column[row].as_py()[:40]!r} is no time with at most {digits} digits behind'
            ' the point',
            where=path,
        )
    return pc.cast(pc.utf8_trim(column, ' '), pa.decimal128(_DIGITS, digits))


def _ticks(column: Any, unit_ps: float, path: Path) -> tuple[IntArray, float]:
    """Whole counts of a column, and picoseconds of a count."""
    _refuse_nulls(column, path)
    if pa.types.is_decimal128(column.type):
        low, high = np.frombuffer(column.buffers()[1], np.int64).reshape(-1, 2)[column.offset :][: len(column)].T
        if (high != low >> 63).any():
            raise StationError('has a time below 0 or beyond 13 days', where=path)
        return low, unit_ps / 10**column.type.scale
    if hasattr(column.type, 'unit'):
        column = column.view(pa.int32() if column.type.bit_width == 32 else pa.int64())
    return checked_times(column.to_numpy(zero_copy_only=False), path), unit_ps


def _whole(column: Any, path: Path) -> np.ndarray[Any, Any]:
    _refuse_nulls(column, path)
    values: np.ndarray[Any, Any] = column.to_numpy(zero_copy_only=False)
    return values


def _refuse_nulls(column: Any, path: Path) -> None:
    if column.null_count:
        raise StationError(f'has {column.null_count} empty cells', where=path)


def _unit_ps(kind: Any) -> float:
    """Picoseconds of the unit of a type that has one: timestamp, duration, time of day."""
    return {'s': 1e12, 'ms': 1e9, 'us': 1e6, 'ns': 1e3}[kind.unit]


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise StationError(f'cannot be read: {" ".join(str(error).split())[:200]}', where=path) from error
