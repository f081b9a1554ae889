"""When faults are injected, what counts as told and as survived; and that an injected fault is one."""

import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from qkd_gs.bench.faults.campaign import Campaign
from qkd_gs.bench.faults.injector import Fault, busy_processors, frozen, moved
from qkd_gs.bench.faults.lost_tags import overlap_s
from qkd_gs.bench.faults.program import FAULTS
from qkd_gs.monitoring.readiness import Level, Readiness
from qkd_gs.monitoring.snapshot import SessionStatus, Snapshot
from qkd_gs.tracking.types import Phase

S = 10**9
GOOD = Readiness(Level.OK, 'tracking, locked')


class World:
    """A station of words, and faults that note when they begin and end."""

    def __init__(self, *told_by):
        self.log, self.lines, self.now_s = [], [], 0.0
        faults = [Fault(name, self.inject(name), words, 2.0) for name, words in told_by]
        self.campaign = Campaign(None, faults, self.take_lines, session='one', calm_s=1.0)

    def inject(self, name):
        @contextmanager
        def fault(station, session):
            self.log.append(('begin', name, self.now_s))
            yield
            self.log.append(('end', name, self.now_s))

        return fault

    def take_lines(self):
        lines, self.lines = self.lines, []
        return lines

    def go(self, seconds, readiness=GOOD, phase=Phase.FINE):
        for _ in range(round(seconds * 4)):
            self.now_s += 0.25
            status = SessionStatus(round(self.now_s * S), phase)
            self.campaign.see(self.now_s, Snapshot(round(self.now_s * S), readiness=readiness, session=status))


def test_a_fault_begins_when_all_is_well_and_ends_when_it_was_told():
    world = World(('disk', ('no tags',)), ('kill', ('ended',)))
    world.go(5, phase=Phase.ACQUIRE)
    assert world.log == []
    world.go(1.25)
    assert world.log == [('begin', 'disk', 6.25)]
    world.go(1)  # nothing is said yet
    world.go(3, Readiness(Level.ERROR, 'no tags are recorded'))
    assert world.log[1:] == [('end', 'disk', 8.25)]  # told, and there for two seconds
    world.go(5, GOOD, Phase.LOST)
    assert len(world.log) == 2
    world.go(1.25)
    (disk,) = world.campaign.outcomes
    assert (disk.survived, disk.told_s, disk.said) == (True, 1.25, 'no tags are recorded')
    assert (disk.begin_ns, disk.end_ns) == (round(6.25 * S), round(world.now_s * S))
    world.go(0.25)
    assert world.log[2] == ('begin', 'kill', world.now_s)
    world.lines = ['mount: ended (by SIGKILL); restarting']
    world.go(4)
    assert world.campaign.done
    assert world.campaign.outcomes[1].told_s == 0.25


def test_a_fault_that_nobody_speaks_of_is_not_survived():
    world = World(('disk', ('no tags',)))
    world.go(60)
    world.campaign.pass_is_over()
    (disk,) = world.campaign.outcomes
    assert (disk.survived, disk.told_s) == (False, None)
    assert world.log[-1][0] == 'end'


def test_one_that_had_only_the_end_of_a_pass_is_left_for_another():
    world = World(('a', ()), ('b', ('never',)))
    world.go(60)
    world.campaign.pass_is_over()
    assert [one.fault.name for one in world.campaign.outcomes] == ['a']
    assert not world.campaign.done


def test_the_campaign_is_large_and_every_fault_has_its_own_name():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 18


def test_a_gap_counts_for_the_fault_that_it_lies_in():
    assert overlap_s((S, 3 * S), 2 * S, 10 * S) == 1.0
    assert overlap_s((S, 3 * S), 4 * S, 10 * S) == 0.0


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, '-c', 'while 1: print(1, flush=True)'], stdout=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def state_of(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii') as file:
        return file.read().rsplit(')', 1)[1].split()[0]


def test_a_frozen_process_stands_still_and_goes_on(child):
    with frozen(child.pid):
        while state_of(child.pid) != 'T':  # the signal is on its way
            pass
    while state_of(child.pid) == 'T':
        pass
    child.send_signal(signal.SIGKILL)
    with frozen(child.pid):  # it dies meanwhile
        child.stdout.read()


def test_loops_beside_the_station_end_with_the_fault():
    with busy_processors(2):
        pass


def test_a_moved_folder_comes_back(tmp_path):
    (tmp_path / 'one').mkdir()
    with moved(tmp_path / 'one'):
        assert not (tmp_path / 'one').exists()
    assert (tmp_path / 'one').is_dir()
