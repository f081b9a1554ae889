"""Every make's records, and files that are not what their header says: each record is delivered, counted or refused."""

import struct

import numpy as np
import ptufile
import pytest
import tttrlib
from ptu_files import BLOB, OVERFLOW, entry, photon, special, write

from qkd_gs.errors import StationError
from qkd_gs.tag_formats.look import look
from qkd_gs.tag_formats.ptu_reader import PtuFile
from qkd_gs.tag_formats.raw import MARKER, SYNC

GENERIC, PICOHARP, HYDRAHARP_1, HYDRAHARP_2 = 0x00010207, 0x00010203, 0x00010204, 0x01010204
TIMEHARP_N, TIMEHARP_P = 0x00010205, 0x00010206
PICOHARP_OVERFLOW = 15 << 28


def tags(path):
    parts = list(PtuFile(path).blocks())
    return [pair for part in parts for pair in zip(part.time_ps.tolist(), part.source.tolist(), strict=True)]


@pytest.mark.parametrize('kind', [GENERIC, HYDRAHARP_2, TIMEHARP_N, TIMEHARP_P])
def test_overflows_of_the_newer_makes_carry_a_count(tmp_path, kind):
    path = write(tmp_path / 'x.ptu', kind, [photon(0, 100), OVERFLOW | 3, photon(1, 7), OVERFLOW, photon(63, 8)])
    assert tags(path) == [(100, 1), (3 * 2**25 + 7, 2), (4 * 2**25 + 8, 64)]


def test_the_first_hydraharp_counts_to_another_number(tmp_path):
    path = write(tmp_path / 'x.ptu', HYDRAHARP_1, [photon(1, 100), OVERFLOW | 5, OVERFLOW, photon(2, 7)])
    assert tags(path) == [(100, 2), (2 * 33_552_000 + 7, 3)]


def test_a_picoharp_has_other_records(tmp_path):
    records = [1 << 28 | 100, PICOHARP_OVERFLOW, PICOHARP_OVERFLOW | 1 << 4 | 2, 0 << 28 | 7]
    path = write(tmp_path / 'x.ptu', PICOHARP, records, resolution_s=4e-12)
    turn = 210_698_240
    assert tags(path) == [(400, 2), (4 * (turn + 18), MARKER + 2), (4 * (turn + 7), 1)]
    assert PtuFile(path).resolution_ps == 4


def test_sync_pulses_and_markers_are_tags(tmp_path):
    path = write(tmp_path / 'x.ptu', GENERIC, [special(0, 5), special(1, 6), special(5, 7), photon(0, 8)])
    assert tags(path) == [(5, SYNC), (6, MARKER + 1), (7, MARKER + 1), (7, MARKER + 3), (8, 1)]
    seen = look(path)
    assert (seen['sync'], seen['markers'], seen['inputs']['1']['tags']) == (1, {'1': 2, '3': 1}, 1)


def test_more_markers_than_records_have_room(tmp_path):
    path = write(tmp_path / 'x.ptu', GENERIC, [special(15, k) for k in range(1000)])
    assert tags(path) == [(k, MARKER + 1 + marker) for k in range(1000) for marker in range(4)]


def test_a_recording_that_was_broken_off_counts_no_records(tmp_path):
    path = write(tmp_path / 'x.ptu', GENERIC, [photon(1, 100), photon(2, 200)], count=0)
    assert tags(path) == [(100, 2), (200, 3)]
    seen = look(path)
    assert seen['lost'] == {'records': 0, 'overflows': 0}
    assert 'broken off' in seen['notes'][0]


@pytest.mark.parametrize(('count', 'cut', 'missing'), [(5, 0, 3), (2, 2, 1), (1, 0, 1), (0, 2, 1)])
def test_what_the_header_and_the_file_disagree_about_is_counted(tmp_path, count, cut, missing):
    path = write(tmp_path / 'x.ptu', GENERIC, [photon(1, 100), photon(2, 200)], count=count)
    if cut:
        path.write_bytes(path.read_bytes()[:-cut])
    seen = look(path)
    assert seen['lost']['records'] == missing
    assert sum(one['tags'] for one in seen['inputs'].values()) == min(2 - (cut > 0), count or 2)
    assert seen['notes']


