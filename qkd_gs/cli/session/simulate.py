"""`qkd-gs simulate`: the pass nearest to a time in the twin, in lockstep without ROS, and its key."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.cli.console.progress import ConsoleWatcher
from qkd_gs.cli.console.summary import print_summary
from qkd_gs.cli.session.process import add_window_option
from qkd_gs.errors import StationError
from qkd_gs.keys.folder import find_key_folder
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import format_utc, parse_utc
from qkd_gs.report import write_report
from qkd_gs.session.manifest import load_manifest
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.simulate import Simulation, take_pass
from qkd_gs.station.satellite_link import make_key


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('--elements', required=True, type=Path, metavar='FILE', help='OMM, TLE, OEM or CPF')
    parser.add_argument('--satellite', metavar='NAME', help='which one, if the file holds several')
    parser.add_argument('--site', required=True, help='name from config/sites, or LAT_DEG,LON_DEG,ALT_M')
    parser.add_argument('--at', required=True, metavar='T', help='UTC; the pass nearest to it is taken')
    parser.add_argument('--seed', type=int, default=1, metavar='N', help='draws what the station does not know (1)')
    parser.add_argument('--session', type=Path, metavar='DIR', help='new folder (default: one under sessions/)')
    parser.add_argument('--scenario', metavar='NAME', help='from config/scenarios: what goes wrong')
    parser.add_argument('--keys', type=Path, metavar='DIR', help='key folder (default: $QKD_GS_KEYS)')
    parser.add_argument('--station', type=Path, metavar='FILE', help='station settings (default: config/station.yaml)')
    parser.add_argument('--force', action='store_true', help='take elements older than 60 days')
    add_window_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Take the pass, make the key, write the report."""
    started_s = time.perf_counter()
    if args.seed < 0:
        raise StationError(f'{args.seed} is negative', where='--seed')
    elements = load_elements(args.elements)
    if args.satellite:
        elements = elements.only(args.satellite)
    simulation = Simulation(
        elements=elements,
        site=load_site(args.site),
        at_ns=parse_utc(args.at, '--at'),
        seed=args.seed,
        station=load_yaml(args.station or share_path('config', 'station.yaml'), StationSettings),
        twin=load_twin(args.scenario),
        scenario=args.scenario,
        force=args.force,
    )
    keys = find_key_folder(args.keys, simulated=True)
    folder = args.session or _new_session(simulation)
    watcher = ConsoleWatcher()
    try:
        manifest = take_pass(simulation, folder, keys.sealing_public_key(), watcher)
        watcher.step('making the key')
        make_key(folder, keys, watcher.making_key, args.window)
        factor = _pass_seconds(manifest.run) / (time.perf_counter() - started_s)
        result = _with_run(folder, factor)
        watcher.step('writing the report')
        report = write_report(folder)
    finally:
        watcher.done()
    if args.json:
        print_json(result)
    else:
        print_summary(result, folder, report)
    return 0


def _pass_seconds(figures: dict[str, Any]) -> float:
    return float(figures['pass_s'])


def _with_run(folder: Path, factor: float) -> dict[str, Any]:
    """Put the speed into the stored result."""
    manifest = load_manifest(folder)
    figures = manifest.run | {'real_time_factor': round(factor, 2)}
    result = (manifest.result or {}) | {'run': figures}
    manifest.model_copy(update={'run': figures, 'result': result}).save(folder)
    return result


def _new_session(simulation: Simulation) -> Path:
    stamp = format_utc(simulation.at_ns, 0).replace(':', '').replace('-', '')
    base = Path('sessions') / f'{stamp}-{simulation.site.name.lower().replace(",", "_")}-seed{simulation.seed}'
    folder, number = base, 1
    while folder.exists():
        number += 1
        folder = base.with_name(f'{base.name}-{number}')
    return folder
