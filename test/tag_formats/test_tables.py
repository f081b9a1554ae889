"""Tables of tags in every format: the same tags come out, to the picosecond, or one sentence says why not."""

import struct
import sys
from types import SimpleNamespace

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from qkd_gs.errors import StationError
from qkd_gs.tag_formats.look import look
from qkd_gs.tag_formats.open_file import open_tags
from qkd_gs.tag_formats.order import in_order

TIMES_PS = np.array([5, 1_000_000_000_001, 1_000_000_000_002, 7_200_123_456_789_013], np.int64)
INPUTS = np.array([1, 2, -2, 6], np.int64)


def read(path, resolution_ps=None):
    blocks = list(in_order(open_tags(path, resolution_ps), path))
    return np.concatenate([b.time_ps for b in blocks]), np.concatenate([b.source for b in blocks])


def check(path, resolution_ps=None):
    times_ps, source = read(path, resolution_ps)
    np.testing.assert_array_equal(times_ps, TIMES_PS)
    np.testing.assert_array_equal(source, INPUTS)


@pytest.mark.parametrize('mark', [',', ';', '\t', ' '])
def test_csv_with_any_delimiter(tmp_path, mark):
    rows = [f'{t}{mark}{c}' for t, c in zip(TIMES_PS, INPUTS, strict=True)]
    (tmp_path / 'x.csv').write_text('\n'.join([f'time_ps{mark}channel', *rows]) + '\n')
    check(tmp_path / 'x.csv')


def test_csv_in_seconds_loses_no_picosecond(tmp_path):
    rows = [f'{c},{t // 10**12}.{t % 10**12:012d},x' for t, c in zip(TIMES_PS.tolist(), INPUTS, strict=True)]
    (tmp_path / 'x.csv').write_text('# of a bench\n# 2026\nInput,Time [s],comment\n' + '\n'.join(rows) + '\n')
    check(tmp_path / 'x.csv')


def test_csv_in_counts_needs_their_length(tmp_path):
    rows = '\n'.join(f'{t // 1},{c}' for t, c in zip(TIMES_PS, INPUTS, strict=True))
    (tmp_path / 'x.csv').write_text('time,channel\n' + rows + '\n')
    with pytest.raises(StationError, match='unit of its column time'):
        read(tmp_path / 'x.csv')
    check(tmp_path / 'x.csv', 1.0)


def test_counts_that_are_no_whole_number_of_picoseconds(tmp_path):
    counts = [0, 1, 10**13]
    (tmp_path / 'x.csv').write_text('ticks,channel\n' + ''.join(f'{k},1\n' for k in counts))
    assert read(tmp_path / 'x.csv', 80.955)[0].tolist() == [0, 81, 809_550_000_000_000]


@pytest.mark.parametrize(
    ('text', 'why'),
    [
        ('100,1\n200,2\n', 'not one column of times'),
        ('time_ps,time_ns,channel\n', 'not one column of times'),
        ('time_ps,channel\n100,1\n1.5,2\n', 'cannot be read'),
        ('time_ps,channel\n100,1\n,2\n', 'cannot be read'),
        ('time_ps,channel\n100,1\n200\n', 'cannot be read'),
        ('time_ps,channel\n100,one\n', 'cannot be read'),
        ('time_ps,channel\n-5,1\n', 'below 0'),
        ('time_ps,channel\n100,5000\n', 'row 1 names input 5000'),
        ('time_ps,channel\n9000000000000000000,1\n', 'beyond 13 days'),
        ('time_s,channel\n0.5,1\n1e-13,1\n', "row 2: '1e-13' is no time"),
        ('time_s,channel\n0.0000e-500012007,1\n', 'is no time with at most 12 digits'),
        ('time_ns,channel\n0.0001,1\n', 'is no time with at most 3 digits'),
        ('time_ns,channel\n-3,1\n', "'-3' is no time"),
        ('time_s,channel\n,1\n', "'' is no time"),
    ],
)
def test_csv_that_cannot_be_meant(tmp_path, text, why):
    (tmp_path / 'x.csv').write_text(text)
    with pytest.raises(StationError, match=why):
        read(tmp_path / 'x.csv')


