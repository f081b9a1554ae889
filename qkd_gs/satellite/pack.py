"""A transmitter log from what a laboratory has: a byte for each pulse, and a table of the beacon's pulses."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv

from qkd_gs.arrays import IntArray
from qkd_gs.errors import StationError
from qkd_gs.satellite.log_format import BEACON, PER_BYTE, STATES, LogHead, first_impossible, packed
from qkd_gs.satellite.shares import STATES as STATE_VALUES
from qkd_gs.satellite.shares import by_intensity, check_shares
from qkd_gs.settings.station import SourceSettings

_BLOCK = 1 << 24  # bytes; even, so that a block ends between two packed bytes
_MAX_BEACON = 1 << 26
_RATE_TOLERANCE = 1e-3

Progress = Callable[[str, float], None]


def pack_log(
    states: Path,
    beacon: Path | None,
    first_pulse: int,
    epoch_utc_ns: int,
    source: SourceSettings,
    out: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Write a transmitter log; returns what is in it.

    Parameters
    ----------
    states : Path
        One byte a pulse: basis (0 HV, 1 DA) | bit << 1 | intensity << 2 (0 signal, 1 decoy, 2 vacuum).
    beacon : Path, optional
        CSV with the columns ``pulse`` (number, in even steps) and ``ps`` (time by the transmitter's clock); none for a
        source without a beacon.
    first_pulse : int
        Number of the first byte's pulse.
    epoch_utc_ns : int
        UTC at which the transmitter's clock reads 0.
    out : Path
        Must not exist; made with mode 0600, for it holds the raw key.

    Raises
    ------
    StationError
        A byte that is no state, shares of intensities, bases or bits that are not those of the source, or a table of
        the beacon with gaps, out of order or of another rate.
    """
    index, time_ps = _beacon(beacon, source)
    pulses = _size(states)
    if pulses == 0:
        raise StationError('is empty', where=states)
    if first_pulse < 0:
        raise StationError(f'{first_pulse} is no number of a pulse', where='--first-pulse')
    head = LogHead(first_pulse, pulses, epoch_utc_ns, source, index)
    draft = out.with_name(f'.{out.name}.new')
    if out.exists():
        raise StationError('exists already', where=out)
    try:
        draft.unlink(missing_ok=True)  # left over from a crash
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # it holds the raw key
        with h5py.File(draft, 'w') as file:
            counts = _pack_states(states, file, head, progress)
            check_shares(counts, source, states)
            file.create_dataset(BEACON, data=time_ps)
            head.save(file)
        os.link(draft, out)  # never over another file
    except FileExistsError as error:
        raise StationError('exists already', where=out) from error
    except OSError as error:
        raise StationError(f'cannot be written: {error.strerror or error}', where=out) from error
    finally:
        draft.unlink(missing_ok=True)
    return {
        'pulses': pulses,
        'first_pulse': first_pulse,
        'intensities': by_intensity(counts),
        'beacon_pulses': len(time_ps),
    }


def _pack_states(states: Path, file: Any, head: LogHead, progress: Progress) -> IntArray:
    """Pack all states; number of pulses by state, (12,)."""
    dataset = file.create_dataset(STATES, (-(-head.pulses // PER_BYTE),), np.uint8)
    counts, done = np.zeros(STATE_VALUES, np.int64), 0
    with open(states, 'rb') as given:
        while done < head.pulses:
            block = np.frombuffer(given.read(_BLOCK), np.uint8)
            if not len(block):
                raise StationError('became shorter while it was read', where=states)
            bad = first_impossible(block)
            if bad >= 0:
                raise StationError(
                    f'byte {done + bad} is {block[bad]}, which is no state',
                    where=states,
                    hint='basis (0, 1) | bit << 1 | intensity << 2 (0 signal, 1 decoy, 2 vacuum)',
                )
            counts += np.bincount(block, minlength=STATE_VALUES)
            two = packed(block)
            dataset[done // PER_BYTE : done // PER_BYTE + len(two)] = two
            done += len(block)
            progress('packing the states', done / head.pulses)
    return counts


def _beacon(path: Path | None, source: SourceSettings) -> tuple[int, IntArray]:
    if path is None and source.beacon_rate_hz:
        raise StationError(f'the source has a beacon of {source.beacon_rate_hz:g} Hz: give its times', where='--beacon')
    if path is not None and not source.beacon_rate_hz:
        raise StationError('the source has no beacon', where='--beacon')
    return (0, np.empty(0, np.int64)) if path is None else _read_beacon(path, source)


def _read_beacon(path: Path, source: SourceSettings) -> tuple[int, IntArray]:
    """Number of the first pulse, and all times."""
    try:
        table = pyarrow.csv.read_csv(
            path,
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={'pulse': pa.int64(), 'ps': pa.int64()}, include_columns=['pulse', 'ps'], null_values=[]
            ),
        )
    except (pa.ArrowException, OSError) as error:
        raise StationError(
            f'cannot be read: {" ".join(str(error).split())[:200]}',
            where=path,
            hint='its first line is pulse,ps and the others are whole numbers',
        ) from error
    index, time_ps = (table.column(name).to_numpy() for name in ('pulse', 'ps'))
    if not 2 <= len(index) <= _MAX_BEACON or table.column('ps').null_count or table.column('pulse').null_count:
        raise StationError(f'holds {len(index)} pulses; 2 to {_MAX_BEACON} are possible', where=path)
    step = max(int(index[1] - index[0]), 1)  # some count the pulses of the source
    gap = np.flatnonzero(np.diff(index) != step)
    if len(gap):
        line = int(gap[0]) + 3
        raise StationError(f'pulse {index[gap[0] + 1]} follows {index[gap[0]]}', where=f'{path}:{line}')
    back = np.flatnonzero(np.diff(time_ps) <= 0)
    if len(back):
        raise StationError('the time does not go on', where=f'{path}:{int(back[0]) + 3}')
    rate_hz = (len(time_ps) - 1) / (int(time_ps[-1] - time_ps[0]) * 1e-12)
    if abs(rate_hz / source.beacon_rate_hz - 1) > _RATE_TOLERANCE + 1 / len(time_ps):
        raise StationError(
            f'has {rate_hz:.6g} pulses a second, the source says {source.beacon_rate_hz:.6g}', where=path
        )
    if index[0] < 0:
        raise StationError(f'{index[0]} is no number of a pulse', where=f'{path}:2')
    return int(index[0]) // step, np.ascontiguousarray(time_ps, np.int64)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise StationError(f'cannot be read: {error.strerror}', where=path) from error
