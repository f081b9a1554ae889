"""What the nodes' code publishes and subscribes to is what is declared, in station/topics.py and on the page."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from qkd_gs.station.graph import NODES
from qkd_gs.station.topics import INTERFACES
from qkd_gs.tracking.record.topics import FEEDS

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = 'qkd_gs.nodes.runtime.'
SHARED = {f'{RUNTIME}{name}' for name in ('camera', 'camera_requests', 'station_metrics')}  # that have topics
SHARED |= {f'qkd_gs.nodes.clients.{name}' for name in ('observation_run', 'station_light')}
CAMERAS = ('guiding_camera', 'tracking_camera')


@dataclass
class Topics:
    """What a node publishes and subscribes to, as relative names."""

    published: set[str] = field(default_factory=set)
    subscribed: set[str] = field(default_factory=set)


def node_topics() -> dict[str, Topics]:
    """Topics of every node of the station, by the node's name; internal topics of the simulation are left out."""
    found = {}
    for spec in NODES:
        topics = Topics()
        paths = [_path(spec.module)]
        paths += [_path(module) for module in sorted(_imported(paths[0]) & SHARED)]
        for path in paths:
            _collect(path, spec.name, topics)
        found[spec.name] = topics
    return found


def _path(module: str) -> Path:
    return ROOT / f'{module.replace(".", "/")}.py'


def _imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding='utf-8'))
    return {node.module or '' for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def _collect(path: Path, name: str, topics: Topics) -> None:
    for call in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if not isinstance(call, ast.Call) or len(call.args) < 2:
            continue
        if isinstance(call.func, ast.Name) and call.func.id == 'subscribe':
            topics.subscribed.update(_names(call.args[1], name))
        if not isinstance(call.func, ast.Attribute):
            continue
        into = {'publisher': topics.published, 'listen': topics.subscribed, 'gather': topics.subscribed}.get(
            call.func.attr
        )
        if into is not None and not _is_internal(call):
            into.update(_names(call.args[1], name))


def _is_internal(call: ast.Call) -> bool:
    """Whether a call is of the link between simulated devices: ``link.listen(CHANNEL, TYPE, ...)``."""
    return isinstance(call.args[0], ast.Constant)


def _names(argument: ast.expr, node: str) -> set[str]:
    """Topics that the argument of a call stands for: a text, or ``f'{CAMERA}/NAME'``, or one of `FEEDS`."""
    if isinstance(argument, ast.Constant):
        return {str(argument.value)}
    if isinstance(argument, ast.JoinedStr):
        ending = str(argument.values[-1].value) if isinstance(argument.values[-1], ast.Constant) else ''
        return {f'{camera}{ending}' for camera in ((node,) if node in CAMERAS else CAMERAS)}
    if isinstance(argument, ast.Name) and argument.id == 'topic':
        return set(FEEDS)
    raise ValueError(f'{node}: the topic {ast.unparse(argument)} is not readable from the code')


@pytest.mark.parametrize('name', [spec.name for spec in NODES])
def test_the_declared_topics_are_those_of_the_code(name):
    found, declared = node_topics()[name], INTERFACES[name]
    assert found.published == set(declared.publishes)
    assert found.subscribed == set(declared.subscribes)


def test_the_tour_lists_the_nodes_and_actions_of_the_station():
    page = (ROOT / 'doc' / 'tour.md').read_text(encoding='utf-8')
    nodes, actions = (
        set(re.findall(r'^ {4}/([a-z_]+)', page.split(command)[1].split('\n\n')[0], re.M)) - {'launch_ros_'}
        for command in ('$ ros2 node list\n', '$ ros2 action list -t\n')
    )
    assert nodes == {spec.name for spec in NODES}
    assert actions == {action for interfaces in INTERFACES.values() for action in interfaces.actions}


def test_the_table_of_topics_agrees_with_the_nodes():
    """Every topic that a node publishes has its row in doc/interfaces.md, with that node as its source."""
    page = (ROOT / 'doc' / 'interfaces.md').read_text(encoding='utf-8')
    rows = re.findall(r'^\| (`[^|]+`) \| `[^|]+` \| ([^|]+) \|', page, re.M)
    listed = {topic: source for topics, source in rows for topic in re.findall(r'`([^`]+)`', topics)}
    for node, interfaces in INTERFACES.items():
        for topic in interfaces.publishes:
            source = listed.get(topic, '')
            assert node in source or (node in CAMERAS and source == 'the camera'), (node, topic)
