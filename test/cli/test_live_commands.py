"""Both commands in real time, as two processes with two key folders, while a pass is recorded: minutes."""

import json
import subprocess
import sys
import time

import pytest
from played_pass import SECOND, PlayedPass, SlowPulses, equal_keys, paired_key_folders, pass_overhead

from qkd_gs.bench.security.short_sessions import station_with
from qkd_gs.processing.parts_plan import load_plan

BEFORE_S = 240  # until the recording begins: its photons are generated meanwhile
BEGINS_S, SECONDS = 40, 115  # behind the culmination, to behind the end of its light
ONE_COMMAND_S = 600


@pytest.mark.long
def test_the_commands_make_a_key_while_a_pass_is_recorded(tmp_path):
    wanted_ns = time.time_ns() + (BEFORE_S - BEGINS_S) * SECOND
    site, culmination_ns = pass_overhead(wanted_ns, tmp_path / 'elements.tle')
    synthetic = SlowPulses(
        seconds=SECONDS,
        before_s=-BEGINS_S,
        gain=300.0,
        station=station_with('source', pulse_rate_hz=5e5),
        culmination_ns=culmination_ns,
        site=site,
        elements=tmp_path / 'elements.tle',
    )
    taken, (ground, satellite) = PlayedPass(tmp_path, synthetic, file_s=1), paired_key_folders(tmp_path)
    time.sleep((taken.start_ns - time.time_ns()) / SECOND)
    taken.begin(ground.session_public_key)
    server = command(
        'satellite', 'serve', '--log', taken.log, '--keys', satellite.path, '--listen', '127.0.0.1:0', '--once'
    )
    process = None
    try:
        while not process or process.poll() is None:
            taken.come(time.time_ns())
            time.sleep(0.05)
            if not process:
                address = server.stdout.readline().strip()
                session = ('--live', taken.session, '--keys', ground.path, '--json')
                process = command('process', *session, '--satellite', address)
        made, told = process.communicate(timeout=ONE_COMMAND_S)
        assert process.returncode == 0, told
        assert 'the key is made when the pass is over' not in told
        server.communicate(timeout=ONE_COMMAND_S)
        assert server.returncode == 0
    finally:
        for one in (server, process):
            if one:
                one.kill()
    assert json.loads(made)['key']['secret_bits'] > 5_000
    assert len(load_plan(taken.session).parts) == 3
    assert equal_keys(ground, satellite) == 128


def command(*words):
    """A command as a process of its own."""
    line = [sys.executable, '-m', 'qkd_gs', *map(str, words)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
