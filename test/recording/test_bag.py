"""A bag is what rosbag2 expects, says which pass is in it, and is read back by others' readers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import yaml
from mcap.reader import make_reader
from passes_on_topics import ABOUT, TYPES, message, messages, qos, record, serialized, state, topic, whole_bag
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader

from qkd_gs.errors import StationError
from qkd_gs.recording import BagWriter, Topic, needs_repair, open_bag
from qkd_gs.recording.interfaces import interface
from qkd_gs.tracking.types import Phase


@pytest.fixture(scope='module')
def rows():
    return messages()


@pytest.fixture(scope='module')
def bag(tmp_path_factory, rows):
    return whole_bag(tmp_path_factory.mktemp('session') / 'bag', rows)


def test_rosbags_reads_every_message_with_its_type_and_hash(bag, rows):
    with Reader(bag) as reader:
        assert {c.topic: (c.msgtype, c.digest) for c in reader.connections} == {
            name: (TYPES[name], interface(TYPES[name]).digest) for name, _, _ in rows
        }
        found = [(c.topic, t, bytes(data)) for c, t, data in reader.messages()]
    assert found == [(name, t_ns, serialized(sent)) for name, t_ns, sent in rows]


def test_a_stranger_reads_the_fields_with_the_definitions_in_the_bag(bag, rows):
    with AnyReader([bag]) as reader:
        connections = [c for c in reader.connections if c.topic == '/session/state']
        phases = [reader.deserialize(data, c.msgtype).phase for c, _, data in reader.messages(connections)]
    assert phases == [sent.phase for name, _, sent in rows if name == '/session/state']


def test_mcap_reads_it_by_its_index(bag, rows):
    with open(bag / 'bag_0.mcap', 'rb') as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert reader.get_header().profile == 'ros2'
        found = Counter(channel.topic for _, channel, _ in reader.iter_messages())
    assert found == Counter(name for name, _, _ in rows)
    assert summary.statistics.message_count == len(rows)
    for channel in summary.channels.values():
        assert channel.metadata['topic_type_hash'] == interface(TYPES[channel.topic]).digest
        assert yaml.safe_load(channel.metadata['offered_qos_profiles'])[0]['reliability'] == 'reliable'


def test_metadata_is_of_rosbag2_version_9_and_tells_the_pass(bag, rows):
    told = yaml.safe_load((bag / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    assert (told['version'], told['storage_identifier']) == (9, 'mcap')
    assert told['relative_file_paths'] == ['bag_0.mcap']
    assert told['message_count'] == len(rows)
    assert told['starting_time']['nanoseconds_since_epoch'] == rows[0][1]
    assert told['duration']['nanoseconds'] == rows[-1][1] - rows[0][1]
    custom = told['custom_data']
    assert (custom['session_id'], custom['satellite'], custom['simulated']) == (ABOUT.session_id, 'MICIUS', 'true')
    assert custom['site'] == 'shanghai'
    assert custom['software'].startswith('qkd_gs ')
    assert custom['key_material'].startswith('none')
    assert all(isinstance(value, str) for value in custom.values())


def test_qos_comes_back(bag):
    with Reader(bag) as reader:
        found = {c.topic: c.ext.offered_qos_profiles for c in reader.connections}
    assert found['/station_clock'] == [qos(transient_local=True)]
    assert found['/target'] == [qos()]


def test_our_reader_gives_the_same(bag, rows):
    found = open_bag(bag)
    assert found.about == ABOUT
    assert found.warning == ''
    assert (found.start_ns, found.end_ns) == (rows[0][1], rows[-1][1])
    assert found.counts == Counter(name for name, _, _ in rows)
    states = [(t_ns, m.phase) for _, t_ns, m in found.messages(('session/state',))]
    assert states == [(t_ns, sent.phase) for name, t_ns, sent in rows if name == '/session/state']


def test_no_gap_in_a_topic(bag):
    times = np.array([raw.t_ns for raw in open_bag(bag).raw({'/mount/state'})])
    assert np.diff(times).max() == 10_000_000


def test_a_session_is_opened_by_its_own_folder(bag):
    assert open_bag(bag.parent).folder == bag


def test_a_bag_goes_on_in_a_further_file(tmp_path, rows):
    half = len(rows) // 2
    whole_bag(tmp_path / 'bag', rows[:half])
    record(BagWriter(tmp_path / 'bag', ABOUT), rows[half:]).close()
    assert sorted(path.name for path in (tmp_path / 'bag').iterdir()) == ['bag_0.mcap', 'bag_1.mcap', 'metadata.yaml']
    with Reader(tmp_path / 'bag') as reader:
        assert [(c.topic, t) for c, t, _ in reader.messages()] == [(name, t_ns) for name, t_ns, _ in rows]
    assert not needs_repair(tmp_path / 'bag')


def test_a_topic_whose_offers_have_changed_is_still_read_from_every_file(tmp_path, rows):
    """rosbags leaves out a channel whose profiles are not those of metadata.yaml."""
    states = [row for row in rows if row[0] == '/session/state']
    whole_bag(tmp_path / 'bag', states[:100])
    writer = BagWriter(tmp_path / 'bag', ABOUT)
    first = topic('/session/state')
    writer.add_topic(Topic(first.name, first.type, first.digest, (*first.qos, qos(transient_local=True))))
    for name, t_ns, sent in states[100:200]:
        writer.write(name, t_ns, serialized(sent))
    writer.close()
    with Reader(tmp_path / 'bag') as reader:
        assert len(list(reader.messages())) == 200


def test_a_type_that_is_not_installed_is_refused(tmp_path):
    writer = BagWriter(tmp_path / 'bag', ABOUT)
    with pytest.raises(StationError, match='/x: type a/msg/B is not installed here'):
        writer.add_topic(Topic('/x', 'a/msg/B', 'RIHS01_0'))
    with pytest.raises(StationError, match='another version of qkd_gs/msg/Spot'):
        writer.add_topic(Topic('/y', 'qkd_gs/msg/Spot', 'RIHS01_0'))


def test_a_large_image_is_smaller_in_the_bag(tmp_path):
    picture = np.random.default_rng(0).normal(200, 12, (480, 640)).astype('<u2')
    sent = message(
        TYPES['/tracking_camera/image'], 1, height=480, width=640, encoding='mono16', is_bigendian=0, step=1280,
        data=picture.view(np.uint8).reshape(-1),
    )  # fmt: skip
    rows = [('/tracking_camera/image', 10**9 + k, sent) for k in range(5)]
    folder = whole_bag(tmp_path / 'bag', [*rows, ('/session/state', 2 * 10**9, state(1, Phase.FINE))])
    assert (folder / 'bag_0.mcap').stat().st_size < 0.6 * 5 * picture.nbytes
    ((_, _, back), *_) = open_bag(folder).messages(('tracking_camera/image',))
    assert np.array_equal(back.data.view('<u2').reshape(480, 640), picture)
