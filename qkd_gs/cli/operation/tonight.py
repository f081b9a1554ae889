"""`qkd-gs tonight`: the evening's work from self-test to park; in the twin with --simulate."""

from __future__ import annotations

import argparse
from pathlib import Path

from qkd_gs.api.evening import evening_summary, simulate_evening, steps_of
from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.cli.console.progress import ConsoleWatcher
from qkd_gs.cli.console.signals import ended_by_signals
from qkd_gs.errors import StationError
from qkd_gs.evening.choice import LEAST_BITS
from qkd_gs.evening.dawn import next_dawn_ns
from qkd_gs.evening.evening import Evening
from qkd_gs.evening.journal import Journal, new_journal, unfinished_journal
from qkd_gs.evening.steps import RULES, Step
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.station.options import option, state_folder

_MINUTE_S = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    steps = ', '.join(Step)
    parser.add_argument('--until', metavar='T', help='UTC; when the evening ends (dawn)')
    parser.add_argument('--skip', action='append', default=[], metavar='STEP', help=f'leave a step out: {steps}')
    parser.add_argument('--repeat', action='append', default=[], metavar='STEP', help='do a step again that is over')
    parser.add_argument(
        '--least-bits',
        type=int,
        default=LEAST_BITS,
        metavar='N',
        help='expected secret bits of a pass that is worth it (%(default)s)',
    )
    parser.add_argument('--steps', action='store_true', help='say what each step does and waits for, and end')
    parser.add_argument('--elements', type=Path, metavar='FILE', help='OMM, TLE, OEM or CPF of one satellite')
    parser.add_argument('--site', help='name from config/sites, or LAT_DEG,LON_DEG,ALT_M')
    parser.add_argument('--state', type=Path, metavar='DIR', help='folder of calibration and journal')
    station = parser.add_argument_group('on a running station, as it was started')
    station.add_argument('--station', type=Path, metavar='FILE', help='settings (default: config/station.yaml)')
    station.add_argument('--sessions-dir', type=Path, default=Path('sessions'), metavar='DIR', help='(%(default)s)')
    station.add_argument('--namespace', default='', metavar='NAME', help="prefix of the station's names")
    station.add_argument('--simulated-devices', action='store_true', help='its devices are simulated')
    twin = parser.add_argument_group('in the twin')
    twin.add_argument('--simulate', action='store_true', help='in lockstep, without ROS; sessions below --state')
    twin.add_argument('--start', metavar='T', help='UTC; when the evening begins')
    twin.add_argument('--seed', type=int, default=1, metavar='N', help='random seed of the simulation (1)')
    twin.add_argument('--scenario', metavar='NAME', help='disturbances, a name from config/scenarios')
    twin.add_argument(
        '--compass-error-deg', type=float, default=0.0, metavar='DEG', help='error of a compass that was misread'
    )
    twin.add_argument('--stars', type=Path, metavar='FILE', help='stars to calibrate on (config/stars.csv)')
    twin.add_argument('--keys', type=Path, metavar='DIR', help='key folder (default: $QKD_GS_KEYS)')
    twin.add_argument('--force', action='store_true', help='take elements older than 60 days')
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Run the evening."""
    if args.steps:
        for step, rules in RULES.items():
            print(f'{step:<15} {rules.purpose}')
        return 0
    if not args.simulate:
        return _on_the_station(args)
    for name in ('elements', 'site', 'start', 'state'):
        if getattr(args, name) is None:
            raise StationError('is needed with --simulate', where=f'--{name}')
    watcher = ConsoleWatcher()
    try:
        journal = simulate_evening(
            load_elements(args.elements),
            load_site(args.site),
            parse_utc(args.start, '--start'),
            args.state,
            until=parse_utc(args.until, '--until') if args.until else None,
            seed=args.seed,
            scenario=args.scenario,
            skip=args.skip,
            repeat=args.repeat,
            least_bits=args.least_bits,
            compass_error_deg=args.compass_error_deg,
            stars=args.stars,
            keys=args.keys,
            force=args.force,
            watcher=watcher,
        )
    finally:
        watcher.done()
    if args.json:
        print_json(evening_summary(journal))
    else:
        print_journal(journal)
        print(f'journal: {journal.path(args.state)}')
    return 0


def _on_the_station(args: argparse.Namespace) -> int:
    """The evening on a running station."""
    from qkd_gs.cli.operation.track import Shown
    from qkd_gs.nodes.clients.evening_operator import EveningOperator, StationFiles

    site = load_site(args.site or str(option('site').default))
    settings = load_yaml(args.station or share_path('config', 'station.yaml'), StationSettings)
    elements = load_elements(args.elements or share_path('config', 'elements', 'micius.tle'))
    state_dir = state_folder(str(args.state or ''), simulated=args.simulated_devices)
    files = StationFiles(elements, site, settings, state_dir, args.sessions_dir, args.least_bits)
    skip, repeat = steps_of(args.skip), steps_of(args.repeat)
    operator = EveningOperator(args.namespace, files)
    try:
        with ended_by_signals(), Shown() as shown:
            now_ns = operator.now_ns()
            until_ns = parse_utc(args.until, '--until') if args.until else next_dawn_ns(site, now_ns)
            journal = unfinished_journal(state_dir, site, now_ns, args.simulated_devices)
            journal = journal or new_journal(site, now_ns, until_ns, args.simulated_devices)
            evening = Evening(journal, lambda now: now.save(state_dir))
            evening.skip(skip)
            evening.repeat(repeat)
            operator.run(evening, shown.show, shown.say_once)
    finally:
        operator.close()
    if args.json:
        print_json(evening_summary(evening.journal))
    else:
        print_journal(evening.journal)
    return 0


def print_journal(journal: Journal) -> None:
    """One line a step."""
    for one in journal.entries:
        print(f'{one.name:<35} {one.state:<12} {one.took_s / _MINUTE_S:5.1f} min  {one.sentence}')
    print(f'ended {journal.ended_utc}: {journal.why_ended}')
