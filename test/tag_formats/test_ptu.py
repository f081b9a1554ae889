"""PTU files: read by other people's readers, and never a hang or a crash on a damaged one."""

import contextlib

import numpy as np
import ptufile
import pytest
import tttrlib
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.tag_formats.ptu_reader import PtuFile
from qkd_gs.tag_formats.ptu_writer import write_ptu
from qkd_gs.timing.tags import TagBlock

STARTED_NS = 1_538_582_000 * 10**9


def random_blocks(seed=0, blocks=4, n=5000):
    rng = np.random.default_rng(seed)
    time_ps = np.cumsum(rng.exponential(2e7, blocks * n).astype(np.int64)) + 10**12
    channel = rng.integers(1, 7, blocks * n).astype(np.uint8)
    return [TagBlock(time_ps[k * n : (k + 1) * n], channel[k * n : (k + 1) * n]) for k in range(blocks)]


def read_all(path):
    parts = list(PtuFile(path).blocks())
    return np.concatenate([p.time_ps for p in parts]), np.concatenate([p.source for p in parts]) - 1


def test_another_reader_finds_the_same_tags(tmp_path):
    blocks = random_blocks()
    assert write_ptu(tmp_path / 'x.ptu', blocks, STARTED_NS) == 20_000
    with ptufile.PtuFile(tmp_path / 'x.ptu') as file:
        assert file.measurement_mode == ptufile.PtuMeasurementMode.T2
        assert file.global_resolution == pytest.approx(1e-12)
        records = file.decode_records()
    photons = records[records['channel'] >= 0]
    np.testing.assert_array_equal(photons['time'], np.concatenate([b.time_ps for b in blocks]))
    np.testing.assert_array_equal(photons['channel'], np.concatenate([b.channel for b in blocks]))


@settings(max_examples=25, deadline=None)
@given(
    gaps=st.lists(st.integers(0, 2**41), min_size=1, max_size=50),
    channels=st.lists(st.integers(1, 6), min_size=50, max_size=50),
    cut=st.integers(0, 50),
)
def test_round_trip_with_any_gaps(tmp_path_factory, gaps, channels, cut):
    path = tmp_path_factory.mktemp('ptu') / 'x.ptu'
    time_ps, channel = np.cumsum(np.array(gaps)), np.array(channels[: len(gaps)], np.uint8)
    write_ptu(path, [TagBlock(time_ps[:cut], channel[:cut]), TagBlock(time_ps[cut:], channel[cut:])], STARTED_NS)
    found_ps, found = read_all(path)
    np.testing.assert_array_equal(found_ps, time_ps)
    np.testing.assert_array_equal(found, channel)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_file_gives_an_error_or_tags_but_never_a_crash(tmp_path_factory, data):
    path = tmp_path_factory.mktemp('ptu') / 'x.ptu'
    write_ptu(path, random_blocks(blocks=1, n=200), STARTED_NS)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw) - 1)) :]
    path.write_bytes(raw)
    with contextlib.suppress(StationError):
        assert sum(len(block.time_ps) for block in PtuFile(path).blocks()) <= 800


def test_an_existing_file_is_not_written_over(tmp_path):
    (tmp_path / 'x.ptu').write_bytes(b'precious')
    with pytest.raises(StationError, match='exists'):
        write_ptu(tmp_path / 'x.ptu', random_blocks(blocks=1), STARTED_NS)
    assert (tmp_path / 'x.ptu').read_bytes() == b'precious'


def test_a_second_reader_finds_them_too(tmp_path):
    """Tttrlib, whose names of the header's entries are those of PicoQuant's own demo code."""
    blocks = random_blocks(seed=1)
    write_ptu(tmp_path / 'x.ptu', blocks, STARTED_NS)
    file = tttrlib.TTTR(str(tmp_path / 'x.ptu'), 'PTU')
    np.testing.assert_array_equal(np.asarray(file.macro_times, np.int64), np.concatenate([b.time_ps for b in blocks]))
    np.testing.assert_array_equal(file.routing_channels, np.concatenate([b.channel for b in blocks]))