@pytest.mark.parametrize(
    ('kind', 'options', 'why'),
    [
        (0x00010307, {'mode': 3}, 'T2 mode'),
        (GENERIC, {'mode': 3}, 'T2 mode'),
        (0x00010303, {'mode': 2}, 'T2 mode'),
        (0x12345678, {}, 'record type 0x12345678'),
        (GENERIC, {'resolution_s': 0.0}, 'resolution'),
        (GENERIC, {'resolution_s': float('nan')}, 'MeasDesc_GlobalResolution'),
        (GENERIC, {'count': -1}, 'number of records'),
    ],
)
def test_what_is_no_t2_recording_is_refused(tmp_path, kind, options, why):
    with pytest.raises(StationError, match=why):
        look(write(tmp_path / 'x.ptu', kind, [photon(1, 100)], **options))


@pytest.mark.parametrize('record', [special(16, 1), special(62, 1)])
def test_a_record_that_means_nothing_is_named(tmp_path, record):
    with pytest.raises(StationError, match='record 1 means nothing'):
        look(write(tmp_path / 'x.ptu', GENERIC, [photon(0, 1), record]))
    with pytest.raises(StationError, match='record 0 means nothing'):
        look(write(tmp_path / 'y.ptu', PICOHARP, [7 << 28 | 1]))


def test_overflows_without_end_are_refused(tmp_path):
    with pytest.raises(StationError, match='means nothing'):
        look(write(tmp_path / 'x.ptu', GENERIC, [OVERFLOW | 0x1FFFFFF] * 2000))


def test_counts_of_a_femtosecond_do_not_overflow(tmp_path):
    path = write(tmp_path / 'x.ptu', GENERIC, [photon(1, 30_000_000)], resolution_s=1e-15)
    assert tags(path) == [(30_000, 2)]


def test_a_large_preview_is_no_damage(tmp_path):
    preview = entry('Preview', BLOB, data=bytes(20 << 20))
    path = write(tmp_path / 'x.ptu', GENERIC, [photon(1, 100)], extra=preview)
    assert tags(path) == [(100, 2)]
    path.write_bytes(path.read_bytes()[: 1 << 20])
    with pytest.raises(StationError, match='Preview is longer than the file'):
        PtuFile(path)


def test_a_time_that_goes_back_is_refused_or_put_right(tmp_path):
    path = write(tmp_path / 'x.ptu', GENERIC, [photon(1, 200), photon(2, 100), photon(1, 300)])
    assert look(path)['reordered'] == 1


@pytest.mark.parametrize('kind', [GENERIC, HYDRAHARP_2, HYDRAHARP_1, TIMEHARP_P, TIMEHARP_N])
def test_two_other_readers_find_the_same(tmp_path, kind):
    rng = np.random.default_rng(kind)
    records, at, turn = [], 0, 33_552_000 if kind == HYDRAHARP_1 else 2**25
    for time in np.sort(rng.integers(0, 200 * turn, 5000)).tolist():
        while time // turn > at:
            records.append(OVERFLOW | 1)
            at += 1
        records.append(photon(int(rng.integers(1, 8)), time % turn))
    path = write(tmp_path / 'x.ptu', kind, records)
    ours = tags(path)
    with ptufile.PtuFile(path) as file:
        theirs = file.decode_records()
    theirs = theirs[theirs['channel'] >= 0]
    assert [time for time, _ in ours] == theirs['time'].tolist()
    assert [source - 1 for _, source in ours] == theirs['channel'].tolist()
    other = tttrlib.TTTR(str(path), 'PTU')
    assert [time for time, _ in ours] == np.asarray(other.macro_times, np.int64).tolist()


def test_random_records_are_read_or_refused_by_every_layout(tmp_path):
    rng = np.random.default_rng(5)
    path, read = tmp_path / 'x.ptu', 0
    for kind in (GENERIC, PICOHARP, HYDRAHARP_1, HYDRAHARP_2):
        whole = write(path, kind, []).read_bytes()
        for _ in range(100):
            body = rng.integers(0, 2**32, 50, np.uint64).astype('<u4')
            body[rng.random(50) < 0.9] &= 0x5FFFFFFF  # photons of inputs that a PicoHarp has, too, for the most part
            path.write_bytes(whole[:-56] + struct.pack('<q', 0) + whole[-48:] + body.tobytes())
            try:
                found = tags(path)
                read += 1
            except StationError:
                continue
            assert all(0 <= time < 2**60 for time, _ in found)
    assert read > 0
