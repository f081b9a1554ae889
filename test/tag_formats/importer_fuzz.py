"""Damaged files of tags by the thousand: each must give the tags that stand in it, or one sentence.

``PYTHONPATH=test python test/tag_formats/importer_fuzz.py --files 100000 --seed 1`` runs a campaign and prints what it
found.  What stands in a file is found by another hand: records of a PTU and of a quTAG one by one, rows of a CSV as
decimal numbers, tables of Parquet and HDF5 by their libraries at once.
"""

import argparse
import csv
import io
import random
import re
import struct
import sys
import tempfile
from collections import Counter
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
from ptu_files import OVERFLOW, entry, header, photon, special

from qkd_gs.errors import StationError
from qkd_gs.tag_formats.open_file import open_tags
from qkd_gs.tag_formats.raw import MARKER, SYNC

GENERIC, PICOHARP, HYDRAHARP_1, HYDRAHARP_2 = 0x00010207, 0x00010203, 0x00010204, 0x01010204
HUGE = (0, 1, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 62, 0x8000000000000000, 0x7FF8000000000000)
NUMBERS = ('0', '-1', '1e9', 'nan', '9' * 20, '', '1.5', '0x10', '1_000', '٣', ' 7', '7 ', '+7', '00007', '1e-3')
_SNAP = Fraction(1, 10**6)  # a resolution that is nearly a whole number of picoseconds is taken for one
_DIGITS = {'ps': 0, 'ns': 3, 'us': 6, 'ms': 9, 's': 12}


def originals(folder):
    """One small file of every format, by the ending of its name and a word."""
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.integers(1, 4_000_000, 40))
    inputs = rng.integers(1, 7, 40)
    found = {}
    for word, kind, resolution_s in (
        ('generic', GENERIC, 1e-12),
        ('picoharp', PICOHARP, 4e-12),
        ('hydraharp 1', HYDRAHARP_1, 1e-12),
        ('hydraharp 2', HYDRAHARP_2, 5e-12),
    ):
        if kind == PICOHARP:
            records = [(k % 5) << 28 | 100 * k for k in range(30)] + [15 << 28, 15 << 28 | 1 << 4 | 2, 1 << 28 | 7]
        else:
            records = [photon(k % 6, 1000 * k) for k in range(30)]
            records += [special(0, 31_000), special(5, 31_001), OVERFLOW | 2, photon(2, 7), photon(3, 9)]
        extra = entry('File_Comment', 0x4001FFFF, data=b'of a bench\0') + entry('Sync', 0x10000008, 7)
        body = struct.pack(f'<{len(records)}I', *records)
        found['.ptu', word] = header(kind, len(records), resolution_s, extra=extra) + body
    events = np.empty(40, [('ticks', '<i8'), ('input', '<i2')])
    events['ticks'], events['input'] = times, inputs
    found['.bin', 'qutag'] = events.tobytes()
    found['.bin', 'qutag with header'] = b'quTAG'.ljust(40, b'\xff') + events.tobytes()
    rows = [f'{t},{c}' for t, c in zip(times.tolist(), inputs.tolist(), strict=True)]
    found['.csv', 'ps'] = '\n'.join(['time_ps,channel', *rows, '']).encode()
    rows = [f'{c};{t // 1000}.{t % 1000:03d}' for t, c in zip(times.tolist(), inputs.tolist(), strict=True)]
    found['.csv', 'ns'] = '\n'.join(['# of a bench', 'input;time_ns', *rows, '']).encode()
    path = Path(folder) / 'made'
    pa.parquet.write_table(pa.table({'time_ps': times, 'channel': inputs.astype(np.int16)}), path)
    found['.parquet', 'table'] = path.read_bytes()
    durations = pa.array(times, pa.duration('ns'))
    pa.parquet.write_table(pa.table({'time_ns': durations, 'channel': inputs.astype(np.int16)}), path)
    found['.parquet', 'durations'] = path.read_bytes()
    with h5py.File(path, 'w') as file:
        file['time_ps'], file['channel'] = times, inputs.astype(np.int16)
    found['.h5', 'datasets'] = path.read_bytes()
    path.unlink()
    return found


def damaged(ending, data, generator):
    """The content after one to four changes, of bits, bytes, fields or parts."""
    changes = _TEXT if ending == '.csv' else _BINARY
    for _ in range(generator.choice((1, 1, 1, 2, 2, 3, 4))):
        data = generator.choice(changes)(data, generator) or b'\0'
    return data


def _bit(data, generator):
    at = generator.randrange(len(data))
    return data[:at] + bytes((data[at] ^ 1 << generator.randrange(8),)) + data[at + 1 :]