def test_parquet(tmp_path):
    table = pa.table({'channel': pa.array(INPUTS, pa.int8()), 'time_ps': TIMES_PS, 'other': [0.5] * 4})
    pyarrow.parquet.write_table(table, tmp_path / 'x.parquet')
    check(tmp_path / 'x.parquet')
    stamps = pa.table({'ch': [1, 1], 'timestamp': pa.array([7, 9], pa.timestamp('ns'))})
    pyarrow.parquet.write_table(stamps, tmp_path / 'y.parquet')
    assert read(tmp_path / 'y.parquet')[0].tolist() == [7000, 9000]
    for column in ([1.5, 2.5], [1, None]):
        pyarrow.parquet.write_table(pa.table({'time_ps': column, 'channel': [1, 2]}), tmp_path / 'z.parquet')
        with pytest.raises(StationError, match=r'not whole numbers|empty cells'):
            read(tmp_path / 'z.parquet')


@pytest.mark.parametrize(
    ('name', 'kind', 'unit_ps'),
    [
        ('time', pa.timestamp('ns'), 1000),
        ('time_ns', pa.timestamp('ns'), 1000),
        ('time_ns', pa.duration('ns'), 1000),
        ('time', pa.duration('us'), 10**6),
        ('t_us', pa.time64('us'), 10**6),
        ('time_s', pa.duration('s'), 10**12),
    ],
)
def test_parquet_of_moments_and_durations(tmp_path, name, kind, unit_ps):
    """Their counts are those of the unit of the type; another such column has no say."""
    written = pa.array([1, 2], pa.timestamp('s'))
    table = pa.table({'written': written, name: pa.array([7, 9], kind), 'channel': [1, 2]})
    pyarrow.parquet.write_table(table, tmp_path / 'x.parquet')
    stored = pyarrow.parquet.read_table(tmp_path / 'x.parquet')
    assert stored[name].type == kind
    assert read(tmp_path / 'x.parquet')[0].tolist() == [7 * unit_ps, 9 * unit_ps]


@pytest.mark.parametrize('kind', [pa.timestamp('ns'), pa.duration('ns'), pa.duration('us'), pa.time64('ns')])
@pytest.mark.parametrize(('name', 'resolution_ps'), [('time_ps', None), ('time', 4.0)])
def test_a_unit_that_the_name_and_the_type_tell_differently_is_refused(tmp_path, name, resolution_ps, kind):
    table = pa.table({name: pa.array([7, 9], kind), 'channel': [1, 2]})
    pyarrow.parquet.write_table(table, tmp_path / 'x.parquet')
    with pytest.raises(StationError, match=rf'x\.parquet: its column {name} counts units of 1\S+ ps by its type'):
        read(tmp_path / 'x.parquet', resolution_ps)


def test_the_unit_of_another_column_is_not_taken_for_that_of_the_times(tmp_path):
    table = pa.table({'written': pa.array([1, 2], pa.timestamp('ns')), 'time': [7, 9], 'channel': [1, 2]})
    pyarrow.parquet.write_table(table, tmp_path / 'x.parquet')
    with pytest.raises(StationError, match='unit of its column time is not known'):
        read(tmp_path / 'x.parquet')


def test_photon_hdf5(tmp_path):
    with h5py.File(tmp_path / 'x.h5', 'w') as file:
        data = file.create_group('photon_data')
        data['timestamps'], data['detectors'] = TIMES_PS, INPUTS.astype(np.int8)
        data['timestamps_specs/timestamps_unit'] = 1e-12
    check(tmp_path / 'x.h5')
    with h5py.File(tmp_path / 'x.h5', 'a') as file:
        file['photon_data/nanotimes'] = [1, 2, 3, 4]
    with pytest.raises(StationError, match='T3'):
        read(tmp_path / 'x.h5')


def test_plain_hdf5(tmp_path):
    with h5py.File(tmp_path / 'x.h5', 'w') as file:
        file['run/time_ps'], file['run/channel'] = TIMES_PS, INPUTS
    check(tmp_path / 'x.h5')
    with h5py.File(tmp_path / 'y.h5', 'w') as file:
        kind = np.dtype([('t_ns', '<i8'), ('input', '<u2')])
        file['events'] = np.array([(5, 1), (9, 2)], kind)
    assert [part.tolist() for part in read(tmp_path / 'y.h5')] == [[5000, 9000], [1, 2]]
    with h5py.File(tmp_path / 'z.h5', 'w') as file:
        file['time_ps'], file['channel'] = TIMES_PS, INPUTS[:3]
    with pytest.raises(StationError, match='not one of each'):
        read(tmp_path / 'z.h5')
    (tmp_path / 'z.h5').write_bytes((tmp_path / 'y.h5').read_bytes()[:200])
    with pytest.raises(StationError, match='cannot be read as HDF5'):
        read(tmp_path / 'z.h5')


