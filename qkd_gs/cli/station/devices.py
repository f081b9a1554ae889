"""`qkd-gs devices`: installed drivers, chosen drivers, and a self-test of the devices."""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console
from rich.table import Table

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.devices.registry import KINDS, SIMULATED, DeviceSettings, DriverContext, devices_path, installed, self_test
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('--devices', default='sim', metavar='NAME', help="'sim', 'hardware', or a devices file (sim)")
    parser.add_argument('--site', default='shanghai', help='where the station stands (shanghai)')
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """List every kind of device."""
    settings = load_yaml(devices_path(args.devices), DeviceSettings)
    rows = [_row(kind, settings, args.site) for kind in KINDS]
    if args.json:
        print_json(rows)
        return 0
    table = Table('device', 'chosen', 'installed drivers', 'found', 'self-test')
    for row in rows:
        table.add_row(row['device'], row['driver'], ', '.join(row['installed']), _word(row['found']), row['self_test'])
    Console(highlight=False).print(table)
    return 0


def _row(kind: str, settings: DeviceSettings, site: str) -> dict[str, Any]:
    choice, drivers = settings.choices()[kind], installed(kind)
    row: dict[str, Any] = {'device': kind, 'driver': choice.driver, 'installed': sorted(drivers), 'found': None}
    if choice.driver not in drivers:
        return row | {'self_test': 'no driver chosen' if choice.driver == 'none' else 'driver not installed'}
    if choice.driver == SIMULATED:
        return row | {'found': True, 'self_test': 'simulated: acts only in a running station'}
    station = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    return row | self_test(choice, DriverContext(kind, station, load_site(site), choice.options))


def _word(found: bool | None) -> str:
    return {True: 'yes', False: 'no', None: ''}[found]
