"""Diagrams of the station's graph and of the packages' layers as Graphviz text, read from the code.

`make docs` draws them: `.venv/bin/python tools/diagrams.py FOLDER` writes station.dot and layers.dot.
"""

from __future__ import annotations

import argparse
import tomllib
from itertools import pairwise
from pathlib import Path

from qkd_gs.station.graph import NODES
from qkd_gs.station.topics import INTERFACES

ROOT = Path(__file__).resolve().parents[1]
EVERYWHERE = {'/diagnostics', 'station_clock', '/clock'}  # between nearly all nodes: they would hide the rest
FONT = 'fontname="sans-serif"'


def station_dot() -> str:
    """Nodes as boxes, topics as labels of the arrows between them."""
    lines = [
        'digraph station {',
        f'rankdir=LR; ranksep=0.35; nodesep=0.2; node [shape=box, style="rounded,filled", {FONT}];',
        f'edge [{FONT}, fontsize=13, color="#667788"];',
    ]
    for spec in NODES:
        colour = '#e8d9f5' if spec.simulated else '#d5e8f8' if spec.lifecycle else '#f2f2f2'
        lines.append(f'"{spec.name}" [fillcolor="{colour}", tooltip="{spec.purpose}"];')
    for source, of_source in INTERFACES.items():
        for target, of_target in INTERFACES.items():
            shared = sorted(set(of_source.publishes) & set(of_target.subscribes) - EVERYWHERE)
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


def main() -> None:
    """Write both diagrams."""
    parser = argparse.ArgumentParser(description='Draw the station graph and the layers as Graphviz files.')
    parser.add_argument('folder', type=Path, help='where layers.dot and station.dot are written')
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (('station', station_dot()), ('layers', layers_dot())):
        (folder / f'{name}.dot').write_text(text, encoding='utf-8')


if __name__ == '__main__':
    main()
