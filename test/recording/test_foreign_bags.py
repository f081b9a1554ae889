"""Bags that other recorders wrote, or that something happened to: read, repaired, or refused, and never made worse."""

from __future__ import annotations

import hashlib
import shutil
from itertools import count

import pytest
import zstandard
from mcap.records import Channel, Message, Schema
from mcap.writer import CompressionType, IndexType, Writer
from passes_on_topics import messages, whole_bag

from qkd_gs.cli import main
from qkd_gs.errors import StationError
from qkd_gs.recording import open_bag, repair
from qkd_gs.recording.scan import Scan
from qkd_gs.recording.summary import listed_files

ROWS = messages(20)


@pytest.fixture(scope='module')
def ours(tmp_path_factory):
    return whole_bag(tmp_path_factory.mktemp('ours') / 'bag', ROWS)


@pytest.fixture
def bag(ours, tmp_path):
    return shutil.copytree(ours, tmp_path / 'bag')


def rewritten(source, path, about=True, change=lambda message: message, **options):
    """The messages of a file by the writer of the package `mcap`, with other options than ours."""
    path.parent.mkdir(exist_ok=True)
    schemas, channels, names = {}, {}, {}
    with open(path, 'wb') as file:
        writer = Writer(file, **({'chunk_size': 4096} | options))
        writer.start('ros2', library='another')
        if about:
            from qkd_gs.recording.contents import contents_of

            writer.add_metadata('qkd_gs', contents_of(source.parent)[0].about.to_strings())
        for record in Scan(source):
            if isinstance(record, Schema) and record.name not in schemas:
                schemas[record.name] = writer.register_schema(record.name, record.encoding, record.data)
                names[record.id] = record.name
            elif isinstance(record, Channel) and record.id not in channels:
                schema = schemas[names[record.schema_id]]
                channels[record.id] = writer.register_channel(
                    record.topic, record.message_encoding, schema, record.metadata
                )
            elif isinstance(record, Message):
                t_ns = change(record.log_time)
                writer.add_message(channels[record.channel_id], t_ns, record.data, t_ns, record.sequence)
        writer.finish()
    return path


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def times(found):
    return [(raw.topic, raw.t_ns) for raw in found.raw()]


ALL = [(name, t_ns) for name, t_ns, _ in ROWS]
BARE = {
    'index_types': IndexType.NONE,
    'use_statistics': False,
    'use_summary_offsets': False,
    'repeat_channels': False,
    'repeat_schemas': False,
    'enable_crcs': False,
}


@pytest.mark.parametrize(
    'options',
    [
        {'compression': CompressionType.LZ4},
        {'compression': CompressionType.ZSTD},
        {'compression': CompressionType.NONE},
        {'compression': CompressionType.NONE, 'use_chunking': False},
        {'compression': CompressionType.LZ4, **BARE},
    ],
    ids=['lz4', 'zstd', 'not packed', 'without chunks', 'without summary'],
)
def test_a_whole_file_is_whole_however_it_is_packed(ours, tmp_path, options):
    folder = rewritten(ours / 'bag_0.mcap', tmp_path / 'bag' / 'bag_0.mcap', **options).parent
    before = digests(folder)
    found = open_bag(folder)
    assert times(found) == ALL
    assert 'incomplete' not in found.warning
    done = repair(folder)  # writes the missing metadata.yaml, and touches nothing else
    assert (done.messages, done.rewritten, done.lost) == (len(ALL), (), 0)
    assert {name: digest for name, digest in digests(folder).items() if name != 'metadata.yaml'} == before
    assert times(open_bag(folder)) == ALL


def test_a_file_that_is_packed_as_a_whole_is_read_and_not_touched(ours, tmp_path):
    folder = tmp_path / 'bag'
    folder.mkdir()
    (folder / 'bag_0.mcap.zstd').write_bytes(zstandard.compress((ours / 'bag_0.mcap').read_bytes()))
    text = (ours / 'metadata.yaml').read_text(encoding='utf-8').replace('bag_0.mcap', 'bag_0.mcap.zstd')
    (folder / 'metadata.yaml').write_text(text, encoding='utf-8')
    before = digests(folder)
    found = open_bag(folder)
    assert (times(found), found.warning) == (ALL, '')
    assert repair(folder).messages == len(ALL)
    (folder / 'metadata.yaml').unlink()
    with pytest.raises(StationError, match='packed as a whole'):
        repair(folder)
    assert digests(folder)['bag_0.mcap.zstd'] == before['bag_0.mcap.zstd']


def test_a_damaged_packed_file_is_a_sentence(tmp_path):
    folder = tmp_path / 'bag'
    folder.mkdir()
    (folder / 'bag_0.mcap.zstd').write_bytes(b'no zstd at all')
    with pytest.raises(StationError, match=r'bag_0.mcap.zstd is damaged: it cannot be unpacked'):
        open_bag(folder)


def test_messages_packed_one_by_one_are_refused_by_name(bag):
    path = bag / 'metadata.yaml'
    path.write_text(
        path.read_text(encoding='utf-8').replace("compression_mode: ''", 'compression_mode: MESSAGE'), 'utf-8'
    )
    before = digests(bag)
    for call in (open_bag, repair):
        with pytest.raises(StationError, match='compressed each message by itself'):
            call(bag)
    assert digests(bag) == before


def test_an_unknown_packing_is_refused_by_name_and_left_alone(ours, tmp_path):
    folder = rewritten(ours / 'bag_0.mcap', tmp_path / 'bag' / 'bag_0.mcap', compression=CompressionType.LZ4).parent
    path = folder / 'bag_0.mcap'
    path.write_bytes(path.read_bytes().replace(b'\x03\0\0\0lz4', b'\x03\0\0\0xz9'))
    before = digests(folder)
    with pytest.raises(StationError, match='packed with xz9, which is not read here; it is left as it is'):
        repair(folder)
    assert digests(folder) == before


