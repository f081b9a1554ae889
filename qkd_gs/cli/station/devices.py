"""`qkd-gs devices`: installed drivers with their options, chosen drivers, and a self-test of the devices."""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console
from rich.table import Table

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.devices.devices_file import DeviceChoice, DeviceSettings, devices_path, load_options
from qkd_gs.devices.kinds import KINDS
from qkd_gs.devices.registry import SIMULATED, installed, load_driver, self_test
from qkd_gs.errors import StationError
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('--devices', default='sim', metavar='NAME', help="'sim', 'hardware', or a devices file (sim)")
    parser.add_argument('--site', default='shanghai', help='site of the station (shanghai)')
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """List every kind of device."""
    settings = load_yaml(devices_path(args.devices), DeviceSettings)
    rows = [_row(kind, choice, args) for kind, choice in settings.choices().items()]
    if args.json:
        print_json(rows)
        return 0
    console = Console(highlight=False)
    table = Table('device', 'chosen', 'installed drivers', 'found', 'self-test')
    for row in rows:
        table.add_row(row['device'], row['driver'], ', '.join(row['installed']), _word(row['found']), row['self_test'])
    console.print(table)
    for row in rows:
        for name, schema in row['options'].items():
            for line in _option_lines(schema):
                console.print(f'{row["device"]}.{name}: {line}', markup=False, soft_wrap=True)
    return 0


def _row(kind: str, choice: DeviceChoice, args: argparse.Namespace) -> dict[str, Any]:
    drivers = installed(kind)
    schemas, broken = {}, {}
    for name in sorted(drivers):
        try:
            schemas[name] = load_driver(kind, name).options.model_json_schema()
        except StationError as error:
            broken[name] = str(error)
    row: dict[str, Any] = {
        'device': kind,
        'driver': choice.driver,
        'installed': sorted(drivers),
        'options': schemas,
        'found': None,
    }
    if choice.driver not in drivers:
        return row | {'self_test': 'no driver chosen' if choice.driver == 'none' else 'driver not installed'}
    if choice.driver in broken:
        return row | {'found': False, 'self_test': broken[choice.driver]}
    if choice.driver == SIMULATED:
        return row | {'found': True, 'self_test': 'simulated: acts only in a running station'}
    station, site = load_yaml(share_path('config', 'station.yaml'), StationSettings), load_site(args.site)
    options = load_options(args.devices, (kind,))[kind]
    try:
        return row | self_test(KINDS[kind], choice.driver, station, site, options)
    except StationError as error:  # one unusable driver does not hide the other rows
        return row | {'found': False, 'self_test': str(error)}


def _option_lines(schema: dict[str, Any]) -> list[str]:
    """One line for each option in the JSON schema of a driver's options."""
    lines = []
    for name, entry in schema.get('properties', {}).items():
        default = 'required' if name in schema.get('required', ()) else f'default {entry.get("default")!r}'
        description = entry.get('description', '')
        lines.append(f'{name} ({entry.get("type", "value")}, {default}) {description}'.rstrip())
    return lines


def _word(found: bool | None) -> str:
    return {True: 'yes', False: 'no', None: ''}[found]
