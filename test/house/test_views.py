"""The files for rviz, rqt and the aggregator name what there is: topics, frames and nodes of this station.

The tools are not installed where the tests run; the names of their settings are those of their Jazzy sources.
"""

import ast
import importlib
import json
import re

import pytest
import yaml

from qkd_gs.monitoring.description import robot_description
from qkd_gs.monitoring.kinematics import FrameTree
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.station.graph import NODES

SHOWN_BY = {
    'rviz_default_plugins/RobotModel': 'std_msgs/String',
    'rviz_default_plugins/MarkerArray': 'visualization_msgs/MarkerArray',
    'rviz_default_plugins/Image': 'sensor_msgs/Image',
}
PLUGINS = {
    'rqt_image_view/ImageView',
    'rqt_plot/Plot',
    'rqt_reconfigure/Param',
    'rqt_runtime_monitor/RuntimeMonitor',
}
ANALYZER = {'type', 'path', 'startswith', 'expected', 'timeout'}


def read(name):
    return share_path('config', name).read_text(encoding='utf-8')


def topics():
    """Type and QoS of every topic, from the table that people read."""
    table = {}
    for line in share_path('doc', 'interfaces.md').read_text(encoding='utf-8').split('## Topics')[1].splitlines():
        cells = [cell.strip() for cell in line.strip('|').split('|')]
        if len(cells) == 5 and cells[0].startswith('`'):
            kinds = re.findall(r'`([\w/]+)`', cells[1])
            names = re.findall(r'`([\w/]+)`', cells[0])
            for name, kind in zip(names, kinds * len(names) if len(kinds) == 1 else kinds, strict=True):
                table[name.lstrip('/')] = kind, cells[4]
    return table


TOPICS = topics()
RVIZ = yaml.safe_load(read('station.rviz'))['Visualization Manager']
DISPLAYS = {display['Name']: display for display in RVIZ['Displays']}
PERSPECTIVE = json.loads(read('station.perspective'))['groups']['pluginmanager']
ANALYZERS = {
    key: value for key, value in yaml.safe_load(read('diagnostics.yaml'))['/**']['ros__parameters'].items()
    if isinstance(value, dict)
}  # fmt: skip


@pytest.mark.parametrize('display', [name for name, entry in DISPLAYS.items() if entry['Class'] in SHOWN_BY])
def test_rviz_listens_to_topics_of_the_station(display):
    display = DISPLAYS[display]
    topic = display.get('Topic') or display['Description Topic']
    kind, qos = TOPICS[topic['Value']]
    assert kind == SHOWN_BY[display['Class']]
    # a subscriber that asks for more than the publisher gives hears nothing
    assert topic['Reliability Policy'] == ('Best Effort' if qos == 'sensor' else 'Reliable')
    assert topic['Durability Policy'] == ('Transient Local' if qos == 'transient local' else 'Volatile')


def test_rviz_names_frames_of_the_station():
    station = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    links = set(FrameTree(robot_description(station, MountModel())).links)
    frames = set(DISPLAYS['Frames']['Frames']) - {'All Enabled'}
    assert {RVIZ['Global Options']['Fixed Frame'], DISPLAYS['Ground']['Reference Frame'], *frames} <= links


def test_rviz_shows_both_cameras_the_body_and_the_sky():
    shown = [(entry['Class'].split('/')[1]) for entry in DISPLAYS.values() if entry['Enabled']]
    assert sorted(shown) == ['Grid', 'Image', 'Image', 'MarkerArray', 'RobotModel', 'TF']


def settings(plugin):
    keys = plugin['groups']['plugin']['keys']
    assert all(value['type'] == 'repr' for value in keys.values())
    return {key: ast.literal_eval(value['repr']) for key, value in keys.items()}


def test_rqt_opens_what_the_file_configures():
    running = ast.literal_eval(PERSPECTIVE['keys']['running-plugins']['repr'])
    assert set(running) == PLUGINS
    opened = {f'plugin__{name.replace("/", "__")}__{number}' for name, numbers in running.items() for number in numbers}
    assert set(PERSPECTIVE['groups']) == opened


@pytest.mark.parametrize('number', [1, 2])
def test_rqt_plots_fields_that_there_are(number):
    for path in settings(PERSPECTIVE['groups'][f'plugin__rqt_plot__Plot__{number}'])['topics']:
        topic, field = path.lstrip('/').rsplit('/', 1)
        kind = TOPICS[topic][0]
        message = getattr(importlib.import_module('qkd_gs.msg'), kind)
        assert message.get_fields_and_field_types()[field] in ('double', 'uint32')


@pytest.mark.parametrize('number', [1, 2])
def test_rqt_shows_images_of_the_station(number):
    topic = settings(PERSPECTIVE['groups'][f'plugin__rqt_image_view__ImageView__{number}'])['topic']
    assert TOPICS[topic.lstrip('/')][0] == 'sensor_msgs/Image'


@pytest.mark.parametrize('spec', NODES, ids=lambda spec: spec.name)
def test_every_node_is_in_one_group_of_the_aggregator(spec):
    groups = [name for name, entry in ANALYZERS.items() if f'{spec.name}: ' in entry['startswith']]
    assert len(groups) == 1


def test_the_aggregator_expects_the_names_of_the_heartbeats():
    """As `nodes.base` gives them; a name that nobody sends would be stale permanently."""
    names = {f'{spec.name}: {spec.name.replace("_", " ")}' for spec in NODES}
    optional = {'world: world', 'recorder: recorder'}
    assert {name for entry in ANALYZERS.values() for name in entry['expected']} == names - optional
    assert all(set(entry) == ANALYZER for entry in ANALYZERS.values())