@pytest.mark.parametrize('head', [bytes(40), b'', b'\xff' * 40])
def test_qutag_with_and_without_its_header(tmp_path, head):
    events = b''.join(struct.pack('<qh', t, abs(c)) for t, c in zip(TIMES_PS.tolist(), INPUTS.tolist(), strict=True))
    (tmp_path / 'x.bin').write_bytes(head + events)
    times_ps, source = read(tmp_path / 'x.bin')
    np.testing.assert_array_equal(times_ps, TIMES_PS)
    np.testing.assert_array_equal(source, np.abs(INPUTS))
    (tmp_path / 'x.bin').write_bytes(head + events + b'123')
    assert look(tmp_path / 'x.bin')['lost']['records'] == 1


def test_order_within_a_block_is_put_right_and_beyond_refused(tmp_path):
    times = np.arange(1000) * 100
    swapped = times.copy()
    swapped[[10, 11]] = swapped[[11, 10]]
    text = ''.join(f'{t},1\n' for t in swapped)
    (tmp_path / 'x.csv').write_text('time_ps,channel\n' + text)
    np.testing.assert_array_equal(read(tmp_path / 'x.csv')[0], times)
    assert look(tmp_path / 'x.csv')['reordered'] == 1

    two_runs = np.concatenate([np.arange(2_500_000) * 100, np.arange(10) * 100])
    table = pa.table({'channel': np.ones(len(two_runs), np.int8), 'time_ps': two_runs})
    pyarrow.parquet.write_table(table, tmp_path / 'x.parquet')
    with pytest.raises(StationError, match='go back by'):
        read(tmp_path / 'x.parquet')


def test_ttbin_needs_the_makers_library(tmp_path):
    (tmp_path / 'x.ttbin').write_bytes(b'SITT')
    with pytest.raises(StationError, match="maker's library"):
        read(tmp_path / 'x.ttbin')


class MakersReader:
    """Plays the maker's library: two blocks, with an overflow, missed tags and an error among them."""

    def __init__(self, path):
        self._blocks = [([5, 9], [1, -2], [0, 0], [0, 0]), ([11, 12, 13, 14], [1, 0, 3, 0], [0, 2, 4, 1], [0, 0, 7, 0])]

    def hasData(self):
        return bool(self._blocks)

    def getData(self, _):
        times, channels, kinds, missed = (np.array(part) for part in self._blocks.pop(0))
        return SimpleNamespace(
            getTimestamps=lambda: times,
            getChannels=lambda: channels,
            getEventTypes=lambda: kinds,
            getMissedEvents=lambda: missed,
        )


def test_ttbin_by_the_makers_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'TimeTagger', SimpleNamespace(FileReader=MakersReader))
    (tmp_path / 'x.ttbin').write_bytes(b'SITT')
    times_ps, source = read(tmp_path / 'x.ttbin')
    assert (times_ps.tolist(), source.tolist()) == ([5, 9, 11], [1, -2, 1])
    seen = look(tmp_path / 'x.ttbin')
    assert seen['lost'] == {'records': 7, 'overflows': 1}
    assert seen['notes'] == ['the device reported 1 errors']


@pytest.mark.parametrize(
    ('name', 'content', 'why'),
    [('x.ptu', b'', 'empty'), ('x.xyz', b'abc', 'no known format'), ('x.pt2', b'PicoHarp 300\0\0\0\0', 'before PTU')],
)
def test_what_is_no_file_of_tags(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StationError, match=why):
        read(tmp_path / name)
    with pytest.raises(StationError, match='cannot be read'):
        read(tmp_path / 'missing')


def test_the_histogram_shows_a_period_that_is_no_whole_number(tmp_path):
    period_ps = 1e12 / 76e6
    times_ps = np.rint(np.arange(0, 10**11, 10**4) * period_ps + 4000).astype(np.int64)
    pyarrow.parquet.write_table(
        pa.table({'time_ps': times_ps, 'channel': np.ones(len(times_ps), np.int8)}), tmp_path / 'x.parquet'
    )
    folded = look(tmp_path / 'x.parquet', period_ps)['inputs']['1']['folded']
    assert np.argmax(folded) == int(4000 / period_ps * 100)
    assert max(folded) == sum(folded)
