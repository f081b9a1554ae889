"""`qkd-gs track`: let a running station track a pass, and show its progress; Ctrl-C aborts it safely."""

from __future__ import annotations

import argparse
import re

from rich.console import Console
from rich.live import Live

from qkd_gs.cli.console.signals import ended_by_signals
from qkd_gs.monitoring.snapshot import Snapshot
from qkd_gs.monitoring.terminal import view
from qkd_gs.nodes.clients.operator import Operator, sentence_of
from qkd_gs.orbit.timescale import format_utc, parse_utc

_LINE_NS = 10 * 10**9
_FIGURES_NS = 60 * 10**9
_FIGURES = re.compile(r'[\d.:]+')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument('--at', metavar='T', help='UTC; the pass nearest to it is tracked')
    which.add_argument(
        '--pass', dest='pass_id', metavar='ID', help="'next', or the culmination as printed by `qkd-gs passes`"
    )
    parser.add_argument('--session', default='', metavar='NAME', help="folder below the station's sessions")
    parser.add_argument('--namespace', default='', metavar='NAME', help="prefix of the station's names")


def run(args: argparse.Namespace) -> int:
    """Track the pass."""
    operator = Operator(args.namespace)
    try:
        at_ns = _when(operator, args)
        with ended_by_signals(), Shown() as shown:
            answer = operator.track(at_ns, args.session, shown.show)
    finally:
        operator.close()
    print(f'the pass is over; session: {answer.values["folder"]}')
    return 0


def _when(operator: Operator, args: argparse.Namespace) -> int:
    if args.at:
        return parse_utc(args.at, '--at')
    if args.pass_id != 'next':
        return parse_utc(args.pass_id, '--pass')
    return operator.next_pass_ns()


class Shown:
    """Progress display: a screen on a terminal, otherwise a line every ten seconds of station time."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._told_ns, self._told, self._said = 0, '', ''

    def __enter__(self) -> Shown:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print one line."""
        self._console.print(text)

    def say_once(self, text: str) -> None:
        """Print one line if it differs from the last one printed so."""
        if text and text != self._said:
            self._said = text
            self.say(text)

    def evening(self, snapshot: Snapshot, said: str) -> None:
        """Show what an evening does: a line when that changes, and once a minute while only its figures do."""
        kind = _FIGURES.sub('', said)
        if kind != self._told or snapshot.now_ns - self._told_ns >= _FIGURES_NS:
            self._told, self._told_ns = kind, snapshot.now_ns
            self.say(f'{format_utc(snapshot.now_ns, 0)}  {said}')
        if self._live is not None:
            self._live.update(view(snapshot), refresh=True)

    def show(self, snapshot: Snapshot, said: str) -> None:
        """Show the status of the station."""
        if self._live is not None:
            self._live.update(view(snapshot), refresh=True)
            return
        session = snapshot.session
        phase = session.phase.name if session is not None else said
        if phase != self._told or snapshot.now_ns - self._told_ns >= _LINE_NS:
            self._told, self._told_ns = phase, snapshot.now_ns
            self._console.print(f'{format_utc(snapshot.now_ns, 0)}  {sentence_of(snapshot, said)}')
