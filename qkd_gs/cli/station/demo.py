"""`qkd-gs demo`: the whole station as a ROS graph with simulated devices tracks a pass and makes its key."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from qkd_gs.cli.console.signals import ended_by_signals
from qkd_gs.cli.console.summary import print_summary
from qkd_gs.cli.operation.track import Shown
from qkd_gs.cli.station.up import stopped_at_the_end
from qkd_gs.errors import StationError
from qkd_gs.keys.folder import find_key_folder
from qkd_gs.monitoring.health import NodeHealth, loops_since
from qkd_gs.monitoring.snapshot import KeyStep, Snapshot
from qkd_gs.nodes.clients.listener import is_ready
from qkd_gs.nodes.clients.operator import Operator
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.report import write_report
from qkd_gs.session.manifest import load_manifest, update_run_metrics
from qkd_gs.station.demo_station import AT, DemoStation, costs
from qkd_gs.station.processes import StationProcesses
from qkd_gs.tracking.record.manifest_writer import new_folder

_FROM_DEG = 10.0
_LOOK_S = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('--session', type=Path, metavar='DIR', help='new folder (default: one under sessions/)')
    parser.add_argument(
        '--speed',
        type=float,
        default=0.0,
        metavar='X',
        help='seconds of station time a second; 0 (the default): as fast as every loop keeps its period',
    )
    parser.add_argument('--seed', type=int, default=1, metavar='N', help='random seed of the simulated world (1)')
    parser.add_argument(
        '--devices', default='sim', choices=('sim', 'hil'), help='hil: real drivers, in real time, see doc/hil.md (sim)'
    )
    parser.add_argument(
        '--from-el', type=float, default=_FROM_DEG, metavar='DEG', help='elevation of start and end (10)'
    )


def run(args: argparse.Namespace) -> int:
    """Calibrate, start the graph, track the pass, wait for the key, stop everything, print the summary."""
    folder = (args.session or Path('sessions') / f'demo-{time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())}').absolute()
    new_folder(folder)  # refuse a folder in use now, not after the calibration
    os.environ['QKD_GS_KEYS'] = str(find_key_folder(None, simulated=True).path)
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix='qkd_gs-demo-') as place:
        say = Console(stderr=True, highlight=False).print
        say('[bold]calibrating the pointing on stars, the evening before[/bold]')
        speed = 1.0 if args.devices == 'hil' else args.speed
        graph = DemoStation(args.from_el, speed, args.seed, args.devices).prepare(Path(place), folder.parent)
        pace = f'{speed:g} times as fast' if speed else 'as fast as every loop keeps its period'
        say(f'[bold]starting {len(graph)} nodes[/bold], station time runs {pace}')
        logs = Path(place) / 'logs'
        station = StationProcesses(graph, logs, _warn)
        operator: Operator | None = None
        try:
            with ended_by_signals(once=True), stopped_at_the_end(station):
                station.start()
                operator = Operator()
                metrics = _track(operator, station, folder)
        finally:
            if operator is not None:
                operator.close()
            if folder.is_dir() and logs.is_dir():
                shutil.copytree(logs, folder / 'logs', dirs_exist_ok=True)
    result = _finish(folder, metrics | {'demo_s': round(time.monotonic() - began_s, 1)})
    print_summary(result, folder, write_report(folder))
    _print_graph(result['run'], folder)
    return 0


def _track(operator: Operator, station: StationProcesses, folder: Path) -> dict[str, Any]:
    """Wait until the station is ready, track the pass, wait for the key; returns the costs of the graph."""
    heard: dict[str, NodeHealth] = {}

    def look(snapshot: Snapshot) -> Snapshot:
        station.watch(time.monotonic())
        for node in snapshot.nodes:
            if node.steps or node.name not in heard:
                heard[node.name] = node
        return snapshot

    with Shown() as shown:
        operator.listen_until(is_ready, lambda now: shown.say_once(look(now).readiness.sentence), _LOOK_S)
        before = dict(heard)
        at_ns = parse_utc(AT, 'at')
        operator.track(at_ns, folder.name, lambda now, said: shown.show(look(now), said), aborts=False)
        nodes, loops = costs(station), loops_since(before, heard)
        done = operator.listen_until(_key_is_made, look, _LOOK_S)
    if done.key is not None and done.key.state is KeyStep.FAILED:
        raise StationError(f'no key: {done.key.message}', where=folder)
    return {'loops': loops, 'nodes': nodes, 'starts': station.starts()}


def _key_is_made(now: Snapshot) -> bool:
    return now.key is not None and now.key.state in (KeyStep.DONE, KeyStep.FAILED)


def _finish(folder: Path, metrics: dict[str, Any]) -> dict[str, Any]:
    """Store the costs of the graph in the session's manifest and result."""
    speed = load_manifest(folder).run['loop']['speed']
    return update_run_metrics(folder, **metrics, real_time_factor=speed).result or {}


def _print_graph(run: dict[str, Any], folder: Path) -> None:
    loop = run['loop']
    print('The graph')
    slow = ': this machine is too slow or too busy for more' if loop['speed'] < 1.0 else ''
    print(f'  {"ran at (1 is real time)":34} {loop["speed"]:.2f}{slow}; the demo took {run["demo_s"]:.0f} s')
    print(f'  {"missed of its 100 Hz periods":34} {100 * loop["missed_share"]:.2f} % of {loop["steps"]}')
    worst = max(run['loops'], key=lambda name: run['loops'][name]['missed_share'])
    print(f'  {"the worst of all loops missed":34} {100 * run["loops"][worst]["missed_share"]:.2f} %: {worst}')
    for name, what in (
        ('period_ms', 'periods (50 / 95 / 99 %)'),
        ('latency_ms', 'image to command (50 / 95 / 99 %)'),
    ):
        print(f'  {what:34} {" / ".join(f"{value:.1f}" for value in loop[name])} ms of station time')
    total = sum(node['cpu_percent'] for node in run['nodes'].values())
    busiest = max(run['nodes'], key=lambda name: run['nodes'][name]['cpu_percent'])
    print(f'  {"used of the processors":34} {total:.0f} % of one core, most of it {busiest}')
    print(f'Bag:     {folder / "bag"}\nLogs:    {folder / "logs"}')


def _warn(name: str, line: str) -> None:
    if any(word in line for word in ('[ERROR]', '[WARN]', '[FATAL]', 'Traceback', 'restarting')):
        print(f'[{name}] {line}', file=sys.stderr, flush=True)
