"""`qkd-gs watch`: status of a running station in a terminal."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.live import Live

from qkd_gs.monitoring.snapshot import NO_STATION
from qkd_gs.monitoring.terminal import plain_view, view
from qkd_gs.nodes.clients.listener import StationListener

_REFRESH_S = 0.25
_FIRST_S = 2.0  # until every node has sent its heartbeat


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('--namespace', default='', metavar='NAME', help="prefix of the station's names (default: none)")
    parser.add_argument('--plain', action='store_true', help='in everyday words')
    parser.add_argument('--once', action='store_true', help='print the status once and exit')


def run(args: argparse.Namespace) -> int:
    """Show the station until Ctrl-C; without a terminal, once."""
    console, show = Console(highlight=False), plain_view if args.plain else view
    station = StationListener(args.namespace)
    try:
        if args.once or not console.is_terminal:
            while station.listen(_REFRESH_S).readiness is NO_STATION and not station.gone:
                pass
            console.print(show(station.listen(0.0 if station.gone else _FIRST_S)))
            return 0
        with Live(show(station.listen(_REFRESH_S)), console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(show(station.listen(_REFRESH_S)), refresh=True)
    except KeyboardInterrupt:
        return 0
    finally:
        station.close()
