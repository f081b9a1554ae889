"""A pass from its first command to its book: begun, taken up again after a crash, refused."""

import itertools
from dataclasses import replace
from math import nan, radians

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.devices.capability import MountCapability
from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import StoredPointing, load_pointing
from qkd_gs.session.manifest import LockedSpan, load_manifest
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.tracking.record.lock_log import LockLog
from qkd_gs.tracking.record.manifest_writer import finite, new_folder, tags_complete
from qkd_gs.tracking.record.pass_run import Knowledge, PassRun
from qkd_gs.tracking.types import Phase, TrackerInputs

AT_NS = parse_utc('2018-10-03T15:56:42Z')
SECOND_NS = 10**9
ELEMENTS = share_path('config', 'elements', 'micius.tle')
POINTING = StoredPointing.of(MountModel(IA=0.17, IE=-0.05), (640.25, 510.5), '20 stars', '2018-10-03T14:00:00Z')


@pytest.fixture(scope='module')
def knowledge():
    station = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    return Knowledge(station, load_site('shanghai'), POINTING, ELEMENTS)


def begin(folder, knowledge, now_ns=AT_NS - 300 * SECOND_NS):
    return PassRun.begin(folder, AT_NS, now_ns, knowledge, simulated=True, run={'seed': 5})


def test_a_new_session_has_all_that_its_processing_needs(tmp_path, knowledge):
    run = begin(tmp_path / 'one', knowledge)
    manifest = load_manifest(tmp_path / 'one')
    assert manifest == run.writer.manifest
    assert (manifest.satellite, manifest.simulated, manifest.closed, manifest.seed) == ('MICIUS', True, False, 5)
    assert manifest.locked == []
    assert manifest.station.guiding_camera.reference_x_px == 640.25  # as calibrated
    assert load_pointing(tmp_path / 'one') == POINTING
    assert (tmp_path / 'one' / manifest.elements_file).read_bytes() == ELEMENTS.read_bytes()
    assert run.start_ns < manifest.culmination_ns < run.end_ns
    assert not run.done
    assert len(run.writer.session_id) == 16


def test_two_sessions_have_different_ids(tmp_path, knowledge):
    one, other = begin(tmp_path / 'one', knowledge), begin(tmp_path / 'other', knowledge)
    assert one.writer.session_id != other.writer.session_id


def test_a_folder_in_use_is_refused_and_left_unchanged(tmp_path, knowledge):
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(StationError, match='not empty'):
        begin(tmp_path, knowledge)
    with pytest.raises(StationError, match='cannot be created'):
        begin(tmp_path / 'notes.txt' / 'below', knowledge)
    assert [path.name for path in tmp_path.iterdir()] == ['notes.txt']


def test_a_pass_that_is_over_or_does_not_exist_leaves_nothing_behind(tmp_path, knowledge):
    end_ns = begin(tmp_path / 'probe', knowledge).end_ns
    with pytest.raises(StationError, match='this pass is over'):
        begin(tmp_path / 'one', knowledge, end_ns + SECOND_NS)
    begin(tmp_path / 'two', knowledge, end_ns - SECOND_NS)  # late, but it may still be had
    with pytest.raises(StationError):
        PassRun.begin(tmp_path / 'one', AT_NS + 20 * 365 * 86400 * SECOND_NS, AT_NS, knowledge, simulated=True, run={})
    assert not (tmp_path / 'one').exists()


def test_a_session_in_the_sun_or_of_unknown_elements_is_refused(tmp_path, knowledge):
    with pytest.raises(StationError):
        begin(tmp_path / 'one', replace(knowledge, elements=tmp_path / 'none.tle'))
    assert not (tmp_path / 'one').exists()