def bits_of(path, step):
    data = path.read_bytes()
    for place in range(8, len(data), step):
        yield data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]


def test_a_flipped_bit_is_told_and_costs_a_chunk_and_what_is_lost_is_counted(ours, tmp_path):
    source = rewritten(ours / 'bag_0.mcap', tmp_path / 'other' / 'bag_0.mcap', compression=CompressionType.LZ4)
    size, worst = len(ALL), 0
    for number, data in zip(count(), bits_of(source, step=source.stat().st_size // 14)):
        folder = tmp_path / f'bag-{number}'
        folder.mkdir()
        (folder / 'bag_0.mcap').write_bytes(data)
        try:
            found = open_bag(folder)
        except StationError:
            continue
        kept = sum(found.counts.values())
        done = repair(folder)
        if kept < size:
            assert 'incomplete' in found.warning
            assert done.lost in (size - kept, 0)  # where the index is whole it is counted
            assert [path.name for path in done.kept] == ['bag_0.mcap.damaged']
            assert (folder / 'bag_0.mcap.damaged').read_bytes() == data
        worst = max(worst, size - kept)
        assert sum(open_bag(folder).counts.values()) == kept == done.messages
    assert worst < 0.2 * size


def test_a_wrong_length_does_not_cost_what_comes_after_it(ours, tmp_path):
    path = rewritten(ours / 'bag_0.mcap', tmp_path / 'bag' / 'bag_0.mcap', compression=CompressionType.ZSTD)
    data = path.read_bytes()
    place = data.index(b'\x04\0\0\0zstd', len(data) // 4) - 37 + 6  # the length of a chunk
    path.write_bytes(data[:place] + b'\x7f' + data[place + 1 :])
    found = open_bag(path.parent)
    assert len(ALL) > len(times(found)) > 0.8 * len(ALL)
    assert f'{len(ALL) - len(times(found))} messages of it at least are lost' in found.warning


def test_the_command_says_what_is_lost_and_keeps_the_damaged_file(bag, capsys):
    path = bag / 'bag_0.mcap'
    data = path.read_bytes()
    place = data.index(b'\x04\0\0\0zstd', len(data) // 2) + 60
    path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
    assert main(['repair', str(bag)]) == 0
    out = capsys.readouterr().out
    assert 'rewritten: bag_0.mcap' in out
    assert 'messages at least, in damaged parts' in out
    assert 'kept as it was: bag_0.mcap.damaged' in out
    assert main(['repair', str(bag)]) == 0
    assert capsys.readouterr().out.endswith('rewritten: nothing\n')


@pytest.fixture
def split(ours, tmp_path):
    """A bag of two files."""
    folder = tmp_path / 'split'
    early, late = ROWS[: len(ROWS) // 2], ROWS[len(ROWS) // 2 :]
    whole_bag(folder, early)
    from passes_on_topics import ABOUT, record

    from qkd_gs.recording import BagWriter

    record(BagWriter(folder, ABOUT), late).close()
    assert times(open_bag(folder)) == ALL
    return folder


def test_a_bag_of_which_a_file_is_lost_is_not_made_a_whole_one(split):
    (split / 'split_0.mcap').unlink()
    before = digests(split)
    assert 'split_0.mcap is missing' in open_bag(split).warning
    with pytest.raises(StationError, match=r'split_0\.mcap of it, listed in metadata\.yaml, is missing'):
        repair(split)
    assert digests(split) == before


def test_a_copied_file_counts_once(split):
    shutil.copy(split / 'split_0.mcap', split / 'split_0 (copy).mcap')
    found = open_bag(split)
    assert times(found) == ALL
    assert 'split_0.mcap holds the same' in found.warning or 'split_0 (copy).mcap holds the same' in found.warning
    done = repair(split)
    assert done.messages == len(ALL)
    assert len(done.copies) == 1
    assert len(listed_files(split)) == 2


def test_a_time_that_cannot_be_is_damage(ours, tmp_path):
    changed = count()
    path = rewritten(
        ours / 'bag_0.mcap',
        tmp_path / 'bag' / 'bag_0.mcap',
        change=lambda t_ns: 2**64 - 5 if next(changed) == 7 else t_ns,
    )
    found = open_bag(path.parent)
    assert len(times(found)) == len(ALL) - 1
    assert found.end_ns == ROWS[-1][1]
    assert 'a message of it has an impossible time, 1 message of it at least are lost' in found.warning


def test_what_ros2_bag_record_writes_of_a_pass_is_a_bag_of_it(ours, tmp_path):
    """It has no description of the pass; the tracker's state tells it."""
    folder = rewritten(ours / 'bag_0.mcap', tmp_path / 'bag' / 'bag_0.mcap', about=False).parent
    found = open_bag(folder)
    assert times(found) == ALL
    expected = open_bag(ours).about
    assert (found.about.satellite, found.about.simulated) == (expected.satellite, expected.simulated)
    assert found.about.namespace == '/'


def test_what_another_recorder_left_unfinished_is_also_kept(ours, tmp_path):
    path = rewritten(ours / 'bag_0.mcap', tmp_path / 'bag' / 'bag_0.mcap', about=False)
    data = path.read_bytes()[: path.stat().st_size * 2 // 3]
    path.write_bytes(data)
    done = repair(path.parent)
    assert done.messages > len(ALL) / 3
    assert [kept.read_bytes() == data for kept in done.kept] == [True]
