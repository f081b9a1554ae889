"""Diagrams of the station's graph and of the packages' layers as Graphviz text, read from the code.

`make docs` draws them: `.venv/bin/python tools/diagrams.py FOLDER` writes station.dot and layers.dot.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from qkd_gs.station.graph import NODES
from qkd_gs.tracking.record.topics import FEEDS

ROOT = Path(__file__).resolve().parents[1]
RUNTIME = 'qkd_gs.nodes.runtime.'
SHARED = {f'{RUNTIME}{name}' for name in ('camera', 'camera_requests', 'station_metrics')}  # that have topics
CAMERAS = ('guiding_camera', 'tracking_camera')
EVERYWHERE = {'/diagnostics', 'station_clock', '/clock'}  # between nearly all nodes: they would hide the rest
FONT = 'fontname="sans-serif"'


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


def station_dot() -> str:
    """Nodes as boxes, topics as labels of the arrows between them."""
    topics = node_topics()
    lines = [
        'digraph station {',
        f'rankdir=LR; ranksep=0.35; nodesep=0.2; node [shape=box, style="rounded,filled", {FONT}];',
        f'edge [{FONT}, fontsize=13, color="#667788"];',
    ]
    for spec in NODES:
        colour = '#e8d9f5' if spec.simulated else '#d5e8f8' if spec.lifecycle else '#f2f2f2'
        lines.append(f'"{spec.name}" [fillcolor="{colour}", tooltip="{spec.purpose}"];')
    for source, of_source in topics.items():
        for target, of_target in topics.items():
            shared = sorted((of_source.published & of_target.subscribed) - EVERYWHERE)
            if shared and source != target:
                label = r'\n'.join(shared)
                lines.append(f'"{source}" -> "{target}" [label="{label}"];')
    return '\n'.join([*lines, '}', ''])


def layers() -> list[list[str]]:
    """Packages, highest layer first; those of one layer do not import each other (import-linter checks both)."""
    document = tomllib.loads((ROOT / 'pyproject.toml').read_text(encoding='utf-8'))
    (contract,) = (one for one in document['tool']['importlinter']['contracts'] if one['type'] == 'layers')
    return [[name.strip().removeprefix('qkd_gs.') for name in line.split('|')] for line in contract['layers']]


def layers_dot() -> str:
    """A row for each layer; what is above may import what is below."""
    lines = ['digraph layers {', f'ranksep=0.18; node [shape=box, style="rounded,filled", width=1.6, {FONT}];']
    rows = layers()
    for row in rows:
        boxes = ' '.join(f'"{name}" [fillcolor="#d5e8f8", label="{name}\\n{_size(name)}"];' for name in row)
        lines.append(f'{{rank=same; {boxes}}}')
    for upper, lower in pairwise(rows):
        lines += [f'"{one}" -> "{other}" [color="#99aabb", arrowsize=0.6];' for one in upper for other in lower]
    return '\n'.join([*lines, '}', ''])


def _size(name: str) -> str:
    path = ROOT / 'qkd_gs' / name
    count = sum(1 for one in path.rglob('*.py') if one.name != '__init__.py') if path.is_dir() else 1
    return f'{count} module{"s" if count > 1 else ""}'


def _path(module: str) -> Path:
    return ROOT / f'{module.replace(".", "/")}.py'


def _imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding='utf-8'))
    return {node.module or '' for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def _collect(path: Path, name: str, topics: Topics) -> None:
    for call in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or len(call.args) < 2:
            continue
        into = {'publisher': topics.published, 'listen': topics.subscribed}.get(call.func.attr)
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


def main() -> None:
    """Write both diagrams."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (('station', station_dot()), ('layers', layers_dot())):
        (folder / f'{name}.dot').write_text(text, encoding='utf-8')


if __name__ == '__main__':
    main()
