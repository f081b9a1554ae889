"""`qkd-gs noise-map COUNTS.csv`: noise over azimuth and elevation from counts of the empty sky and of the dark."""

from __future__ import annotations

import argparse

from qkd_gs.calibration.light.history import load_history
from qkd_gs.calibration.light.noise_map import noise_map
from qkd_gs.calibration.light.readings import read_light
from qkd_gs.cli.console.output import print_json
from qkd_gs.cli.station.light_test import add_light_options, kept, light_folder, station_settings
from qkd_gs.settings.site import load_site


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add_light_options(parser)


def run(args: argparse.Namespace) -> int:
    """Compute, print, draw and keep."""
    site, readings = load_site(args.site), read_light(args.counts)
    result = noise_map(readings, station_settings(args).detectors.dead_time_ns)
    change = kept(args, site.name, readings, result)
    if args.figure:
        from qkd_gs.report.light_figures import draw_noise_map

        draw_noise_map(result, load_history(light_folder(args)), site.name, args.figure)
    if args.json:
        print_json(result.to_dict() | {'change': change or None})
        return 0
    print(result.summary)
    if change:
        print(f'at the highest elevation {change}')
    return 0
