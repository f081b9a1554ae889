"""The one sentence: what it says when, and that bad news come first."""

from dataclasses import replace
from math import nan, radians

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.monitoring.health import NodeHealth, health_of, loops_since
from qkd_gs.monitoring.node_faults import NodeFault, Severity, to_text
from qkd_gs.monitoring.readiness import ComingPass, Facts, Level, countdown, readiness
from qkd_gs.tracking.types import MountTask, Phase

S = 10**9
NOW = 1_538_581_000 * S
COMING = ComingPass('MICIUS', NOW + 192 * S, NOW + 500 * S, NOW + 800 * S, radians(72))
GOOD = tuple(NodeHealth(name, 0.5, 'active') for name in ('mount', 'guiding_camera', 'recorder', 'scene'))
READY = Facts(nodes=GOOD, calibrated=True, coming=COMING)


def said(**changes):
    judged = readiness(NOW, replace(READY, **changes))
    return judged.level, judged.sentence


def fault(message, for_s=0.0, severity=Severity.FAILED):
    return (NodeFault(message.split(':')[0], message, severity, for_s),)


def without(name, **changes):
    return tuple(replace(node, **changes) if node.name == name else node for node in GOOD)


@pytest.mark.parametrize(
    ('changes', 'level', 'sentence'),
    [
        ({}, Level.OK, 'ready, MICIUS in 03:12'),
        ({'coming': None}, Level.OK, 'ready, no pass within a day'),
        (
            {'coming': None, 'unheard': {'session/state', 'next_pass'}},
            Level.WARN,
            'starting: not heard yet: next_pass, session/state',
        ),
        ({'phase': Phase.WAIT}, Level.OK, 'armed, waiting for MICIUS in 03:12'),
        ({'phase': Phase.SLEW}, Level.OK, 'armed, slewing to the first point, MICIUS in 03:12'),
        ({'phase': Phase.FINE, 'el_rad': radians(43.1)}, Level.OK, 'tracking, locked, 43.1 deg'),
        ({'phase': Phase.FINE, 'el_rad': nan}, Level.OK, 'tracking, locked'),
        (
            {'phase': Phase.LOST, 'el_rad': radians(43.1)},
            Level.WARN,
            'tracking, beacon lost, following the prediction, 43.1 deg',
        ),
        (
            {'phase': Phase.FINE, 'too_busy': 'this machine is too busy (mount missed 8% of its periods): no images'},
            Level.WARN,
            'tracking, locked; this machine is too busy (mount missed 8% of its periods): no images',
        ),
        (
            {'phase': Phase.FINE, 'left_out': 'no images until it has not been busy for a while'},
            Level.OK,
            'tracking, locked; no images until it has not been busy for a while',
        ),
        ({'calibrated': False}, Level.WARN, 'not calibrated: run qkd-gs calibrate'),
        ({'calibrated': False, 'task': MountTask.CALIBRATING}, Level.OK, 'calibrating the pointing'),
        ({'calibrated': False, 'task': MountTask.PARKING}, Level.OK, 'moving to the park position'),
        ({'making_key': 'reconciliation'}, Level.OK, 'ready, MICIUS in 03:12, making the key (reconciliation)'),
        (
            {'coming': replace(COMING, usable=False, reasons='the Sun is up')},
            Level.WARN,
            'ready, but MICIUS in 03:12 cannot be tracked: the Sun is up',
        ),
        (
            {'nodes': without('guiding_camera', heartbeat_age_s=4.2)},
            Level.ERROR,
            'not ready: guiding_camera has sent no heartbeat for 4 s',
        ),
        (
            {'nodes': without('mount', heartbeat_age_s=None)},
            Level.WARN,
            'starting: 3 of 4 nodes are there, waiting for mount',
        ),
        (
            {'nodes': without('mount', heartbeat_age_s=None), 'phase': Phase.FINE},
            Level.ERROR,
            'mount has sent no heartbeat; tracking, locked',
        ),
        ({'nodes': without('mount', state='inactive')}, Level.ERROR, 'not ready: mount is inactive'),
        (
            {'nodes': without('mount', faults=fault('mount.following_error: 7 mrad'))},
            Level.ERROR,
            'not ready: mount reports mount.following_error: 7 mrad',
        ),
        (
            {'nodes': without('mount', heartbeat_age_s=9.0), 'phase': Phase.FINE, 'el_rad': radians(43.1)},
            Level.ERROR,
            'mount has sent no heartbeat for 9 s; tracking, locked, 43.1 deg',
        ),
        (
            {'nodes': without('scene', heartbeat_age_s=None)},
            Level.WARN,
            'ready, MICIUS in 03:12; scene has sent no heartbeat',
        ),
        ({'interlock_open': True}, Level.WARN, 'ready, MICIUS in 03:12; the interlock is open'),
        (
            {'phase': Phase.FINE, 'forbidden': ('sun.exclusion', 'azimuth.limit')},
            Level.ERROR,
            'stopped for safety (sun.exclusion azimuth.limit); tracking, locked',
        ),
        (
            {'sun_s': 432.0},
            Level.ERROR,
            'not ready: the Sun will be too close to the telescope in 07:12, which nobody moves: park or cover it',
        ),
        (
            {'shines_on': True, 'phase': Phase.FINE},
            Level.ERROR,
            'the beacon shines although it must not: take its power or its key; tracking, locked',
        ),
        (
            {'sun_s': 0.0, 'calibrated': False},
            Level.ERROR,
            'not ready: the Sun may be too close to the telescope, which nobody moves: park or cover it',
        ),
        (
            {'sun_s': 0.0, 'phase': Phase.FINE},
            Level.ERROR,
            'the Sun is too close to the telescope, which nobody moves: park or cover it; tracking, locked',
        ),
        (
            {'sun_s': 0.0, 'nodes': without('mount', heartbeat_age_s=None)},
            Level.ERROR,
            'the Sun is too close to the telescope, which nobody moves: park or cover it; '
            'starting: 3 of 4 nodes are there, waiting for mount',
        ),
        ({'forbidden': ('control.silent',)}, Level.OK, 'ready, MICIUS in 03:12'),  # nobody commands between passes
    ],
)
def test_the_sentence(changes, level, sentence):
    assert said(**changes) == (level, sentence)


