"""A calibrated station tests its light on stars, and what happens to that when a process dies."""

import pytest
import qkd_gs.msg as m
from graph_station import running_station
from observing_station import ask, observing
from qkd_gs.action import Observe

from qkd_gs.calibration.light.history import load_history
from qkd_gs.devices.mount import MountMode
from qkd_gs.settings.twin import load_twin
from qkd_gs.tracking.types import MountTask


@pytest.fixture(scope='module')
def station(tmp_path_factory):
    with running_station(tmp_path_factory, lead_s=1800.0, speed=0.0) as running:
        running.counts, running.laser = running.hear(m.Counts, 'detector/counts'), running.overhear('beacon/state')
        yield observing(running)


def test_the_efficiency_is_within_a_tenth_of_the_truth(station):
    over = ask(station, Observe.Goal.STAR_TEST).get_result_async()
    station.until(over.done, 'the star test has ended', step_s=0.5)
    result = over.result().result
    assert (result.error_code, result.error_msg) == (Observe.Result.DONE, '')
    (night,) = load_history(station.state).nights
    assert (night.kind, night.summary) == ('efficiency', result.summary)
    assert night.value == pytest.approx(load_twin().photonics.link.system_efficiency, rel=0.1)
    assert min(one.bin_s for one in station.counts) >= 1.0
    assert not list(station.sessions.glob('*'))  # a star leaves no tags
    assert not any(one.emitting for one in station.laser)


def test_a_calibrator_that_dies_leaves_the_mount_braked_and_the_counting_ended(station):
    ask(station, Observe.Goal.NOISE_MAP)
    begun = len(station.counts)
    station.until(lambda: len(station.counts) > begun + 3, 'the sky is counted')
    station.back('calibrator', station.kill('calibrator'))
    station.until(lambda: station.drives[-1].mode == MountMode.HOLD, 'the mount brakes')
    station.until(lambda: station.tasks[-1].data == MountTask.NONE, 'nobody measures')
    station.beats_more('detector', 3)
    ended = len(station.counts)
    station.beats_more('detector', 5)
    assert len(station.counts) == ended
