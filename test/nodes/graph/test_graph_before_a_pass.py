"""A calibrated station before its pass: its check, its light and its focus, and processes that die meanwhile."""

import os
import subprocess
import sys
from math import degrees, radians

import pytest
import qkd_gs.msg as m
from graph_station import running_station
from observing_station import ask, observing
from qkd_gs.action import Calibrate, Observe, Tonight
from rclpy.action import ActionClient
from station_evening import SKY, Watched
from std_srvs.srv import Trigger

from qkd_gs.calibration.focus import load_focus
from qkd_gs.calibration.light.history import load_history
from qkd_gs.calibration.light.readings import read_light
from qkd_gs.calibration.light.result import DARK_COUNTS
from qkd_gs.calibration.measured_delays import FILE_NAME as DELAYS
from qkd_gs.calibration.measured_delays import load_delays
from qkd_gs.devices.mount import MountMode
from qkd_gs.evening.steps import State, Step
from qkd_gs.nodes.runtime.base import ABORT_EVENING
from qkd_gs.pointing.pointing_file import load_pointing
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.photons.calibration_photons import mounting_error_rad
from qkd_gs.sim.photons.receiver import true_delays_ps
from qkd_gs.timing.tags import QUANTUM
from qkd_gs.tracking.control.parking import away_rad, rests_near_park
from qkd_gs.tracking.types import MountTask

COMMAND = 'import sys; from qkd_gs.cli import main; sys.exit(main(sys.argv[1:]))'


@pytest.fixture(scope='module')
def station(tmp_path_factory):
    with running_station(tmp_path_factory, lead_s=1800.0, speed=0.0) as running:
        running.counts = running.hear(m.Counts, 'detector/counts')
        yield observing(running)


@pytest.fixture(scope='module')
def watched(station):
    running = Watched(station)
    station.until(lambda: running.drives and running.states and running.laser, 'the station is heard')
    return running


def slewing(watched):
    """The calibrator moves the mount, and has moved it."""
    away = away_rad(watched.mount, watched.drives[-1]) > radians(1)
    return watched.tasks[-1].data == MountTask.CHECKING and watched.moves() and away


def test_a_calibration_goes_on_while_its_evening_is_dead_and_ends_at_the_operators_word(watched):
    station = watched.station
    watched.ask(skip=[one for one in SKY if one != 'calibrate'], anew=True)
    station.until(lambda: slewing(watched), 'the mount is on its way to a star')
    pid = station.kill('evening')
    station.back('evening', pid)
    assert watched.tasks[-1].data == MountTask.CHECKING
    assert not watched.laser[-1].emitting
    said = station.call(Trigger, ABORT_EVENING, Trigger.Request())
    assert said.success
    station.until(lambda: watched.tasks[-1].data == MountTask.NONE, 'the calibration has ended')
    watched.comes_to_rest('braked')
    assert away_rad(watched.mount, watched.drives[-1]) > radians(1)
    station.until(lambda: watched.state(Step.CALIBRATE) is State.PENDING, 'the journal says so')


def test_without_its_calibrator_the_mount_brakes_and_the_evening_says_so(watched):
    station = watched.station
    over = watched.ask()  # goes on with the same evening
    station.until(lambda: slewing(watched), 'the mount is on its way to a star')
    pid = station.kill('calibrator')
    watched.comes_to_rest('braked')
    station.back('calibrator', pid)

    def told():
        entry = next(one for one in watched.journal()['entries'] if one['step'] == Step.CALIBRATE)
        return 'the calibrator has died' in entry['sentence']

    station.until(told, 'the journal says so')
    station.call(Trigger, ABORT_EVENING, Trigger.Request())
    station.until(over.done, 'the evening has ended')
    assert over.result().result.error_code == Tonight.Result.ABORTED


def test_a_search_that_is_cancelled_brakes_and_changes_nothing(station, watched):
    before = load_pointing(station.state)
    handle = ask(station, Observe.Goal.FIND)
    station.until(lambda: station.tasks[-1].data == MountTask.FINDING and watched.moves(), 'the mount moves')
    handle.cancel_goal_async()
    over = handle.get_result_async()
    station.until(over.done, 'it has ended')
    assert over.result().result.error_code == Observe.Result.ABORTED
    station.until(lambda: station.tasks[-1].data == MountTask.NONE, 'nobody searches')
    watched.comes_to_rest('braked')
    assert load_pointing(station.state) == before


@pytest.mark.long
def test_the_efficiency_is_within_a_tenth_of_the_truth(station, watched):
    over = ask(station, Observe.Goal.STAR_TEST).get_result_async()
    station.until(over.done, 'the star test has ended', step_s=0.5)
    result = over.result().result
    assert (result.error_code, result.error_msg) == (Observe.Result.DONE, '')
    (night,) = load_history(station.state).nights
    assert night.kind == 'efficiency'
    assert result.summary.startswith(night.summary)
    assert 'the detectors' in result.summary.removeprefix(night.summary)  # and how they share the light
    assert night.value == pytest.approx(load_twin().photonics.link.system_efficiency, rel=0.1)
    assert min(one.bin_s for one in station.counts) >= 1.0
    assert not list(station.sessions.glob('*'))  # a star leaves no tags
    assert not any(one.emitting for one in watched.laser)