def test_a_fault_is_named_before_a_silence():
    nodes = (
        replace(GOOD[0], heartbeat_age_s=8.0),
        replace(GOOD[1], faults=fault('camera.lost: unplugged')),
        *GOOD[2:],
    )
    assert (
        said(nodes=nodes)[1]
        == 'not ready: guiding_camera reports camera.lost: unplugged; mount has sent no heartbeat for 8 s'
    )


def test_of_several_faults_each_is_told_and_the_oldest_first():
    nodes = (
        replace(GOOD[0], faults=fault('mount.stall: azimuth', 2.0)),
        replace(GOOD[1], faults=fault('camera.lost: unplugged', 60.0)),
        replace(GOOD[2], faults=fault('images not recorded', 500.0)),
        GOOD[3],
    )
    assert said(nodes=nodes, phase=Phase.FINE, tags='no photons are counted') == (
        Level.ERROR,
        'no photons are counted; guiding_camera reports camera.lost: unplugged; mount reports mount.stall: azimuth; '
        'tracking, locked; recorder reports images not recorded',
    )


def test_of_several_faults_of_one_node_none_is_hidden():
    """Also none of another node that lies between them, and the worst of all nodes is the first."""
    minor = fault('2 messages refused', 900.0, Severity.DEGRADED)
    nodes = (
        replace(GOOD[0], faults=fault('no power', 70.0) + fault('mount.stall: azimuth', 2.0) + minor),
        replace(GOOD[1], faults=fault('unplugged', 60.0)),
        *GOOD[2:],
    )
    assert said(nodes=nodes)[1] == (
        'not ready: mount reports no power; guiding_camera reports unplugged; mount reports mount.stall: azimuth; '
        'mount reports 2 messages refused'
    )
    assert nodes[0].trouble == 'reports no power; reports mount.stall: azimuth; reports 2 messages refused'


def test_what_a_node_works_on_with_is_told_after_a_silence():
    minor = fault('2 messages refused', 900.0, Severity.DEGRADED)
    nodes = (replace(GOOD[0], faults=minor), replace(GOOD[1], heartbeat_age_s=8.0), *GOOD[2:])
    assert said(nodes=nodes)[1] == (
        'not ready: guiding_camera has sent no heartbeat for 8 s; mount reports 2 messages refused'
    )


def test_nodes_with_the_same_trouble_are_told_together():
    nodes = tuple(replace(node, heartbeat_age_s=9.0) for node in GOOD[:2])
    assert said(nodes=nodes)[1] == 'not ready: mount, guiding_camera: each has sent no heartbeat for 9 s'


