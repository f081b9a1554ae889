"""The station on the twin in lockstep: reproducible by its seed, and locked from drawn errors."""

import numpy as np
import pytest

from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.sky import sun_at
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.pass_window import pass_window_nearest
from qkd_gs.pointing.plan import plan_pass
from qkd_gs.safety.laser.laser_safety import LaserSafety
from qkd_gs.safety.supervisor import Supervisor
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.lockstep import Lockstep
from qkd_gs.sim.physics.true_errors import TruePointing
from qkd_gs.sim.simulation_setup import SimulationSetup
from qkd_gs.sim.traffic import SimAircraft
from qkd_gs.sim.twin import Twin, true_trajectory
from qkd_gs.timing.recorder import TagRecorder
from qkd_gs.timing.sealed import SealedFile, SealedWriter
from qkd_gs.timing.sealed.hybrid import PRIVATE_BYTES, SealingKey
from qkd_gs.tracking.control.tracker import Tracker
from qkd_gs.tracking.types import Phase

SECOND = 10**9
PRIVATE = SealingKey(bytes(range(PRIVATE_BYTES)))
STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
SITE = load_site('shanghai')


def taken(folder, seed, seconds=25):
    """The first seconds of the pass, from before the rise on; the mount model is the true one without its residual."""
    settings = load_twin()
    elements = load_elements(share_path('config', 'elements', 'micius.tle'))
    window = pass_window_nearest(elements, SITE, parse_utc('2018-10-03T15:56:42Z'), STATION)
    found, predicted, start_ns, end_ns = window
    truth = true_trajectory(settings, found.orbit, SITE, start_ns, end_ns, seed)
    begin_ns = start_ns - 10 * SECOND
    twin = Twin(settings, STATION, truth, SITE, begin_ns, seed)
    streams = np.random.SeedSequence(seed).spawn(12)
    model = TruePointing(settings.plant.pointing, np.random.default_rng(streams[0])).model
    tracker = Tracker(STATION, predicted, model, plan_pass(predicted, start_ns, end_ns, model, STATION.mount))
    writer = SealedWriter(folder / f'tags{seed}', bytes(16), PRIVATE.public_bytes(), begin_ns, bytes(32))
    laser = LaserSafety(STATION, SITE)
    supervisor = Supervisor(STATION, model, lambda t_ns: sun_at(SITE, t_ns), laser)
    aircraft = SimAircraft(SimulationSetup(settings, STATION, SITE, window, 10.0, seed))
    lockstep = Lockstep(twin, STATION, tracker, supervisor, TagRecorder(writer, STATION.source), laser, aircraft)
    lockstep.run(begin_ns, begin_ns + seconds * SECOND, lambda progress: None)
    blocks = list(SealedFile(folder / f'tags{seed}', PRIVATE).blocks())
    tags = np.concatenate([block.time_ps for block in blocks])
    assert not lockstep.stops
    return lockstep.log, truth, tags


@pytest.fixture(scope='module')
def first(tmp_path_factory):
    return taken(tmp_path_factory.mktemp('first'), seed=1)


def test_the_same_seed_gives_the_same_pass_and_another_another(first, tmp_path):
    log, _, tags = first
    (tmp_path / 'again').mkdir()
    same_log, _, same_tags = taken(tmp_path / 'again', seed=1)
    for name, array in vars(log.telemetry()).items():
        np.testing.assert_array_equal(array, getattr(same_log.telemetry(), name), err_msg=name)
    np.testing.assert_array_equal(tags, same_tags)
    (tmp_path / 'other').mkdir()
    other_log, _, other_tags = taken(tmp_path / 'other', seed=2)
    assert not np.array_equal(other_tags[:1000], tags[:1000])
    assert not np.array_equal(other_log.telemetry().az_rad, log.telemetry().az_rad)


def test_it_locks_from_drawn_errors_and_finds_them(first):
    log, truth, _ = first
    assert log.telemetry().phase[-1] == Phase.FINE
    assert abs(log.time_bias_s - truth.along_track_s) < 0.02  # low on the horizon little of it shows yet
    assert abs(log.cross_track_m - truth.cross_track_m) < 300
    assert len(log.locked_spans()) == 1


def test_counts_leave_in_bins_of_a_second(first):
    telemetry = first[0].telemetry()
    assert np.diff(telemetry.count_t_ns).min() >= SECOND
    assert telemetry.counts.shape == (4, len(telemetry.count_t_ns))
