"""What an operator may choose, and the graph that comes of it."""

from pathlib import Path

import pytest
import rclpy
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from qkd_gs.errors import StationError
from qkd_gs.share import share_path
from qkd_gs.station.graph import NODES, nodes_of, station_graph, strangers, yaml_scalar
from qkd_gs.station.options import OF_THE_GRAPH, OPTIONS, Option, chosen, defaults, option, state_folder
from qkd_gs.station.processes import REFUSED
from qkd_gs.station.topics import COMMANDS, INTERFACES, publishers_of


def test_text_becomes_the_type_of_the_default():
    assert Option('speed', 1.0, '').parse('2') == 2.0
    assert isinstance(Option('speed', 1.0, '').parse('2'), float)
    assert Option('seed', 1, '').parse('17') == 17
    assert Option('site', 'x', '').parse('31,121,4') == '31,121,4'
    assert [Option('record', True, '').parse(text) for text in ('true', 'False', 'TRUE')] == [True, False, True]


@pytest.mark.parametrize(
    ('made', 'text', 'told'),
    [
        (Option('speed', 1.0, ''), 'fast', "speed: 'fast' is not a float"),
        (Option('seed', 1, ''), '1.5', "seed: '1.5' is not a int"),
        (Option('record', True, ''), 'yes', "record: 'yes' is not true or false"),
        (option('log_level'), 'loud', "log_level: 'loud' is none of debug, info, warn, error"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(made, text, told):
    with pytest.raises(StationError) as error:
        made.parse(text)
    assert str(error.value).startswith(told)


def test_every_option_is_described_and_keeps_its_own_default():
    assert len({one.name for one in OPTIONS}) == len(OPTIONS)
    for one in OPTIONS:
        assert one.description
        assert one.parse(str(one.default)) == one.default
    assert set(OF_THE_GRAPH) < set(defaults())


def test_paths_are_made_absolute_since_nodes_may_run_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = chosen({'elements': 'a.tle', 'devices': 'mine.yaml', 'sessions_dir': 'here'})
    assert values['elements'] == str(tmp_path / 'a.tle')
    assert values['devices'] == str(tmp_path / 'mine.yaml')
    assert values['sessions_dir'] == str(tmp_path / 'here')
    assert values['station'] == ''
    assert chosen({})['devices'] == 'sim'


def test_simulated_state_lies_apart(monkeypatch, tmp_path):
    monkeypatch.setenv('QKD_GS_STATE', str(tmp_path))
    assert state_folder('', simulated=False) == tmp_path
    assert state_folder('', simulated=True) == tmp_path / 'simulated'
    assert state_folder('/elsewhere', simulated=True) == Path('/elsewhere')
    monkeypatch.delenv('QKD_GS_STATE')
    assert Path.home() in state_folder('', simulated=False).parents


def test_the_graph_has_every_node_once_and_all_the_options():
    graph = station_graph({'seed': 5, 'namespace': 'north', 'log_level': 'debug'})
    names = [process.spec.name for process in graph]
    assert names == [spec.name for spec in NODES]
    for process in graph:
        assert process.parameters['seed'] == 5
        assert set(process.parameters) == {one.name for one in OPTIONS} - set(OF_THE_GRAPH)
        arguments = process.ros_arguments()
        assert arguments[0] == '--ros-args'
        assert '__ns:=/north' in arguments
        assert f'__node:={process.spec.name}' in arguments
        assert arguments[arguments.index('--log-level') + 1] == 'debug'


def test_the_nodes_named_are_there():
    """Every declared node has its module, and every module its declaration, but for what plays bags."""
    folder = Path(__file__).parents[2] / 'qkd_gs' / 'nodes'
    written = {path.stem.removesuffix('_node') for path in folder.glob('*_node.py')} - {'replay'}
    assert written == {spec.name for spec in NODES}
    owners = {spec.name for spec in NODES if spec.lifecycle}
    for name in written:
        assert ('DeviceNode' in (folder / f'{name}_node.py').read_text() or name.endswith('camera')) == (name in owners)


def test_an_unknown_option_is_refused_with_those_there_are():
    with pytest.raises(StationError, match=r"no option 'spede'.*speed"):
        station_graph({'spede': 2.0})


def test_without_recording_there_is_no_recorder():
    assert 'recorder' not in [process.spec.name for process in station_graph({'record': False})]
    assert len(nodes_of(True, False)) == len(NODES) - 1


def test_a_world_only_where_devices_are_simulated():
    assert 'world' not in [spec.name for spec in nodes_of(simulated=False, record=True)]


def test_hardware_without_drivers_is_refused_by_file_and_device():
    with pytest.raises(StationError, match=r'hardware\.yaml: mount: no driver has been chosen'):
        station_graph({'devices': 'hardware'})


TEXTS = st.text(st.characters(codec='utf-8', exclude_categories=['C', 'Z']), max_size=12)


@given(
    st.one_of(TEXTS, st.sampled_from(['1', '1e3', 'true', 'null', '~', '0x10', '2018-10-03', "it's", '', ': x', '[]']))
)
def test_text_on_a_command_line_stays_text(text):
    assert yaml.safe_load(yaml_scalar(text)) == text


@pytest.mark.parametrize('value', [True, False, 0, 7, -3, 1.0, 1e-9, 2.5e22, float('inf')])
def test_numbers_on_a_command_line_keep_type_and_value(value):
    back = yaml.safe_load(yaml_scalar(value).replace('inf', '.inf'))
    assert back == value or float(back) == value


def test_ros_itself_reads_the_values_back():
    """As rcl parses them: the authority on what a command line means."""
    given = {
        'text': '1.5', 'flag_like': 'true', 'date': '2018-10-03T15:56:42Z', 'empty': '', 'quoted': "it's",
        'path': '/a b/c',
        'number': 1.5, 'whole': 3, 'yes': True, 'tiny': 1e-7, 'big': 1e22,
    }  # fmt: skip
    arguments = ['--ros-args']
    for name, value in given.items():
        arguments += ['-p', f'{name}:={yaml_scalar(value)}']
    context = Context()
    rclpy.init(args=arguments, context=context)
    try:
        node = Node('reader', context=context, start_parameter_services=False, enable_rosout=False)
        try:
            for name, value in given.items():
                read = node.declare_parameter(name, value)
                assert read.type_ == Parameter(name, value=value).type_, name
                assert read.value == value, name
        finally:
            node.destroy_node()
    finally:
        context.try_shutdown()


def test_the_status_of_a_refusal_is_the_command_lines_own():
    assert REFUSED == 2
    assert share_path('config', 'devices', 'sim.yaml').exists()


def test_publishers_of_commands_that_are_not_declared_are_named():
    found = {
        'mount/command': [('/', 'tracker'), ('/', 'calibrator'), ('/', '_NODE_NAME_UNKNOWN_')],
        'safety/status': [('/', 'monitor')],
    }
    assert strangers('/', found) == ''
    found['safety/status'] += [('/', 'tracker'), ('/a', 'monitor'), ('/a', 'monitor')]
    assert strangers('/', found) == (
        '/tracker publishes safety/status and is no node of this station; '
        '/a/monitor publishes safety/status and is no node of this station'
    )
    assert strangers('/a', {'safety/status': [('/a', 'monitor')]}) == ''


def test_commanders_are_nodes_of_the_station():
    assert all(publishers_of(topic) for topic in COMMANDS)
    assert set(INTERFACES) == {spec.name for spec in NODES}
