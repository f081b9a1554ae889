"""The sealed file: what goes in comes out, and only for the right key, whole and unchanged."""

from itertools import pairwise

import numpy as np
import pytest
from faults.disk import Disk
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.timing.recorder import TagRecorder
from qkd_gs.timing.sealed import SealedFile, SealedWriter, has_end
from qkd_gs.timing.sealed.hybrid import ENCAPSULATED_BYTES, PRIVATE_BYTES, SealingKey, encapsulate
from qkd_gs.timing.tags import Channel, TagBlock

PRIVATE = SealingKey(bytes(range(PRIVATE_BYTES)))
RECIPIENT = PRIVATE.public_bytes()
SECOND = 10**9
STARTED_NS = 1_538_582_000 * SECOND + 123
HEADER = 42 + ENCAPSULATED_BYTES + 32
FROZEN = bytes(range(32, 64))
STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
SOURCE = STATION.source


def block(rng: np.random.Generator, start_ps: int, n: int) -> TagBlock:
    return TagBlock(start_ps + np.sort(rng.integers(0, 10**11, n)), rng.integers(1, 7, n).astype(np.uint8))


def write(path, blocks, close=True):
    writer = SealedWriter(path, bytes(16), PRIVATE.public_bytes(), STARTED_NS, FROZEN)
    for k, tags in enumerate(blocks):
        writer.append(k * SECOND // 10, tags)
    if close:
        writer.close()
    return writer


def read(path, **options):
    parts = list(SealedFile(path, PRIVATE).blocks(**options))
    return np.concatenate([p.time_ps for p in parts]), np.concatenate([p.channel for p in parts])


@pytest.fixture
def blocks():
    rng = np.random.default_rng(3)
    return [block(rng, k * 10**11, 200) for k in range(50)]


def test_round_trip(tmp_path, blocks):
    writer = write(tmp_path / 'tags', blocks)
    time_ps, channel = read(tmp_path / 'tags')
    np.testing.assert_array_equal(time_ps, np.concatenate([b.time_ps for b in blocks]))
    np.testing.assert_array_equal(channel, np.concatenate([b.channel for b in blocks]))
    assert writer.tags == len(time_ps)


def test_a_killed_writer_loses_at_most_the_last_half_second(tmp_path, blocks):
    write(tmp_path / 'tags', blocks, close=False)  # never closed: what is on disk is what a crash leaves
    with pytest.raises(StationError, match='cut short'):
        read(tmp_path / 'tags')
    time_ps, _ = read(tmp_path / 'tags', require_end=False)
    assert blocks[-1].time_ps[-1] - time_ps[-1] < 5 * 10**11


@settings(deadline=None, max_examples=25)
@given(cuts=st.lists(st.floats(0, 1), max_size=6))
def test_a_file_that_is_written_is_followed_chunk_by_chunk(tmp_path_factory, cuts):
    """However much of it is on the disk at each look: each tag comes once, as soon as its chunk is whole."""
    folder, rng = tmp_path_factory.mktemp('followed'), np.random.default_rng(3)
    write(folder / 'whole', [block(rng, k * 10**11, 200) for k in range(20)])
    data = (folder / 'whole').read_bytes()
    sizes = sorted({HEADER, len(data), *(HEADER + round(cut * (len(data) - HEADER)) for cut in cuts)})
    seen = []
    (folder / 'part').write_bytes(data[:HEADER])
    newer = SealedFile(folder / 'part', PRIVATE).followed()
    for size in sizes:
        (folder / 'part').write_bytes(data[:size])
        seen += newer()
        there = read(folder / 'part', require_end=False)[0] if len(seen) else np.empty(0, np.int64)
        np.testing.assert_array_equal(np.concatenate([there[:0], *(one.time_ps for one in seen)]), there)
    assert sum(map(len, seen)) == 4000


def test_a_changed_chunk_ends_the_following(tmp_path, blocks):
    write(tmp_path / 'tags', blocks)
    data = bytearray((tmp_path / 'tags').read_bytes())
    data[HEADER + 100] ^= 1
    (tmp_path / 'tags').write_bytes(data)
    newer = SealedFile(tmp_path / 'tags', PRIVATE).followed()
    with pytest.raises(StationError, match='chunk 0 has been changed'):
        list(newer())


def test_each_file_tells_when_its_run_began_and_whether_it_ended(tmp_path, blocks):
    write(tmp_path / 'whole', blocks)
    write(tmp_path / 'killed', blocks, close=False)
    assert SealedFile(tmp_path / 'whole', PRIVATE).start_ns() == STARTED_NS
    assert has_end(tmp_path / 'whole')
    assert not has_end(tmp_path / 'killed')


@pytest.mark.parametrize('rest', [b'', b'\x10', bytes(50_000_000), b'\x20\x00\x00\x00\x00' + bytes(5000)])
def test_what_a_power_cut_leaves_behind_costs_no_more_than_itself(tmp_path, blocks, rest):
    write(tmp_path / 'tags', blocks, close=False)
    whole, _ = read(tmp_path / 'tags', require_end=False)
    with open(tmp_path / 'tags', 'ab') as file:
        file.write(rest)
    assert not has_end(tmp_path / 'tags')
    with pytest.raises(StationError, match=r'cut short|changed'):
        read(tmp_path / 'tags')
    np.testing.assert_array_equal(read(tmp_path / 'tags', require_end=False)[0], whole)


def test_a_chunk_changed_in_the_middle_is_no_power_cut(tmp_path, blocks):
    write(tmp_path / 'tags', blocks, close=False)
    raw = bytearray((tmp_path / 'tags').read_bytes())
    for at, change in ((len(raw) // 2, 1), (HEADER + 3, 255)):
        raw[at] ^= change
        (tmp_path / 'tags').write_bytes(raw)
        with pytest.raises(StationError, match=r'changed|impossible'):
            read(tmp_path / 'tags', require_end=False)


def test_a_changed_start_of_the_run_is_found(tmp_path, blocks):
    write(tmp_path / 'tags', blocks)
    raw = bytearray((tmp_path / 'tags').read_bytes())
    raw[26:34] = (STARTED_NS + SECOND).to_bytes(8, 'little')
    (tmp_path / 'tags').write_bytes(raw)
    assert SealedFile(tmp_path / 'tags', PRIVATE).start_ns() == STARTED_NS + SECOND  # not authenticated yet
    with pytest.raises(StationError, match='chunk 0 has been changed'):
        read(tmp_path / 'tags')


def test_a_file_of_another_session_is_refused(tmp_path, blocks):
    write(tmp_path / 'tags', blocks)
    with pytest.raises(StationError, match='another session'):
        list(SealedFile(tmp_path / 'tags', PRIVATE, bytes(15) + b'x').blocks())
    assert list(SealedFile(tmp_path / 'tags', PRIVATE, bytes(16)).blocks())


def test_neither_tags_nor_channels_stand_in_the_clear(tmp_path, blocks):
    write(tmp_path / 'tags', blocks)
    raw = (tmp_path / 'tags').read_bytes()
    channels = np.concatenate([b.channel for b in blocks]).tobytes()
    words = np.concatenate([b.time_ps.astype('<i8') for b in blocks])
    assert channels[:32] not in raw
    assert not any(words[k : k + 1].tobytes() in raw for k in range(0, len(words), 500))
    counts = np.bincount(np.frombuffer(raw, np.uint8), minlength=256)
    assert counts.std() < 6 * np.sqrt(counts.mean())  # looks random


def test_another_key_does_not_open_it(tmp_path, blocks):
    write(tmp_path / 'tags', blocks)
    with pytest.raises(StationError, match='sealed for another key'):
        list(SealedFile(tmp_path / 'tags', SealingKey.generate()).blocks())


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_changed_byte_or_cut_is_found(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp('sealed')
    rng = np.random.default_rng(5)
    write(folder / 'tags', [block(rng, k * 10**11, 20) for k in range(12)])
    raw = bytearray((folder / 'tags').read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        raw[at] ^= data.draw(st.integers(1, 255))
    else:
        del raw[at:]
    (folder / 'tags').write_bytes(raw)
    with pytest.raises(StationError):
        read(folder / 'tags')


def test_chunks_cannot_change_places(tmp_path, blocks):
    write(tmp_path / 'tags', blocks[:20])
    raw = (tmp_path / 'tags').read_bytes()
    starts = [HEADER]
    while starts[-1] < len(raw):
        starts.append(starts[-1] + int.from_bytes(raw[starts[-1] : starts[-1] + 4], 'little') + 5)
    first, second, third, *rest = (raw[a:b] for a, b in pairwise(starts))
    assert len(second) == len(third)
    (tmp_path / 'tags').write_bytes(raw[:HEADER] + first + third + second + b''.join(rest))
    with pytest.raises(StationError, match='chunk 1 has been changed'):
        read(tmp_path / 'tags')


def test_counts_come_in_bins_of_a_second_and_no_shorter(tmp_path):
    writer = SealedWriter(tmp_path / 'tags', bytes(16), PRIVATE.public_bytes(), STARTED_NS, FROZEN)
    with pytest.raises(ValueError, match='key bit'):
        TagRecorder(writer, SOURCE, bin_ns=SECOND // 2)
    recorder = TagRecorder(writer, SOURCE)
    one = TagBlock(np.array([5]), np.array([Channel.D], np.uint8))
    bins = [full for k in range(41) if (full := recorder.step(k * SECOND // 10, one))]
    recorder.close()
    assert [full.end_ns - full.start_ns for full in bins] == [SECOND] * 4
    assert sum(full.counts[Channel.D - 1] for full in bins) == 41
    assert sum(sum(full.counts) for full in bins) == 41


def test_a_disk_that_is_full_for_a_while_costs_no_tag(tmp_path, blocks):
    writer = SealedWriter(tmp_path / 'tags', bytes(16), PRIVATE.public_bytes(), STARTED_NS, FROZEN, waits=True)
    with Disk(tmp_path / 'tags', capacity=20_000) as disk:
        for k, tags in enumerate(blocks):
            writer.append(k * SECOND // 10, tags)
            assert writer.trouble is None or k > 4
        assert 'No space left on device' in str(writer.trouble)
        before, _ = read(tmp_path / 'tags', require_end=False)  # what is on the disk is whole
        assert 0 < len(before) < sum(map(len, blocks))
        with pytest.raises(StationError, match='No space left on device'):
            writer.close()
        disk.capacity = 1 << 30
        writer.close()
    time_ps, channel = read(tmp_path / 'tags')
    np.testing.assert_array_equal(time_ps, np.concatenate([b.time_ps for b in blocks]))
    np.testing.assert_array_equal(channel, np.concatenate([b.channel for b in blocks]))


def test_a_file_that_was_taken_away_is_told(tmp_path, blocks):
    writer = write(tmp_path / 'tags', blocks[:10], close=False)
    assert writer.trouble is None
    (tmp_path / 'tags').rename(tmp_path / 'elsewhere')
    with pytest.raises(StationError, match='moved or deleted'):
        writer.append(2 * SECOND, blocks[10])
    writer.close()
    assert len(read(tmp_path / 'elsewhere')[0]) == sum(map(len, blocks[:11]))


def test_what_no_memory_can_keep_is_counted(tmp_path, blocks, monkeypatch):
    monkeypatch.setattr('qkd_gs.timing.sealed.writer._MOST_WAITING', 10_000)
    writer = SealedWriter(tmp_path / 'tags', bytes(16), PRIVATE.public_bytes(), STARTED_NS, FROZEN, waits=True)
    with Disk(tmp_path / 'tags', capacity=0) as disk:
        for k, tags in enumerate(blocks):
            writer.append(k * SECOND // 10, tags)
        disk.capacity = 1 << 30
        writer.close()
    assert writer.discarded > 0
    assert len(read(tmp_path / 'tags')[0]) == writer.tags == sum(map(len, blocks)) - writer.discarded


def test_a_file_recorded_with_other_frozen_settings_is_refused(tmp_path, blocks):
    write(tmp_path / 'tags', blocks)
    assert len(list(SealedFile(tmp_path / 'tags', PRIVATE, frozen=FROZEN).blocks())) > 1
    with pytest.raises(StationError, match=r'other settings of detectors, source or key than session\.json'):
        next(SealedFile(tmp_path / 'tags', PRIVATE, frozen=bytes(32)).blocks())


def test_the_frozen_digest_cannot_be_changed_behind_the_tags(tmp_path, blocks):
    path = tmp_path / 'tags'
    write(path, blocks)
    raw = bytearray(path.read_bytes())
    raw[HEADER - 32 : HEADER] = bytes(32)
    path.write_bytes(raw)
    with pytest.raises(StationError, match='has been changed'):
        next(SealedFile(path, PRIVATE, frozen=bytes(32)).blocks())


@pytest.mark.parametrize(
    ('section', 'change'),
    [
        ('detectors', {'delay_ns': {'H': 31.3, 'V': 30.4, 'D': 32.1, 'A': 31.7, 'BEACON': 45.0, 'PPS': 20.0}}),
        ('detectors', {'delay_uncertainty_ns': 0.11}),
        ('key', {'gate_ns': 2.1}),
        ('key', {'max_light_outside': 0.004}),
        ('source', {'mu_signal': 0.81}),
    ],
)
def test_delays_gate_and_source_are_frozen_and_the_mount_is_not(section, change):
    changed = STATION.model_copy(update={section: getattr(STATION, section).model_copy(update=change)})
    assert changed.frozen_digest != STATION.frozen_digest
    slower = STATION.model_copy(update={'mount': STATION.mount.model_copy(update={'watchdog_s': 0.2})})
    assert slower.frozen_digest == STATION.frozen_digest


def test_both_parts_of_the_encapsulation_are_needed():
    secret, encapsulated = encapsulate(PRIVATE.public_bytes())
    assert PRIVATE.decapsulate(encapsulated) == secret
    other = SealingKey.generate()
    mixed = (
        SealingKey(PRIVATE.private_bytes()[:32] + other.private_bytes()[32:]),
        SealingKey(other.private_bytes()[:32] + PRIVATE.private_bytes()[32:]),
    )
    for key in mixed:
        assert key.decapsulate(encapsulated) != secret
    for at in (0, 31, 32, ENCAPSULATED_BYTES - 1):
        changed = bytearray(encapsulated)
        changed[at] ^= 1
        assert PRIVATE.decapsulate(bytes(changed)) != secret


def test_what_is_no_key_is_refused():
    with pytest.raises(ValueError, match='not a sealing key'):
        SealingKey(bytes(32))
    with pytest.raises(ValueError, match='not a public sealing key'):
        encapsulate(bytes(32))
    assert '0' * 8 not in repr(SealingKey(bytes(PRIVATE_BYTES)))


def test_a_file_of_the_version_before_is_refused_by_its_number(tmp_path):
    (tmp_path / 'tags').write_bytes(b'QKDGSTAG' + bytes([2, 0]) + bytes(64))
    with pytest.raises(StationError, match='version 2 is not 3'):
        read(tmp_path / 'tags')


@pytest.mark.parametrize('channel', [0, 7, 9, 60, 255])
def test_a_channel_that_is_none_is_refused_before_it_is_packed(tmp_path, channel):
    """Three bits are kept of a channel: 9 would come back as H, and 60 as A with another time."""
    writer = SealedWriter(tmp_path / 'x', bytes(16), PRIVATE.public_bytes(), STARTED_NS, FROZEN)
    with pytest.raises(ValueError, match=f'{channel} is no channel'):
        writer.append(0, TagBlock(np.array([1000, 2000]), np.array([1, channel], np.uint8)))
    writer.close()
    assert writer.tags == 0


def test_a_time_that_does_not_fit_is_refused_wherever_it_stands(tmp_path):
    writer = SealedWriter(tmp_path / 'x', bytes(16), PRIVATE.public_bytes(), STARTED_NS, FROZEN)
    for times in ([5, 1 << 60, 7], [5, -1, 7]):
        with pytest.raises(ValueError, match='out of range'):
            writer.append(0, TagBlock(np.array(times), np.ones(3, np.uint8)))
    writer.close()
    assert writer.tags == 0
