"""`qkd-gs tonight`: the evening's work from self-test to park; in the twin with --simulate."""

from __future__ import annotations

import argparse
from pathlib import Path

from qkd_gs.api.evening import evening_summary, simulate_evening
from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.cli.console.progress import ConsoleWatcher
from qkd_gs.cli.console.signals import ended_by_signals
from qkd_gs.errors import StationError
from qkd_gs.evening.choice import LEAST_BITS
from qkd_gs.evening.journal import Journal
from qkd_gs.evening.steps import RULES, Step, steps_of
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site

_MINUTE_S = 60
_OF_THE_TWIN = ('elements', 'site', 'state', 'start', 'scenario', 'stars', 'keys')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    steps = ', '.join(Step)
    parser.add_argument(
        '--until', metavar='T', help='UTC; when the evening ends (dawn); an interrupted one keeps its own'
    )
    parser.add_argument('--skip', action='append', default=[], metavar='STEP', help=f'leave a step out: {steps}')
    parser.add_argument('--repeat', action='append', default=[], metavar='STEP', help='do a step again that is over')
    parser.add_argument(
        '--least-bits',
        type=int,
        metavar='N',
        help=f'expected secret bits of a pass that is worth it ({LEAST_BITS})',
    )
    parser.add_argument('--steps', action='store_true', help='say what each step does and waits for, and end')
    station = parser.add_argument_group('on a running station')
    station.add_argument('--anew', action='store_true', help='begin another evening, even if one was interrupted')
    station.add_argument('--abort', action='store_true', help='end the step under way, and begin no other')
    station.add_argument('--namespace', default='', metavar='NAME', help="prefix of the station's names")
    twin = parser.add_argument_group('in the twin')
    twin.add_argument('--simulate', action='store_true', help='in lockstep, without ROS; sessions below --state')
    twin.add_argument('--elements', type=Path, metavar='FILE', help='OMM, TLE, OEM or CPF of one satellite')
    twin.add_argument('--site', help='name from config/sites, or LAT_DEG,LON_DEG,ALT_M')
    twin.add_argument('--state', type=Path, metavar='DIR', help='folder of calibration and journal')
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
            least_bits=LEAST_BITS if args.least_bits is None else args.least_bits,
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
    """The evening on a running station, which does the steps by itself; Ctrl-C ends the step under way."""
    from qkd_gs.action import Tonight
    from qkd_gs.cli.operation.track import Shown
    from qkd_gs.nodes.clients.operator import Operator
    from qkd_gs.nodes.conversions.messages import to_time

    for name in _OF_THE_TWIN:
        if getattr(args, name) is not None:
            raise StationError('is for --simulate: a running station was started with its own', where=f'--{name}')
    goal = Tonight.Goal(
        until=to_time(parse_utc(args.until, '--until') if args.until else 0),
        skip=[str(step) for step in steps_of(args.skip)],
        repeat=[str(step) for step in steps_of(args.repeat)],
        least_bits=args.least_bits or 0,
        anew=args.anew,
    )
    operator = Operator(args.namespace)
    try:
        if args.abort:
            print(operator.abort_evening())
            return 0
        with ended_by_signals(), Shown() as shown:
            answer = operator.tonight(goal, shown.evening)
    finally:
        operator.close()
    journal = load_yaml(Path(answer.values['journal']), Journal)
    if args.json:
        print_json(evening_summary(journal))
    else:
        print_journal(journal)
        print(f'journal: {answer.values["journal"]}')
    return 0


def print_journal(journal: Journal) -> None:
    """One line a step, in the order in which they are done."""
    for one in sorted(journal.entries, key=lambda one: one.step is Step.PARK):
        print(f'{one.name:<35} {one.state:<12} {one.took_s / _MINUTE_S:5.1f} min  {one.sentence}')
    print(f'ended {journal.ended_utc}: {journal.why_ended}')