def test_a_fault_of_a_station_that_starts_is_told_first():
    nodes = (replace(GOOD[0], heartbeat_age_s=None), replace(GOOD[1], faults=fault('unplugged')))
    assert said(nodes=nodes) == (
        Level.ERROR,
        'guiding_camera reports unplugged; starting: 1 of 2 nodes are there, waiting for mount',
    )


def test_what_a_silent_tracker_did_last_is_not_told_as_what_it_does():
    assert said(phase=Phase.FINE, forbidden=('control.silent',), tracker_silent_s=4.0) == (
        Level.ERROR,
        'stopped for safety (control.silent); the tracker was last heard 4 s ago: tracking, locked',
    )


@given(st.sampled_from(Phase), st.booleans(), st.booleans(), st.sampled_from([None, COMING]), st.floats())
def test_every_state_of_the_station_has_its_sentence(phase, calibrated, interlock_open, coming, el_rad):
    facts = Facts(GOOD, calibrated=calibrated, phase=phase, coming=coming, el_rad=el_rad, interlock_open=interlock_open)
    judged = readiness(NOW, facts)
    assert judged.sentence
    assert '\n' not in judged.sentence
    assert 'nan' not in judged.sentence
    broken = readiness(NOW, replace(facts, nodes=without('mount', heartbeat_age_s=30.0)))
    assert broken.level is Level.ERROR
    assert 'mount has sent no heartbeat for 30 s' in broken.sentence


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [(192.2, '03:12'), (0, '00:00'), (-5, '00:00'), (3599.6, '1:00:00'), (3792, '1:03:12'), (180_000, '2 d 02:00')],
)
def test_countdown(seconds, text):
    assert countdown(seconds) == text


def test_a_heartbeat_is_read():
    values = {'state': 'active', 'fault': '', 'cpu_percent': '12.5', 'loop_missed': '2', 'loop_steps': '900'}
    values |= {'loop_2_missed': '1', 'loop_2_steps': '97', 'loop_2_period_ms': '10.0 10.1 10.2'}
    health = health_of('tracker', values, 'active', 0.2)
    assert (health.cpu_percent, health.missed_share, health.trouble) == (12.5, 0.003, '')
    assert health.memory_mb != health.memory_mb  # not told


def test_all_faults_of_a_heartbeat_are_read():
    faults = fault('mount.off: no power', 12.5) + fault('node.stranger: 2 messages', 3.0, Severity.DEGRADED)
    values = {'state': 'active', 'fault': 'mount.off', 'faults': to_text(faults)}
    assert health_of('mount', values, 'mount.off: no power', 0.2).faults == faults


@pytest.mark.parametrize('listed', ['', '[]', '[{"code": "mount.off"}]', '[1]', '7', '{"a": 1}', 'no power', 'null'])
def test_a_heartbeat_whose_list_of_faults_is_unreadable_still_tells_the_one_it_names(listed):
    values = {'state': 'active', 'fault': 'mount.off', 'faults': listed}
    health = health_of('mount', values, 'the drives have no power', 0.2)
    assert health.faults == (NodeFault('mount.off', 'the drives have no power'),)


def test_nonsense_in_a_heartbeat_is_not_believed():
    health = health_of('tracker', {'state': 'active', 'cpu_percent': 'much', 'loop_missed': '-1'}, '', 0.2)
    assert health.cpu_percent != health.cpu_percent
    assert health.missed == 0


def test_loops_are_counted_between_two_moments():
    def nodes(**counted):
        return {name: NodeHealth(name, 0.0, 'active', missed=m, steps=s) for name, (m, s) in counted.items()}

    before = nodes(mount=(50, 1000), tracker=(7, 900), scene=(0, 0))
    now = nodes(mount=(60, 1990), tracker=(1, 99), scene=(0, 0), hwp=(0, 10))
    assert loops_since(before, now) == {
        'mount': {'steps': 990, 'missed_share': 0.01},
        'tracker': {'steps': 99, 'missed_share': 0.01},  # restarted
        'hwp': {'steps': 10, 'missed_share': 0.0},
    }


def test_a_stranger_in_the_graph_is_told():
    sentence = '/other publishes mount/command and is no node of this station'
    assert said(strangers=sentence) == (Level.ERROR, f'not ready: {sentence}')
    assert said(strangers=sentence, phase=Phase.FINE) == (Level.ERROR, f'{sentence}; tracking, locked')