def test_the_dark_is_counted_behind_the_closed_shutter(station):
    over = ask(station, Observe.Goal.DARK).get_result_async()
    station.until(over.done, 'the dark is counted', step_s=0.5)
    result = over.result().result
    assert (result.error_code, result.error_msg) == (Observe.Result.DONE, '')
    (dark,) = read_light(station.state / DARK_COUNTS)
    expected = load_twin().photonics.noise.dark_cps * dark.seconds
    assert abs(sum(dark.counts) - expected) < 5 * expected**0.5  # the sky gives several times as many
    assert MountTask.COUNTING_DARK in [task.data for task in station.tasks]


def lit_up(station, watched, task):
    """An observation behind the shutter that is closed still; its result."""
    light = station.overhear('calibration_light/state')
    over = ask(station, task).get_result_async()
    station.until(over.done, 'the measurement has ended', step_s=0.5)
    result = over.result().result
    assert (result.error_code, result.error_msg) == (Observe.Result.DONE, '')
    assert any(one.lit for one in light)
    station.until(lambda: not light[-1].lit, 'the light is off')
    assert not list(station.sessions.glob('*'))
    assert not any(one.emitting for one in watched.laser)
    return result


@pytest.mark.long
def test_the_calibration_light_gives_the_zero_of_the_plate(station, watched):
    lit_up(station, watched, Observe.Goal.POLARIZATION)
    twin, pointing = load_twin(), load_pointing(station.state)
    level_deg = twin.surroundings.calibration_light.level_deg / 2
    true_deg = -degrees(mounting_error_rad(twin, 1))
    assert abs(pointing.hwp_offset_deg - true_deg) < 4 * pointing.hwp_sigma_deg + level_deg
    assert MountTask.POLARIZED_LIGHT in [task.data for task in station.tasks]


def test_the_calibration_light_gives_the_delays_and_no_tag_is_published(station, watched):
    told = station.hear(m.DetectorDelays, 'detector/delays')
    result = lit_up(station, watched, Observe.Goal.DELAYS)
    kept, settings = load_delays(station.state), load_yaml(share_path('config', 'station.yaml'), StationSettings)
    true_ns = true_delays_ps(load_twin().photonics, settings, 1)[list(QUANTUM)] * 1e-3
    assert [kept.delay_ns[one.name] for one in QUANTUM] == pytest.approx(true_ns - true_ns.mean(), abs=0.03)
    assert result.summary == kept.verdict(settings.detectors, station.state / DELAYS)
    assert len(told) == 1
    assert MountTask.MEASURING_DELAYS in [task.data for task in station.tasks]


def test_a_light_that_a_dead_calibrator_leaves_on_goes_off_with_the_new_one(station):
    light = station.overhear('calibration_light/state')
    ask(station, Observe.Goal.POLARIZATION)
    station.until(lambda: light and light[-1].lit, 'the light is on')
    pid = station.kill('calibrator')
    station.back('calibrator', pid)
    station.until(lambda: not light[-1].lit, 'the light is off')
    station.until(lambda: station.tasks[-1].data == MountTask.NONE, 'nobody measures')
    station.until(station.client.server_is_ready, 'the calibrator takes goals')


def test_the_focus_is_found(station):
    settings, states = load_twin().surroundings.focus, station.overhear('focuser/state')
    best = settings.start_step + settings.steps_per_c * (load_site('shanghai').temperature_c - settings.reference_c)
    off = round(best) + 900
    station.bus.send('focuser/move', off)  # somebody has turned it
    station.until(lambda: states and states[-1].reading.position == off, 'it is out of focus')
    over = ask(station, Observe.Goal.FOCUS).get_result_async()
    station.until(over.done, 'the autofocus has ended', step_s=0.5)
    result = over.result().result
    assert (result.error_code, result.error_msg) == (Observe.Result.DONE, '')
    kept = load_focus(station.state)
    assert kept.position == pytest.approx(best, abs=150)  # 0.3 px of blur
    station.until(lambda: states[-1].reading.position == kept.position, 'the focuser stays there')
    assert kept.temperature_c == load_site('shanghai').temperature_c


def test_a_calibration_on_few_stars_is_refused(station):
    client = ActionClient(station.node, Calibrate, 'calibrate')
    station.until(client.server_is_ready, 'the calibrator takes goals')
    sent = client.send_goal_async(Calibrate.Goal(stars=11))
    station.until(sent.done, 'the goal is answered')
    over = sent.result().get_result_async()
    station.until(over.done, 'it is refused')
    result = over.result().result
    assert (result.error_code, result.error_msg) == (
        Calibrate.Result.NOT_READY, '11 stars are too few for a calibration, 12 are needed'
    )  # fmt: skip


def test_a_calibrator_that_dies_leaves_the_mount_braked_and_the_counting_ended(station, watched):
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


def test_the_telescope_is_parked_by_command(watched):
    station = watched.station
    assert not rests_near_park(watched.mount, watched.drives[-1])
    park = subprocess.Popen(
        [sys.executable, '-c', COMMAND, 'park'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ,
    )  # fmt: skip
    try:
        station.until(lambda: park.poll() is not None, '`qkd-gs park` has ended')
    finally:
        park.kill()
        said, told = park.communicate()
    assert (said, park.returncode) == ('parked\n', 0), told
    watched.comes_to_rest('parked')
    assert rests_near_park(watched.mount, watched.drives[-1])
    assert [task.data for task in watched.tasks[-2:]] == [MountTask.PARKING, MountTask.NONE]
