"""The launch files, executed with stand-ins that note what they are asked for: `launch` itself is no package of pip's.

What a launch file asks for must be what the one declaration of the graph says.
"""

import importlib.util
import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from qkd_gs.errors import StationError
from qkd_gs.share import share_path
from qkd_gs.station.graph import NODES, station_graph
from qkd_gs.station.instance_lock import started
from qkd_gs.station.options import OPTIONS

DOMAIN = str(os.getpid())  # of this test process alone; no ROS runs in it
LOADED = []


class Noted:
    """An object of a launch file: what it was made with."""

    def __init__(self, *given, **named):
        self.given, self.named = given, named


class DeclareLaunchArgument(Noted):
    pass


class OpaqueFunction(Noted):
    pass


class SetEnvironmentVariable(Noted):
    pass


class Node(Noted):
    pass


class LifecycleNode(Noted):
    pass


class LaunchConfiguration(Noted):
    def perform(self, context):
        return context[self.given[0]]


@pytest.fixture
def launch_packages(monkeypatch):
    """Modules `launch` and `launch_ros` for the time of a test."""
    kinds = {
        'launch': {'LaunchDescription': lambda entities: SimpleNamespace(entities=entities)},
        'launch.actions': dict.fromkeys(
            ('EmitEvent', 'LogInfo', 'RegisterEventHandler', 'Shutdown', 'TimerAction'), Noted
        )
        | {one.__name__: one for one in (DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable)},
        'launch.conditions': {'IfCondition': Noted},
        'launch.substitutions': {'LaunchConfiguration': LaunchConfiguration},
        'launch.event_handlers': {'OnProcessExit': Noted, 'OnProcessStart': Noted},
        'launch.events': {'Shutdown': Noted},
        'launch_ros': {},
        'launch_ros.parameter_descriptions': {'ParameterValue': Noted},
        'launch_ros.actions': {'Node': Node, 'LifecycleNode': LifecycleNode},
    }
    for name, members in kinds.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)


def load(name):
    spec = importlib.util.spec_from_file_location(name.replace('.', '_'), share_path('launch', name))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    LOADED.append(module)
    return module


def arguments_of(description):
    return {one.given[0]: one.named for one in description.entities if isinstance(one, DeclareLaunchArgument)}


def chosen(description, **given):
    return {name: named['default_value'] for name, named in arguments_of(description).items()} | given


def nodes_of(description, **given):
    (function,) = (one for one in description.entities if isinstance(one, OpaqueFunction))
    made = function.named['function'](chosen(description, **given))
    return [one for one in made if isinstance(one, Node | LifecycleNode)]


@pytest.fixture(autouse=True)
def domain(monkeypatch):
    """A ROS domain in which no station runs; what a launch holds there until its process ends is let go."""
    monkeypatch.setenv('ROS_DOMAIN_ID', DOMAIN)
    yield
    while LOADED:
        for held in getattr(LOADED.pop(), '_held', []):
            held.close()


@pytest.mark.usefixtures('launch_packages')
def test_every_option_is_a_described_argument():
    arguments = arguments_of(load('station.launch.py').generate_launch_description())
    assert set(arguments) == {option.name for option in OPTIONS} | {'gui', 'secure'}
    assert all(len(named['description']) > 20 for named in arguments.values())
    for option in OPTIONS:  # what launch hands on is text
        assert option.parse(arguments[option.name]['default_value']) == option.default


@pytest.mark.usefixtures('launch_packages')
def test_the_nodes_are_those_of_the_declaration():
    description = load('station.launch.py').generate_launch_description()
    asked = {node.named['name']: node for node in nodes_of(description, speed='2.0', namespace='roof', record='false')}
    declared = {p.spec.name: p for p in station_graph({'speed': 2.0, 'namespace': 'roof', 'record': False})}
    assert asked.keys() == declared.keys()
    for name, node in asked.items():
        assert node.named['executable'] == name
        assert node.named['parameters'] == [dict(declared[name].parameters)]
        assert node.named['namespace'] == 'roof'
        assert node.named['respawn'] is True
        assert isinstance(node, LifecycleNode) == declared[name].spec.lifecycle


@pytest.mark.usefixtures('launch_packages')
@pytest.mark.parametrize('name', ['station.launch.py', 'replay.launch.py'])
def test_no_library_has_workers_beside_the_loops_of_the_nodes(name):
    entities = load(name).generate_launch_description().entities
    variables = dict(one.given for one in entities if isinstance(one, SetEnvironmentVariable))
    show = """
import cv2, numba, numpy, os
numpy.linalg.svd(numpy.ones((300, 300)))
print(cv2.getNumThreads(), numba.get_num_threads(), len(os.listdir('/proc/self/task')))
"""
    told = subprocess.run([sys.executable, '-c', show], env=os.environ | variables, capture_output=True, check=True)
    assert told.stdout.split() == [b'1', b'1', b'1']


@pytest.mark.usefixtures('launch_packages')
def test_a_secure_station_has_an_enclave_for_each_node(monkeypatch):
    description = load('station.launch.py').generate_launch_description()
    assert not any('--enclave' in node.named['ros_arguments'] for node in nodes_of(description, namespace='roof'))
    monkeypatch.setenv('ROS_SECURITY_KEYSTORE', '/keystore')
    for node in nodes_of(description, namespace='cellar', secure='true'):
        assert node.named['ros_arguments'][-2:] == ['--enclave', f'/cellar/qkd_gs/{node.named["name"]}']
        assert node.named['additional_env'] == {'ROS_SECURITY_ENABLE': 'true', 'ROS_SECURITY_STRATEGY': 'Enforce'}


@pytest.mark.usefixtures('launch_packages')
@pytest.mark.parametrize(
    ('given', 'said'),
    [
        ({'devices': 'hardware'}, 'mount: no driver has been chosen'),
        ({'speed': 'fast'}, "speed: 'fast' is not a float"),
        ({'secure': 'true'}, r'\$ROS_SECURITY_KEYSTORE names no keystore'),
        ({'devices': '/nowhere.yaml'}, '/nowhere.yaml: cannot be read'),
    ],
)
def test_what_cannot_be_is_one_sentence(given, said):
    description = load('station.launch.py').generate_launch_description()
    with pytest.raises(RuntimeError, match=said) as refused:
        nodes_of(description, **given)
    assert '\n' not in str(refused.value)


@pytest.mark.usefixtures('launch_packages')
def test_a_second_station_is_refused_before_anything_starts():
    description = load('station.launch.py').generate_launch_description()
    with started('/roof'):
        with pytest.raises(RuntimeError, match=f'another station runs in ROS domain {DOMAIN}'):
            nodes_of(description, namespace='roof')
        assert nodes_of(description, namespace='cellar')
    assert nodes_of(description, namespace='roof')
    with pytest.raises(StationError, match='another station runs'):  # for as long as the launch does
        started('/roof')


def test_every_node_has_its_module():
    for spec in NODES:
        assert importlib.util.find_spec(spec.module), spec.name


@pytest.mark.usefixtures('launch_packages')
def test_the_replay_describes_its_arguments():
    arguments = arguments_of(load('replay.launch.py').generate_launch_description())
    assert {'bag', 'speed'} <= set(arguments)
    assert all(named['description'] for named in arguments.values())
