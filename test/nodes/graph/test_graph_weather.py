"""Rain in a running pass: light off, the pass broken off, the mount parked, the shutter closed, and all of it told."""

import os
import subprocess
import sys

import pytest
import qkd_gs.msg as m
from diagnostic_msgs.msg import DiagnosticStatus
from graph_station import AT, running_station

from qkd_gs.nodes.runtime.qos import TRANSIENT_LOCAL
from qkd_gs.tracking.types import Phase

COMMAND = 'import sys; from qkd_gs.cli import main; sys.exit(main(sys.argv[1:]))'


@pytest.fixture
def station(tmp_path_factory):
    with running_station(tmp_path_factory, el_deg=42, lead_s=10.0, scenario='rain') as station:
        yield station


def test_rain_ends_a_pass(station):
    laser, states = station.overhear('beacon/state'), station.hear(m.SessionState, 'session/state')
    statuses = station.hear(m.SafetyStatus, 'safety/status')
    sentences = station.hear(DiagnosticStatus, 'readiness', TRANSIENT_LOCAL)
    station.until(lambda: statuses and states and laser, 'the station is heard')
    track = subprocess.Popen(
        [sys.executable, '-c', COMMAND, 'track', '--at', AT, '--session', 'wet'],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip
    try:
        # on a busy machine the rain may come before the light
        station.until(lambda: laser[-1].emitting or 'weather.rain' in statuses[-1].reasons, 'the beacon shines')
        station.until(lambda: 'weather.rain' in statuses[-1].reasons, 'it rains')
        station.until(lambda: 'dome.' in statuses[-1].reasons, 'the shutter leaves its open state')
        station.until(lambda: track.poll() is not None, '`qkd-gs track` has ended')
    finally:
        track.kill()
        _, told = track.communicate()
    assert '(ABORTED)' in told or 'it rains' in told
    station.until(lambda: Phase(states[-1].phase) is Phase.IDLE, 'the mount is parked')
    assert not laser[-1].emitting
    assert any('no light: ' in one.message and 'it rains, 4.0 mm/h' in one.message for one in sentences)
    station.until(lambda: 'it rains' in sentences[-1].message, 'the rain is told between passes, too')
