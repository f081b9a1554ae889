"""`qkd-gs devices`: installed drivers with their options, chosen drivers, and a self-test of the devices.

`--discover FILE` asks for devices instead and writes a devices file.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.devices.devices_file import DeviceChoice, DeviceSettings, devices_path, load_options
from qkd_gs.devices.discovery import discover, write_devices
from qkd_gs.devices.kinds import KINDS
from qkd_gs.devices.registry import SIMULATED, installed, load_driver, self_test
from qkd_gs.drivers.addresses import serial_ports, usual_addresses
from qkd_gs.drivers.gige.camera import cameras_here
from qkd_gs.errors import StationError
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

_WORDS = {True: 'yes', False: 'no', None: ''}
_RESULTS = {True: 'pass', False: 'FAIL', None: ''}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        '--devices', default='sim', metavar='NAME', help="'sim', 'hardware', 'hil', or a devices file (sim)"
    )
    parser.add_argument(
        '--move',
        action='store_true',
        help='let self-tests move axes and emit light; without it nothing moves or shines',
    )
    parser.add_argument(
        '--discover',
        type=Path,
        metavar='FILE',
        help='find devices, and write a new devices file with their drivers',
    )
    parser.add_argument(
        '--at',
        action='append',
        default=[],
        metavar='ADDRESS',
        help='with --discover: ask there, too; a serial port, socket://HOST:PORT, HOST:PORT, can:INTERFACE:CHANNEL, '
        'gige:IPV4',
    )
    parser.add_argument('--site', default='shanghai', help='site of the station (shanghai)')
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """List every kind of device, or find devices."""
    if args.discover is not None:
        return _discover(args)
    settings = load_yaml(devices_path(args.devices), DeviceSettings)
    args.simulated = settings.simulated
    rows = [_row(kind, choice, args) for kind, choice in settings.choices().items()]
    if args.json:
        print_json(rows)
        return 0
    console = Console(highlight=False)
    for row in rows:
        for name, schema in row['options'].items():
            for line in _option_lines(schema):
                console.print(f'{row["device"]}.{name}: {line}', markup=False, soft_wrap=True)
    table = Table('device', 'chosen', 'installed drivers', 'found', 'self-test', 'result')
    for row in rows:
        drivers = ', '.join(row['installed'])
        found, result = _WORDS[row['found']], _RESULTS[row['passed']]
        table.add_row(row['device'], row['driver'], drivers, found, row['self_test'], result)
    console.print(table)
    tested = [row for row in rows if row['passed'] is not None]
    failed = [row['device'] for row in tested if not row['passed']]
    console.print(
        f'{len(tested) - len(failed)} of {len(tested)} devices pass' + (f'; fail: {", ".join(failed)}' * bool(failed))
    )
    return 0


def _discover(args: argparse.Namespace) -> int:
    """Ask the usual addresses and those of `--at`, and write the file."""
    if args.discover.exists():
        raise StationError('the file exists already', where=args.discover, hint='name a new one')
    addresses = list(dict.fromkeys((*args.at, *usual_addresses(), *cameras_here())))
    found = discover(addresses)
    write_devices(args.discover, found)
    left_out = sorted(set(serial_ports()) - set(addresses))
    if args.json:
        print_json([asdict(one) for one in found])
        return 0
    for one in found:
        print(f'{one.kind}: {one.driver} at {one.address}: {one.said}')
    if left_out:
        print(f'not asked, since anything may be there: {", ".join(left_out)} (--at PORT asks)')
    print(f'{len(found)} devices found; {args.discover} written')
    return 0


def _row(kind: str, choice: DeviceChoice, args: argparse.Namespace) -> dict[str, Any]:
    row = _tested_row(kind, choice, args)
    simulated = choice.driver == SIMULATED
    return row | {'passed': None if simulated else row['found']}


def _tested_row(kind: str, choice: DeviceChoice, args: argparse.Namespace) -> dict[str, Any]:
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
        return row | self_test(KINDS[kind], choice.driver, station, site, options, args.move, args.simulated)
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
