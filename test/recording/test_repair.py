"""A recorder that was killed, and bytes that are not what they should be."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.records import Message
from mcap.writer import CompressionType
from passes_on_topics import ABOUT, TYPES, messages, record, serialized, topic, whole_bag
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from qkd_gs.cli import main
from qkd_gs.errors import StationError
from qkd_gs.recording import BagWriter, Topic, needs_repair, open_bag, repair
from qkd_gs.recording import interfaces as interfaces_module
from qkd_gs.recording.about import About
from qkd_gs.recording.file_writer import FileWriter
from qkd_gs.recording.scan import Scan

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from passes_on_topics import ABOUT, messages, record
from qkd_gs.recording import BagWriter
writer = record(BagWriter(Path(sys.argv[1]), ABOUT), messages(20))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope='module')
def rows():
    return messages(20)


@pytest.fixture(scope='module')
def killed_bag(tmp_path_factory):
    """What a recorder leaves that is killed 20 s into a pass."""
    folder = tmp_path_factory.mktemp('killed') / 'bag'
    done = subprocess.run([sys.executable, '-c', KILLED, folder, Path(__file__).parents[1]], check=False)
    assert done.returncode == -signal.SIGKILL
    return folder


@pytest.fixture
def killed(killed_bag, tmp_path):
    return Path(shutil.copytree(killed_bag, tmp_path / 'bag'))


def rosbags_times(folder):
    with Reader(folder) as reader:
        return [(c.topic, t) for c, t, _ in reader.messages()]


def test_a_killed_recorder_has_lost_less_than_a_second(killed, rows):
    assert needs_repair(killed)
    found = open_bag(killed)
    assert 'bag_0.mcap was cut off' in found.warning
    assert rows[-1][1] - found.end_ns < 1_000_000_000


def test_repair_makes_it_whole_for_every_reader(killed, rows):
    before = list(open_bag(killed).raw())
    done = repair(killed)
    assert [path.name for path in done.rewritten] == ['bag_0.mcap']
    assert done.messages == len(before)
    assert not needs_repair(killed)
    assert open_bag(killed).warning == ''
    assert list(open_bag(killed).raw()) == before
    assert rosbags_times(killed) == [(name, t_ns) for name, t_ns, _ in rows[: len(before)]]
    with open(killed / 'bag_0.mcap', 'rb') as file:
        assert make_reader(file, validate_crcs=True).get_summary().statistics.message_count == len(before)


def test_the_command_says_what_it_has_done(killed, capsys):
    assert main(['repair', str(killed.parent)]) == 0
    assert capsys.readouterr().out.endswith('rewritten: bag_0.mcap\n')
    assert main(['repair', str(killed)]) == 0
    assert capsys.readouterr().out.endswith('rewritten: nothing\n')


def test_a_second_repair_changes_nothing(killed):
    repair(killed)
    before = {path.name: path.read_bytes() for path in killed.iterdir()}
    assert repair(killed).rewritten == ()
    assert {path.name: path.read_bytes() for path in killed.iterdir()} == before


def test_the_next_recorder_goes_on_and_leaves_a_whole_bag(killed, rows):
    kept = len(list(open_bag(killed).raw()))
    record(BagWriter(killed, ABOUT), rows[kept:]).close()
    assert not needs_repair(killed)
    assert rosbags_times(killed) == [(name, t_ns) for name, t_ns, _ in rows]


@pytest.mark.parametrize('packed', [True, False])
def test_complete_messages_of_the_chunk_that_is_cut_are_kept(tmp_path, rows, packed, monkeypatch):
    if not packed:
        monkeypatch.setattr('qkd_gs.recording.file_writer.CompressionType', SimpleNamespace(ZSTD=CompressionType.NONE))
    path = tmp_path / 'bag' / 'bag_0.mcap'
    path.parent.mkdir()
    writer = FileWriter(path, ABOUT)
    record(_Plain(writer), rows, flush_every_ns=2**62)  # one chunk of 1 MiB after the other
    writer.close()
    whole = path.read_bytes()
    sizes = []
    for cut in range(len(whole) // 3, len(whole) // 2, 20_011):
        path.write_bytes(whole[:cut])
        sizes.append(sum(isinstance(found, Message) for found in Scan(path)))
        assert repair(path.parent).messages == sizes[-1]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > len(sizes) / 2, 'messages inside the cut chunk are found'


class _Plain:
    """A file writer with the face of a bag's."""

    def __init__(self, writer):
        self._writer, self.write, self.flush = writer, writer.write, writer.flush

    def add_topic(self, wanted):
        self._writer.add_topic(wanted, interfaces_module.interface(wanted.type).definition.encode())


def test_a_bag_that_is_being_recorded_is_left_alone(tmp_path, rows):
    writer = record(BagWriter(tmp_path / 'bag', ABOUT), rows)
    with pytest.raises(StationError, match='is being recorded'):
        repair(tmp_path / 'bag')
    assert 'cut off' in open_bag(tmp_path / 'bag').warning
    writer.close()
    assert open_bag(tmp_path / 'bag').warning == ''


def test_what_is_not_a_bag_is_refused_in_one_sentence(tmp_path):
    for make, words in (
        (lambda: None, 'is not the folder of a bag'),
        ((tmp_path / 'bag').mkdir, 'holds no .mcap file'),
        (lambda: (tmp_path / 'bag' / 'x.mcap').write_bytes(b''), r'x.mcap is empty'),
        (lambda: (tmp_path / 'bag' / 'x.mcap').write_bytes(b'text' * 99), r'x.mcap is not an MCAP file'),
    ):
        make()
        with pytest.raises(StationError, match=words) as error:
            open_bag(tmp_path / 'bag')
        assert '\n' not in str(error.value)