def test_a_resumed_pass_is_the_same_pass(tmp_path, knowledge):
    before = begin(tmp_path / 'one', knowledge)
    locked = [LockedSpan(start_ns=AT_NS, end_ns=AT_NS + 7 * SECOND_NS)]
    before.writer.renew(locked, 0.21, -300.0)
    after = PassRun.resume(tmp_path / 'one', knowledge)
    assert after.writer.session_id == before.writer.session_id
    run = load_manifest(tmp_path / 'one').run
    assert (run['seed'], run['resumed']) == (5, 1)
    assert after.locked == locked
    # the search starts from another time, so its result may differ by the rounding of its tolerance
    assert (after.start_ns, after.end_ns) == pytest.approx((before.start_ns, before.end_ns), rel=0, abs=1000)
    after.close(run={'loop': {}})
    manifest = load_manifest(tmp_path / 'one')
    assert manifest.locked == locked
    assert (manifest.time_bias_s, manifest.cross_track_m) == (0.21, -300.0)
    assert not manifest.closed  # there are no tags


def test_a_damaged_session_is_not_taken_up_again(tmp_path, knowledge):
    begin(tmp_path / 'one', knowledge)
    path = tmp_path / 'one' / 'session.json'
    path.write_text(path.read_text()[:100])
    with pytest.raises(StationError, match=r'session\.json'):
        PassRun.resume(tmp_path / 'one', knowledge)


def test_the_tracker_is_stepped_and_parks_when_it_is_told_to(tmp_path, knowledge):
    """Obedient axes without a satellite: broken off, it goes to the park position and is done."""
    run = begin(tmp_path / 'one', knowledge, AT_NS)
    now_ns, az_rad, el_rad, phases = AT_NS, 0.0, 0.0, []
    run.tracker.abort()
    for _ in range(3000):
        now_ns += 10_000_000
        reading = MountReading(now_ns, az_rad, el_rad, 0.0, 0.0, MountMode.TRACK)
        outputs = run.step(now_ns, TrackerInputs(reading, BeaconReading(now_ns, False, 0.0, True)))
        phases.append(outputs.phase)
        assert not outputs.beacon_on
        if run.done:
            break
        if outputs.mount is not None:
            az_rad, el_rad = outputs.mount.az_rad, outputs.mount.el_rad
    assert run.done
    assert Phase.FINE not in phases
    assert run.locked == []
    assert (az_rad, el_rad) == pytest.approx((0.0, 0.0), abs=1e-3)


# --- when the satellite was held ---


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 3))
def test_spans_are_the_runs_of_steps_in_which_it_was_held(held, before_count):
    before = tuple(LockedSpan(start_ns=-100 + 10 * i, end_ns=-95 + 10 * i) for i in range(before_count))
    log = LockLog(before)
    for step, fine in enumerate(held):
        log.note(step, fine)
    covered = {step for span in log.spans() for step in range(span.start_ns, span.end_ns + 1)}
    spans = log.spans()
    assert tuple(spans[:before_count]) == before
    fresh = spans[before_count:]
    runs = {
        step
        for step, fine in enumerate(held)
        if fine and ((step and held[step - 1]) or (step + 1 < len(held) and held[step + 1]))
    }
    assert {step for step in covered if step >= 0} == runs
    assert all(a.end_ns < b.start_ns for a, b in itertools.pairwise(fresh))


def test_a_span_of_a_dead_process_is_not_stretched_over_the_gap():
    log = LockLog((LockedSpan(start_ns=0, end_ns=10),))
    log.note(20, True)
    log.note(30, True)
    assert [(span.start_ns, span.end_ns) for span in log.spans()] == [(0, 10), (20, 30)]


def test_figures_for_json_say_none_where_nothing_was_measured():
    assert finite({'a': nan, 'b': float('inf'), 'c': 1.5, 'd': 'x'}) == {'a': None, 'b': None, 'c': 1.5, 'd': 'x'}


def test_new_folders(tmp_path):
    new_folder(tmp_path / 'a' / 'b')
    new_folder(tmp_path / 'a' / 'b')
    assert (tmp_path / 'a' / 'b').is_dir()
    assert not tags_complete(tmp_path / 'a' / 'b')


def test_a_mount_that_is_too_coarse_is_refused_before_the_pass(tmp_path, knowledge):
    rotator = MountCapability(2.0, 0.2, radians(0.1), timed=False)
    known = replace(knowledge, capability=rotator)
    with pytest.raises(StationError, match=r'too coarse for the tracking camera: steps of 0\.1 deg'):
        begin(tmp_path / 'one', known)
    assert not (tmp_path / 'one').exists()
