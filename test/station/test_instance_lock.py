"""What the names in the kernel tell of stations and replays."""

import os
import subprocess
import sys

import pytest

from qkd_gs.errors import StationError
from qkd_gs.station.instance_lock import acquire_instance_lock, stand_in, started, station_runs, take_part

DOMAIN = str(os.getpid())  # of this test process alone; no ROS runs in it
HOLD = (
    'import sys; from qkd_gs.station import instance_lock; held = getattr(instance_lock, sys.argv[1])(*sys.argv[2:]); '
    'print("held", flush=True); sys.stdin.read()'
)


@pytest.fixture
def elsewhere():
    """Another process that holds a name until it is killed."""
    processes = []

    def hold(what):
        process = subprocess.Popen(
            [sys.executable, '-c', HOLD, what, 'roof', DOMAIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout.readline() == 'held\n'
        return process

    yield hold
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize('holder', ['started', 'acquire_instance_lock', 'take_part'])
def test_a_station_runs_as_long_as_one_of_its_processes_lives(elsewhere, holder):
    assert not station_runs('/roof', DOMAIN)
    process = elsewhere(holder)
    assert station_runs('/roof', DOMAIN)
    assert not station_runs('', DOMAIN)
    assert not station_runs('/roof', f'{DOMAIN}0')
    with pytest.raises(StationError, match='a station is running in this ROS domain'):
        stand_in('roof', DOMAIN)
    process.kill()
    process.wait()
    assert not station_runs('/roof', DOMAIN)
    stand_in('roof', DOMAIN).close()


@pytest.mark.parametrize(
    ('holder', 'another'),
    [('started', started), ('acquire_instance_lock', acquire_instance_lock), ('acquire_instance_lock', started)],
)
def test_a_second_station_is_refused_and_told_of_the_first(elsewhere, holder, another):
    process = elsewhere(holder)
    with pytest.raises(StationError, match=rf'another station runs in ROS domain {DOMAIN} \(process {process.pid}\)'):
        another('/roof', DOMAIN)
    another('/cellar', DOMAIN).close()
    process.kill()
    process.wait()
    another('/roof', DOMAIN).close()


@pytest.mark.parametrize('begin', [started, take_part])
def test_beside_a_replay_no_part_of_a_station_begins(elsewhere, begin):
    elsewhere('stand_in')
    with pytest.raises(StationError, match=f'a recorded pass is played in ROS domain {DOMAIN}'):
        begin('/roof', DOMAIN)
    with pytest.raises(StationError, match='another replay runs'):
        stand_in('/roof', DOMAIN)
    assert not station_runs('/roof', DOMAIN)  # what was refused holds nothing


def test_the_processes_of_one_station_do_not_exclude_each_other(elsewhere):
    elsewhere('started')
    elsewhere('acquire_instance_lock')
    elsewhere('take_part')
    take_part('/roof', DOMAIN).close()


def test_a_long_namespace_fits():
    with acquire_instance_lock('/a' * 200, DOMAIN):
        assert station_runs('a' + '/a' * 199, DOMAIN)
