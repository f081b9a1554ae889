"""Options, site, state folder and history of the commands `star-test` and `noise-map`."""

from __future__ import annotations

import argparse
from pathlib import Path

from qkd_gs.calibration.light.history import keep_result
from qkd_gs.calibration.light.noise_map import NoiseMap
from qkd_gs.calibration.light.readings import LightReading
from qkd_gs.calibration.light.star_test import StarTest
from qkd_gs.cli.console.output import add_json_option
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.station.options import state_folder


def add_light_options(parser: argparse.ArgumentParser) -> None:
    """Options of both commands."""
    parser.add_argument(
        'counts', type=Path, metavar='COUNTS.csv', help='columns utc, target, az_deg, el_deg, seconds, H, V, D, A'
    )
    parser.add_argument('--site', required=True, help='name from config/sites, or LAT_DEG,LON_DEG,ALT_M')
    parser.add_argument('--station', type=Path, metavar='FILE', help='settings (default: config/station.yaml)')
    parser.add_argument('--figure', type=Path, metavar='FILE', help='draw the result: .png, .svg or .pdf')
    parser.add_argument('--state', default='', metavar='DIR', help='state folder of the station')
    parser.add_argument('--write', action='store_true', help='keep the result in light-history.json')
    add_json_option(parser)


def station_settings(args: argparse.Namespace) -> StationSettings:
    """Settings of the station."""
    return load_yaml(args.station or share_path('config', 'station.yaml'), StationSettings)


def light_folder(args: argparse.Namespace) -> Path:
    """State folder."""
    return state_folder(args.state, simulated=False)


def kept(args: argparse.Namespace, site: str, readings: list[LightReading], result: StarTest | NoiseMap) -> str:
    """Keep the result if asked to; what it says of the change since the last one."""
    if not args.write:
        return ''
    return keep_result(light_folder(args), site, max(one.t_ns for one in readings), result)