def _byte(data, generator):
    at = generator.randrange(len(data))
    return data[:at] + bytes((generator.randrange(256),)) + data[at + 1 :]


def _field(data, generator):
    """A number of 4 or 8 bytes, mostly where the fields of the formats lie."""
    size = generator.choice((4, 8))
    at = generator.randrange(len(data)) // 4 * 4
    value = generator.choice((*HUGE, generator.getrandbits(64))) & (1 << 8 * size) - 1
    return data[:at] + value.to_bytes(size, 'little') + data[at + size :]


def _cut(data, generator):
    at = generator.randrange(len(data))
    return data[:at] + data[at + generator.choice((1, 4, 10, 48, len(data))) :]


def _double(data, generator):
    at = generator.randrange(len(data))
    return data[: at + generator.choice((1, 4, 10, 48, 100))] + data[at:]


def _number(data, generator):
    lines = data.split(b'\n')
    at = generator.randrange(len(lines))
    cells = lines[at].split(b';' if b';' in lines[at] else b',')
    cells[generator.randrange(len(cells))] = generator.choice(NUMBERS).encode()
    lines[at] = (b';' if b';' in lines[at] else b',').join(cells)
    return b'\n'.join(lines)


def _lines(data, generator):
    lines = data.split(b'\n')
    one, two = generator.randrange(len(lines)), generator.randrange(len(lines))
    match generator.randrange(3):
        case 0:
            lines[one], lines[two] = lines[two], lines[one]
        case 1:
            lines.insert(one, lines[two])
        case _:
            del lines[one]
    return b'\n'.join(lines)


_BINARY = (_bit, _bit, _byte, _field, _field, _cut, _double)
_TEXT = (_bit, _byte, _number, _number, _lines, _lines, _cut, _double)


def outcome(path, data):
    """'read' or 'refused'.

    Raises
    ------
    AssertionError
        The sentence is none, or the tags are not those that stand in the file.
    Exception
        Any other than `StationError` that the reader lets out.
    """
    path.write_bytes(data)
    try:
        file = open_tags(path)
        blocks = list(file.blocks())
    except StationError as error:
        sentence = str(error)
        assert path.name in sentence, sentence
        assert '\n' not in sentence, sentence
        assert len(sentence) < 600, sentence
        return 'refused'
    ours = [pair for part in blocks for pair in zip(part.time_ps.tolist(), part.source.tolist(), strict=True)]
    theirs = _READERS[path.suffix](path, data)
    assert len(ours) == len(theirs), f'{len(ours)} tags of {len(theirs)}'
    for (time_ps, source), (exact_ps, also) in zip(ours, theirs, strict=True):
        assert source == also
        assert abs(time_ps - exact_ps) <= 1 + exact_ps * _SNAP  # rounded to a picosecond
    if path.suffix in ('.ptu', '.bin'):
        assert file.counts.records + file.counts.missing >= len({time for time, _ in ours})
    return 'read'