def test_a_foreign_bag_is_refused(tmp_path):
    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/a', 'std_msgs/msg/String', typestore=store)
        writer.write(connection, 1, store.serialize_cdr(store.types['std_msgs/msg/String']('x'), 'std_msgs/msg/String'))
    with pytest.raises(StationError, match='is not a bag of this station'):
        open_bag(tmp_path / 'bag')
    with pytest.raises(StationError, match='is not a bag of this station'):
        repair(tmp_path / 'bag')


def test_a_bag_without_a_topic_of_ours_is_refused(tmp_path):
    folder = tmp_path / 'bag'
    writer = BagWriter(folder, ABOUT)
    writer.add_topic(topic('/a', 'std_msgs/msg/String'))
    writer.write('/a', 1, b'\0\1\0\0\2\0\0\0x\0')
    writer.close()
    with pytest.raises(StationError, match='none of its topics'):
        open_bag(folder)


def test_a_bag_of_another_version_is_refused_by_name(tmp_path, rows):
    folder = tmp_path / 'bag'
    folder.mkdir()
    writer = FileWriter(folder / 'bag_0.mcap', About(**{**vars(ABOUT), 'software': 'qkd_gs 0.0.1'}))
    for name in ('/session/state', '/target'):
        right = topic(name)
        other = Topic(name, right.type, 'RIHS01_' + '0' * 64 if name == '/target' else right.digest, right.qos)
        writer.add_topic(other, b'float64 el_rad')
    for name, t_ns, sent in rows:
        if name in ('/session/state', '/target'):
            writer.write(name, t_ns, serialized(sent))
    writer.close()
    with pytest.raises(StationError, match=r'another version of the interfaces: qkd_gs/msg/Target .*qkd_gs 0.0.1'):
        open_bag(folder)


def test_files_of_two_versions_are_not_joined(tmp_path, rows):
    folder = whole_bag(tmp_path / 'bag', rows)
    writer = FileWriter(folder / 'bag_1.mcap', ABOUT)
    writer.add_topic(Topic('/target', TYPES['/target'], 'RIHS01_' + '0' * 64), b'')
    writer.close()
    with pytest.raises(StationError, match=r'bag_1.mcap has another version of qkd_gs/msg/Target'):
        repair(folder)


@contextmanager
def refused_in_one_sentence_if_at_all():
    try:
        yield
    except StationError as error:
        if '\n' in str(error):
            raise AssertionError(f'more than one sentence: {error}') from error


def read_all(folder):
    """Everything that a user would call."""
    with refused_in_one_sentence_if_at_all():
        found = open_bag(folder)
        count = len(list(found.raw()))
        list(found.messages(['session/state', 'target', 'mount/state', 'detector/counts']))
        repair(folder)
        assert len(list(open_bag(folder).raw())) == count


SHORT = messages(2)


@pytest.fixture(scope='module')
def short_bag(tmp_path_factory):
    return whole_bag(tmp_path_factory.mktemp('short') / 'bag', SHORT)


FUZZ = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(place=st.floats(0, 1), size=st.integers(1, 40), seed=st.binary(min_size=40, max_size=40), cut=st.booleans())
def test_damaged_bytes_never_raise_anything_else(short_bag, tmp_path, place, size, seed, cut):
    folder = tmp_path / 'bag'
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(short_bag, folder)
    path = folder / 'bag_0.mcap'
    data = bytearray(path.read_bytes())
    at = int(place * (len(data) - 1))
    data[at : at + size] = seed[:size]
    path.write_bytes(data[: at + size] if cut else data)
    if cut:
        (folder / 'metadata.yaml').unlink()
    read_all(folder)


@FUZZ
@given(data=st.binary(max_size=400))
def test_damaged_messages_never_raise_anything_else(tmp_path, data):
    """The bytes of a message are anything, and the checksum of their chunk is right."""
    folder = tmp_path / 'bag'
    shutil.rmtree(folder, ignore_errors=True)
    writer = BagWriter(folder, ABOUT)
    for name in TYPES:
        writer.add_topic(topic(name))
        writer.write(name, 1, data)
    writer.close()
    found = open_bag(folder)
    for name in TYPES:
        with refused_in_one_sentence_if_at_all():
            list(found.messages([name]))


@settings(FUZZ, max_examples=30)
@given(text=st.one_of(st.text(max_size=60), st.sampled_from(['a: [', '- 1', 'rosbag2_bagfile_information: 3'])))
def test_damaged_metadata_is_a_warning(short_bag, tmp_path, text):
    folder = tmp_path / 'bag'
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(short_bag, folder)
    (folder / 'metadata.yaml').write_text(text, encoding='utf-8')
    assert 'not finished by its recorder' in open_bag(folder).warning
    repair(folder)
    assert open_bag(folder).warning == ''


def test_a_full_disk_is_a_sentence(tmp_path, rows, monkeypatch):
    writer = record(BagWriter(tmp_path / 'bag', ABOUT), rows)

    def full(_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fdatasync', full)
    with pytest.raises(StationError, match=r'bag_0\.mcap: cannot be written: No space left on device'):
        writer.flush()
