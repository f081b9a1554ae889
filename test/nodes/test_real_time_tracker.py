"""The tracker of a station with real devices: its clock is the machine's UTC, and a pass outlives its process."""

import signal
import time
from math import pi

import foreign_drivers
import pytest
import qkd_gs.msg as m
from one_graph import Started, node_process, real_time
from qkd_gs.action import TrackPass
from rclpy.action import ActionClient
from sgp4.api import WGS72, Satrec
from sgp4.exporter import export_tle

from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.base import ABORT_PASS
from qkd_gs.nodes.runtime.qos import TRANSIENT_LOCAL
from qkd_gs.orbit.elements import load_elements
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pass_window import next_pass_window
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.session.manifest import load_manifest
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.tracking.types import Phase

DAYS_1950_TO_1970 = 7305
J2000_S = 946_728_000  # Unix time


HOUR_NS = 3_600_000_000_000


def midnight_orbit(path, now_s, mean_anomaly_rad):
    """Elements of this hour, the ascending node opposite to the (mean) Sun: it passes by at midnight every night."""
    sun_deg = 280.46 + 0.9856474 * (now_s - J2000_S) / 86400
    satrec = Satrec()
    satrec.sgp4init(
        WGS72, 'i', 41731, DAYS_1950_TO_1970 + now_s / 86400, 2e-5, 0.0, 0.0, 0.0015, 1.82,
        97.36 * pi / 180, mean_anomaly_rad, 15.2467 * 2 * pi / 1440, (sun_deg + 180) % 360 * pi / 180,
    )  # fmt: skip
    path.write_text('\n'.join(('NIGHT OWL', *export_tle(satrec))) + '\n')
    return path


def coming_pass(path, now_s):
    """Elements with a pass over Shanghai in the next night, at any time of day, and its window."""
    settings = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    now_ns = int(now_s * 1e9)
    for step in range(12):
        elements = midnight_orbit(path, now_s, step * 2 * pi / 12)
        window = next_pass_window(load_elements(elements), load_site('shanghai'), now_ns + HOUR_NS, settings)
        if window is not None and window.start_ns > now_ns + HOUR_NS:
            return elements, window
    raise AssertionError('no pass in the next night')


@pytest.fixture
def drivers(tmp_path, monkeypatch):
    return foreign_drivers.install(tmp_path, monkeypatch)


def test_a_pass_goes_on_after_its_tracker_was_killed(station, tmp_path, drivers):
    elements, coming = coming_pass(tmp_path / 'owl.tle', time.time())
    pointing = StoredPointing.of(MountModel(), (640.0, 512.0), '20 stars', '2018-10-03T14:00:00Z')
    pointing.save(tmp_path / 'state')
    options = {
        'devices': drivers,
        'elements': elements,
        'site': 'shanghai',
        'sessions_dir': tmp_path / 'sessions',
        'state_dir': tmp_path / 'state',
    }
    station.hear(m.SessionState, 'session/state')
    states = station.heard['session/state']

    station.state_dir = tmp_path / 'state'
    station.say('station_clock', real_time(), TRANSIENT_LOCAL)

    def tell():
        station.say(
            'mount/state', messages.mount_state(MountReading(time.time_ns(), 0.0, 0.5, 0.0, 0.0, MountMode.HOLD))
        )

    def under_way():
        return states and states[-1].phase in (Phase.SLEW, Phase.WAIT)

    with node_process('tracker', Started, **options) as process:
        client = ActionClient(station.node, TrackPass, 'track_pass')
        station.until(client.server_is_ready)
        station.until(lambda: states, tell)
        goal = TrackPass.Goal(at=messages.to_time(coming.found.culmination_ns), session='tonight')
        station.until(client.send_goal_async(goal).done, tell)
        station.until(under_way, tell)
        first = states[-1]
        assert (first.folder, first.satellite, first.simulated) == ('tonight', 'NIGHT OWL', False)
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed_ns = time.monotonic_ns()
    with node_process('tracker', Started, **options) as process:
        station.until(lambda: states[-1].counter > killed_ns and under_way(), tell)  # not one still on its way
        assert (states[-1].folder, states[-1].session_id) == ('tonight', first.session_id)
        assert not load_manifest(tmp_path / 'sessions' / 'tonight').simulated
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed_ns = time.monotonic_ns()
    station.forget('station_clock')
    with node_process('tracker', Started, **options):
        assert station.trigger(ABORT_PASS, tell).success  # it cannot know yet whether a pass goes on
        station.say('station_clock', real_time(), TRANSIENT_LOCAL)
        station.until(lambda: states[-1].counter > killed_ns and states[-1].phase == Phase.PARK, tell)
    assert not (tmp_path / 'state' / 'current_pass.json').exists()  # it was stopped as asked: nothing to go on with