def _ptu(path, data):
    """Tags of a PTU file, record by record; times as exact fractions of a picosecond."""
    fields, at = {}, 16
    while True:
        name = data[at : at + 32].split(b'\0')[0]
        _, kind = struct.unpack_from('<iI', data, at + 32)
        raw = data[at + 40 : at + 48]
        at += 48
        if kind & 0xFFFF == 0xFFFF:
            at += int.from_bytes(raw, 'little')
        fields[name] = raw
        if name == b'Header_End':
            break
    number = {name: int.from_bytes(raw, 'little') for name, raw in fields.items()}
    resolution_ps = Fraction(struct.unpack('<d', fields[b'MeasDesc_GlobalResolution'])[0] * 1e12)
    count = number[b'TTResult_NumberOfRecords'] or len(data)
    kind, turned, tags = number[b'TTResultFormat_TTTRRecType'] & 0xFFFFFFFF, 0, []
    for (record,) in struct.iter_unpack('<I', data[at : at + (len(data) - at) // 4 * 4][: 4 * count]):
        found, turned = _picoharp(record, turned) if kind == PICOHARP else _hydraharp(record, turned, kind)
        tags += [(ticks * resolution_ps, source) for ticks, source in found]
    return tags


def _picoharp(record, turned):
    code, time = record >> 28, record & 0xFFFFFFF
    if code < 15:
        return [(turned + time, code + 1)], turned
    if time & 15 == 0:
        return [], turned + 210_698_240
    return [(turned + time, MARKER + 1 + marker) for marker in range(4) if time >> marker & 1], turned


def _hydraharp(record, turned, kind):
    code, time = record >> 25 & 63, record & 0x1FFFFFF
    if record < 1 << 31:
        return [(turned + time, code + 1)], turned
    if code == 63:
        return [], turned + (33_552_000 if kind == HYDRAHARP_1 else 2**25 * (time or 1))
    if code == 0:
        return [(turned + time, SYNC)], turned
    return [(turned + time, MARKER + 1 + marker) for marker in range(4) if code >> marker & 1], turned


def _qutag(path, data):
    """Events; a file that begins with events in the order of time has no header."""
    tags = []
    for start in (0, 40):
        body = data[start : start + (len(data) - start) // 10 * 10]
        tags = list(struct.iter_unpack('<qh', body))
        head = tags[:5]
        if start or (
            len(head) > 1
            and all(time > 0 and 0 <= source <= 255 for time, source in head)
            and head == sorted(head, key=lambda one: one[0])
        ):
            break
    return tags


def _csv(path, data):
    text = data.decode('utf-8-sig', 'replace')
    lines = [line for line in text.replace('\r\n', '\n').replace('\r', '\n').split('\n')]
    while lines[0].startswith('#') or not lines[0].strip():
        lines.pop(0)
    mark = next((mark for mark in '\t;,| ' if mark in lines[0]), ',')
    names, *rows = csv.reader(io.StringIO('\n'.join(lines)), delimiter=mark)
    names = [name.strip().lower() for name in names]
    column = next(k for k, name in enumerate(names) if name.startswith('t'))
    source = next(k for k, name in enumerate(names) if name.startswith(('ch', 'in', 'de')))
    scale_ps = _scale_ps(names[column])
    try:
        return [(_of_cell(row[column]) * scale_ps, int(_of_cell(row[source]))) for row in rows if row]
    except (InvalidOperation, ValueError) as error:
        raise AssertionError(f'read, but {error}') from error


def _scale_ps(name):
    """Picoseconds of the unit at the end of a column's name."""
    unit = re.search(r'(fs|ps|ns|us|s)?[])]?$', name.lower())[1]
    return 10 ** _DIGITS[unit] if unit in _DIGITS else 1


def _of_cell(cell):
    """Number of a cell; pyarrow knows hexadecimal ones, too."""
    cell = cell.strip()
    return Fraction(int(cell, 16) if cell.lower().startswith('0x') else Decimal(cell))


def _parquet(path, data):
    """Counts; of a moment or duration in the unit of its type, since a name that says another one is refused."""
    table = pa.parquet.read_table(path)
    typed = {field.name: field.type.unit for field in table.schema if pa.types.is_temporal(field.type)}
    return _rows(
        table.column_names,
        lambda name: [one.value for one in table[name]] if name in typed else table[name].to_pylist(),
        typed,
    )


def _hdf5(path, data):
    with h5py.File(path) as file:
        return _rows(list(file), lambda name: file[name][:].tolist())


def _rows(names, column, typed=MappingProxyType({})):
    """Rows of a table; a damaged name may still be one of the known ones, as `Channel` or `time_ns`."""
    time, source = (next(name for name in names if (name[0] in 'tT') == is_time) for is_time in (True, False))
    scale_ps = 10 ** _DIGITS[typed[time]] if time in typed else _scale_ps(time)
    return [(count * scale_ps, of) for count, of in zip(column(time), column(source), strict=True)]


_READERS = {'.ptu': _ptu, '.bin': _qutag, '.csv': _csv, '.parquet': _parquet, '.h5': _hdf5}


def campaign(files, seed, folder):
    """Counts of outcomes; the first failure is raised with its file kept in `folder`."""
    generator = random.Random(seed)
    whole = originals(folder)
    counts = Counter()
    for _ in range(files):
        ending, word = generator.choice(list(whole))
        data = damaged(ending, whole[ending, word], generator)
        counts[ending, outcome(Path(folder) / f'damaged{ending}', data)] += 1
    return counts


def main():
    parser = argparse.ArgumentParser(description='damaged files of tags: the tags in it, or one sentence')
    parser.add_argument('--files', type=int, default=10_000)
    parser.add_argument('--seed', type=int, default=1)
    given = parser.parse_args()
    folder = tempfile.mkdtemp(prefix='qkd_gs-fuzz-')
    sys.stdout.write(f'the file of a failure stays in {folder}\n')
    for (ending, what), count in sorted(campaign(given.files, given.seed, folder).items()):
        sys.stdout.write(f'{ending:10} {what:8} {count}\n')


if __name__ == '__main__':
    main()
