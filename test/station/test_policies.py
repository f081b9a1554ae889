"""Policies of SROS2: everybody may do what the graph declares, and nobody else may command."""

from xml.etree import ElementTree

import pytest

from qkd_gs.cli import main
from qkd_gs.station.graph import NODES
from qkd_gs.station.policies import enclave_of, policy
from qkd_gs.station.topics import COMMANDS, INTERFACES, publishers_of


@pytest.fixture(scope='module')
def profiles():
    """Rules by node: {(kind, verb): names}."""
    found = {}
    root = ElementTree.fromstring(policy(NODES))
    assert (root.tag, root.attrib) == ('policy', {'version': '0.2.0'})
    for profile in root.iter('profile'):
        rules = found.setdefault(profile.get('node'), {})
        for group in profile:
            ((verb, allowed),) = group.attrib.items()
            assert allowed == 'ALLOW'
            rules.setdefault((group[0].tag, verb), set()).update(one.text for one in group)
    return found


@pytest.mark.parametrize('topic', COMMANDS)
def test_only_declared_nodes_may_command(profiles, topic):
    allowed = {node for node, rules in profiles.items() if topic in rules.get(('topic', 'publish'), ())}
    assert allowed == set(publishers_of(topic))


def test_every_node_may_do_what_it_does(profiles):
    for name, interfaces in INTERFACES.items():
        assert set(interfaces.publishes) <= profiles[name]['topic', 'publish']
        assert set(interfaces.subscribes) | {'station_clock'} <= profiles[name]['topic', 'subscribe']
        assert '~/set_parameters' in profiles[name]['service', 'reply']
    everything = {topic for one in INTERFACES.values() for topic in one.publishes}
    assert everything <= profiles['recorder']['topic', 'subscribe']


def test_the_monitor_and_operators_alone_may_call_the_lifecycle(profiles):
    callers = {
        node for node, rules in profiles.items() if 'mount/change_state' in rules.get(('service', 'request'), ())
    }
    assert callers == {'monitor', 'watch', 'rviz', 'rqt'}
    assert '~/change_state' in profiles['mount']['service', 'reply']
    assert '~/change_state' not in profiles['tracker']['service', 'reply']


def test_an_operator_may_ask_for_a_pass_and_command_nothing(profiles):
    assert profiles['watch']['action', 'call'] == {'track_pass', 'calibrate', 'observe', 'park', 'tonight'}
    assert {'abort_pass', 'abort_evening'} <= profiles['watch']['service', 'request']
    assert profiles['watch']['topic', 'publish'] == {'/rosout', '/parameter_events'}


def test_a_node_may_ask_for_what_another_one_serves_and_for_nothing_else(profiles):
    assert profiles['evening']['action', 'call'] == {'track_pass', 'calibrate', 'observe', 'park'}
    for name in ('evening', 'monitor'):
        assert 'abort_pass' in profiles[name]['service', 'request']
    assert not set(INTERFACES['evening'].publishes) & set(COMMANDS)
    served = {action for one in INTERFACES.values() for action in one.actions}
    for interfaces in INTERFACES.values():
        assert set(interfaces.calls) <= served


def test_the_command_writes_them_and_lists_the_enclaves(tmp_path, capsys):
    path = tmp_path / 'policies.xml'
    assert main(['policies', str(path), '--namespace', 'roof', '--no-record']) == 0
    enclaves = capsys.readouterr().out.split()
    assert '/roof/qkd_gs/mount' in enclaves
    assert '/roof/qkd_gs/operator' in enclaves
    assert '/roof/qkd_gs/recorder' not in enclaves
    root = ElementTree.parse(path).getroot()
    assert [one.get('path') for one in root.iter('enclave')] == enclaves
    assert {one.get('ns') for one in root.iter('profile')} == {'/roof'}


def test_enclaves():
    assert enclave_of('', 'mount') == '/qkd_gs/mount'
    assert enclave_of('/a/b/', 'mount') == '/a/b/qkd_gs/mount'
