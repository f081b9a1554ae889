"""Importers beside other readers on the same files: equal tags, processor time, and largest memory.

Each reader runs in a process of its own (``python -m qkd_gs.bench.importers READER FILE``).
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from qkd_gs.arrays import IntArray
from qkd_gs.children import child_environment
from qkd_gs.errors import DeviceFault
from qkd_gs.tag_formats.open_file import open_tags
from qkd_gs.tag_formats.ptu_writer import write_ptu
from qkd_gs.timing.tags import TagBlock

TAGS = 20_000_000
_BLOCK = 1 << 20
_STARTED_NS = 1_538_582_000 * 10**9
_HEADER_END = b'Header_End'
_TAG_BYTES = 48  # an entry of a PTU header
_QUTAG = np.dtype([('ticks', '<i8'), ('input', '<i2')])
Pieces = Iterator[tuple[IntArray, IntArray]]


def run(tags: int = TAGS) -> dict[str, Any]:
    """Read files of so many tags of six inputs, some 500,000 a second, with each reader."""
    found = dict[str, Any]()
    with tempfile.TemporaryDirectory() as folder:
        for form, (write, readers) in FORMS.items():
            path = Path(folder) / f'tags.{form}'
            write(path, tags)
            rows = {reader: _measured(reader, path) for reader in readers}
            sums = [row.pop('sums') for row in rows.values()]
            for row, of_row in zip(rows.values(), sums, strict=True):
                row['equal'] = of_row == sums[0]
            found[form] = {'file_mb': path.stat().st_size / 1e6, **rows}
            path.unlink()
    return {'tags': tags} | found


def _measured(reader: str, path: Path) -> dict[str, Any]:
    """Figures of one reader, from its own process."""
    done = subprocess.run(
        [sys.executable, '-m', 'qkd_gs.bench.importers', reader, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env=child_environment(os.environ),
    )
    if done.returncode:
        raise DeviceFault('bench.reader', f'{reader}: {done.stderr.strip()[-300:]}')
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _blocks(tags: int) -> Iterator[TagBlock]:
    rng, last_ps = np.random.default_rng(1), 0
    for start in range(0, tags, _BLOCK):
        count = min(_BLOCK, tags - start)
        time_ps = last_ps + np.cumsum(rng.integers(1, 4_000_000, count))
        last_ps = int(time_ps[-1])
        yield TagBlock(time_ps, rng.integers(1, 7, count).astype(np.uint8))


def _write_ptu(path: Path, tags: int) -> None:
    write_ptu(path, _blocks(tags), _STARTED_NS)


def _write_parquet(path: Path, tags: int) -> None:
    pa, parquet = importlib.import_module('pyarrow'), importlib.import_module('pyarrow.parquet')
    schema = pa.schema([('time_ps', pa.int64()), ('channel', pa.int16())])
    with parquet.ParquetWriter(path, schema) as writer:
        for block in _blocks(tags):
            writer.write_table(pa.table([block.time_ps, block.channel.astype(np.int16)], schema))


def _write_csv(path: Path, tags: int) -> None:
    pa, csv = importlib.import_module('pyarrow'), importlib.import_module('pyarrow.csv')
    schema = pa.schema([('time_ps', pa.int64()), ('channel', pa.int16())])
    with csv.CSVWriter(path, schema) as writer:
        for block in _blocks(tags):
            writer.write_table(pa.table([block.time_ps, block.channel.astype(np.int16)], schema))


def _write_hdf5(path: Path, tags: int) -> None:
    h5py = importlib.import_module('h5py')
    with h5py.File(path, 'w') as file:
        times = file.create_dataset('time_ps', (tags,), np.int64)
        inputs = file.create_dataset('channel', (tags,), np.int16)
        done = 0
        for block in _blocks(tags):
            times[done : done + len(block)], inputs[done : done + len(block)] = block.time_ps, block.channel
            done += len(block)


def _write_qutag(path: Path, tags: int) -> None:
    with open(path, 'wb') as file:
        for block in _blocks(tags):
            events = np.empty(len(block), _QUTAG)
            events['ticks'], events['input'] = block.time_ps, block.channel
            file.write(events.tobytes())


def _own(path: Path) -> Pieces:
    shift = 1 if path.suffix == '.ptu' else 0  # a channel c is written as code c, input c + 1
    for raw in open_tags(path).blocks():
        yield raw.time_ps, raw.source.astype(np.int64) - shift


def _ptufile(path: Path) -> Pieces:
    with importlib.import_module('ptufile').PtuFile(path) as file:
        records = file.decode_records()
        photons = records[records['channel'] >= 0]
        # the sync and the first input are one channel to it, so channel c is number c
        yield _to_ps(photons['time'], file.global_resolution), photons['channel'].astype(np.int64)


def _tttrlib(path: Path) -> Pieces:
    file = importlib.import_module('tttrlib').TTTR(str(path), 'PTU')
    yield _to_ps(file.macro_times, file.header.macro_time_resolution), file.routing_channels.astype(np.int64)


def _to_ps(counts: IntArray, resolution_s: float) -> IntArray:
    return counts.astype(np.int64) * round(resolution_s * 1e12)


def _numpy_ptu(path: Path) -> Pieces:
    data = path.read_bytes()
    records = np.frombuffer(data, '<u4', offset=data.rindex(_HEADER_END) + _TAG_BYTES)
    code, ticks = records >> 25, (records & 0x1FFFFFF).astype(np.int64)
    turn = code == 0x7F
    turned = np.cumsum(np.where(turn, ticks, 0))
    yield ((turned << 25) + ticks)[~turn], code[~turn].astype(np.int64)


def _pyarrow(path: Path) -> Pieces:
    for batch in importlib.import_module('pyarrow.parquet').ParquetFile(path).iter_batches(_BLOCK):
        yield batch.column(0).to_numpy(), batch.column(1).to_numpy().astype(np.int64)


def _pyarrow_csv(path: Path) -> Pieces:
    for batch in importlib.import_module('pyarrow.csv').open_csv(path):
        yield batch.column(0).to_numpy(), batch.column(1).to_numpy()


def _numpy_csv(path: Path) -> Pieces:
    table: IntArray = np.loadtxt(path, np.int64, delimiter=',', skiprows=1)
    yield table[:, 0], table[:, 1]


def _h5py(path: Path) -> Pieces:
    with importlib.import_module('h5py').File(path) as file:
        yield file['time_ps'][:], file['channel'][:].astype(np.int64)


def _numpy_qutag(path: Path) -> Pieces:
    events = np.fromfile(path, _QUTAG)
    yield events['ticks'].astype(np.int64), events['input'].astype(np.int64)


_READERS: dict[str, Callable[[Path], Pieces]] = {
    'own': _own,
    'ptufile': _ptufile,
    'tttrlib': _tttrlib,
    'numpy': _numpy_ptu,
    'pyarrow': _pyarrow,
    'pyarrow_csv': _pyarrow_csv,
    'numpy_csv': _numpy_csv,
    'h5py': _h5py,
    'numpy_qutag': _numpy_qutag,
}
FORMS: dict[str, tuple[Callable[[Path, int], None], tuple[str, ...]]] = {
    'ptu': (_write_ptu, ('own', 'ptufile', 'tttrlib', 'numpy')),
    'parquet': (_write_parquet, ('own', 'pyarrow')),
    'csv': (_write_csv, ('own', 'pyarrow_csv', 'numpy_csv')),
    'h5': (_write_hdf5, ('own', 'h5py')),
    'bin': (_write_qutag, ('own', 'numpy_qutag')),
}


def measure(reader: str, path: Path) -> dict[str, Any]:
    """Read a file through: tags, sums that tell other tags, million tags a second, and memory in MB."""
    read = _READERS[reader]
    tags, times, mixed = 0, 0, 0
    begin, summing = process_time(), 0.0
    for time_ps, channel in read(path):
        paused = process_time()
        tags += len(time_ps)
        times += int(time_ps.astype(np.uint64).sum())
        mixed += int((time_ps.astype(np.uint64) * channel.astype(np.uint64)).sum())
        summing += process_time() - paused
    spent_s = process_time() - begin - summing
    return {
        'tags': tags,
        'mtags_s': tags / spent_s / 1e6,
        'memory_mb': _peak_mb(),
        'sums': [times % (1 << 64), mixed % (1 << 64)],
    }


def _peak_mb() -> float:
    """Largest memory of this process; what its parent used does not count, as it would in `getrusage`."""
    status = Path('/proc/self/status').read_text(encoding='ascii')
    return int(next(line for line in status.splitlines() if line.startswith('VmHWM')).split()[1]) / 1e3


if __name__ == '__main__':
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))  # noqa: T201 - read by the parent
