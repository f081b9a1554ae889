"""What goes into a bag and when one begins and ends, told to the recorder's core."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from passes_on_topics import BEGIN_NS, messages, qos, serialized, state, target, topic

from qkd_gs.errors import StationError
from qkd_gs.recording import Topic, needs_repair, open_bag
from qkd_gs.recording.interfaces import interface
from qkd_gs.recording.pass_recorder import PassRecorder, Thinner, is_public, rate_of
from qkd_gs.session.manifest import FILE_NAME
from qkd_gs.tracking.types import Phase

RATES_HZ = {'guiding_camera': 0.2, 'tracking_camera': 1.0}
IMAGE = 'sensor_msgs/msg/Image'


def idle(t_ns):
    return state(t_ns, Phase.IDLE, folder='')


@pytest.fixture
def recorder(tmp_path):
    made = PassRecorder(tmp_path, 'shanghai', '/')
    for name in ('/session/state', '/target', '/mount/state'):
        made.add_topic(topic(name), transient_local=False)
    made.add_topic(topic('/station_clock'), transient_local=True)
    return made


def play(recorder, rows):
    for name, t_ns, sent in rows:
        if name == '/session/state':
            recorder.state(t_ns, sent)
        if name in ('/session/state', '/target', '/mount/state', '/station_clock'):
            recorder.take(name, t_ns, serialized(sent))


def test_each_pass_has_a_bag_of_its_own(recorder, tmp_path):
    rows = messages(3)
    clock = next(row for row in rows if row[0] == '/station_clock')
    play(recorder, [clock])
    for folder in ('one', 'two'):
        for t_ns in range(BEGIN_NS, BEGIN_NS + 5):
            recorder.state(t_ns, state(t_ns, Phase.SLEW, folder=folder))
            recorder.take('/target', t_ns, serialized(target(t_ns, 0.3)))
        recorder.state(BEGIN_NS + 9, idle(BEGIN_NS + 9))
        recorder.take('/target', BEGIN_NS + 9, serialized(target(BEGIN_NS + 9, 0.3)))  # nobody's
    for folder in ('one', 'two'):
        bag = open_bag(tmp_path / folder)
        assert (bag.counts['/target'], bag.counts['/station_clock'], bag.warning) == (5, 1, '')
        assert bag.about.site == 'shanghai'


def test_a_tracker_that_forgets_its_pass_for_a_moment_makes_a_further_file(recorder, tmp_path):
    for t_ns, told in enumerate([state(1, Phase.FINE), idle(2), state(3, Phase.FINE), idle(4)]):
        recorder.state(t_ns, told)
        recorder.take('/mount/state', t_ns, b'')
    (folder,) = tmp_path.iterdir()
    assert sorted(path.name for path in (folder / 'bag').iterdir()) == ['bag_0.mcap', 'bag_1.mcap', 'metadata.yaml']
    assert open_bag(folder).counts['/mount/state'] == 2


def test_a_folder_outside_is_refused_once(recorder, tmp_path):
    told = state(1, Phase.FINE, folder='../outside')
    with pytest.raises(StationError, match='is not the name of a folder'):
        recorder.state(1, told)
    recorder.state(2, told)
    recorder.take('/target', 2, b'')
    assert list(tmp_path.parent.glob('outside')) == []


def test_a_type_of_another_version_is_left_out_and_the_bag_is_made(recorder, tmp_path):
    with pytest.raises(StationError, match='another version'):
        recorder.add_topic(Topic('/hwp/state', 'qkd_gs/msg/HwpState', 'RIHS01_0', (qos(),)), transient_local=False)
    recorder.state(1, state(1, Phase.FINE))
    recorder.take('/target', 1, serialized(target(1, 0.3)))
    recorder.close()
    assert '/hwp/state' not in open_bag(next(tmp_path.iterdir())).topics


def test_a_full_disk_ends_the_recording_not_the_pass(recorder, monkeypatch):
    def full(*_):
        raise OSError(28, 'No space left on device')

    recorder.state(1, state(1, Phase.FINE))
    monkeypatch.setattr('os.fdatasync', full)
    with pytest.raises(StationError, match='No space left on device'):
        recorder.flush()
    recorder.state(2, state(2, Phase.FINE))
    recorder.take('/target', 2, serialized(target(2, 0.3)))
    recorder.flush()
    recorder.close()


def test_what_was_left_behind_is_made_whole_when_no_pass_is_under_way(recorder, tmp_path):
    recorder.state(1, state(1, Phase.FINE))
    recorder.take('/target', 1, serialized(target(1, 0.3)))
    recorder.flush()
    (folder,) = tmp_path.iterdir()
    (folder / FILE_NAME).write_text('{}', encoding='utf-8')
    recorder.bag._file._file.close()  # it is gone
    assert needs_repair(folder / 'bag')
    PassRecorder(tmp_path, 'shanghai', '/').state(2, idle(2))
    assert open_bag(folder).warning == ''


@pytest.mark.parametrize(
    ('name', 'namespace', 'recorded'),
    [
        ('/mount/state', '/', True),
        ('/rosout', '/', True),
        ('/track_pass/_action/feedback', '/', False),
        ('/a/mount/state', '/a/', True),
        ('/b/mount/state', '/a/', False),
        ('/tf', '/a/', True),
        ('/simple', '/', True),
    ],
)
def test_what_is_public(name, namespace, recorded):
    assert is_public(name, namespace) is recorded


def test_no_public_message_type_could_hold_a_stream(recorder):
    """Of our own types only the twin's truth has a list in it, and that goes into no bag."""
    with_lists = {
        name
        for name in ('Target', 'Spot', 'Counts', 'KeyState', 'SessionState', 'HwpState', 'MountState', 'SafetyStatus')
        if '[]' in interface(f'qkd_gs/msg/{name}').definition
    }
    assert with_lists == set()


@pytest.mark.parametrize(
    ('name', 'kind', 'namespace', 'rate_hz'),
    [
        ('/guiding_camera/image', IMAGE, '/', 0.2),
        ('/a/tracking_camera/image', IMAGE, '/a/', 1.0),
        ('/tracking_camera/camera_info', 'sensor_msgs/msg/CameraInfo', '/', 1.0),
        ('/some/other/image', IMAGE, '/', 0.2),
        ('/tracking_camera/spot', 'qkd_gs/msg/Spot', '/', None),
    ],
)
def test_rates(name, kind, namespace, rate_hz):
    assert rate_of(name, kind, RATES_HZ, namespace) == rate_hz


@given(st.floats(0.1, 20), st.floats(1, 100), st.integers(0, 10**9))
def test_images_are_thinned_to_the_rate(rate_hz, camera_hz, begin_ns):
    thinner, other = Thinner(rate_hz), Thinner(rate_hz)
    stamps = BEGIN_NS + begin_ns + np.round(np.arange(int(30 * camera_hz)) * 1e9 / camera_hz).astype(np.int64)
    data = [serialized(target(int(stamp), 0.3)) for stamp in stamps]
    kept = [thinner.passes(one) for one in data]
    assert kept == [other.passes(one) for one in data], 'what shares a stamp is kept together'
    seconds = (stamps[-1] - stamps[0]) * 1e-9
    assert sum(kept) == pytest.approx(min(rate_hz, camera_hz) * seconds, abs=0.1 * rate_hz * seconds + 2) or (
        rate_hz > camera_hz / 2
    )


def test_rate_zero_is_none():
    assert not Thinner(0.0).passes(serialized(target(BEGIN_NS, 0.3)))
