"""`qkd-gs star-test COUNTS.csv`: channel efficiency from counts of stars."""

from __future__ import annotations

import argparse

from qkd_gs.calibration.light.history import load_history
from qkd_gs.calibration.light.readings import read_light
from qkd_gs.calibration.light.star_test import efficiency_of_stars
from qkd_gs.calibration.stars import load_stars
from qkd_gs.cli.console.output import print_json
from qkd_gs.cli.station.light_test import add_light_options, kept, light_folder, station_settings
from qkd_gs.settings.downlink import load_downlink
from qkd_gs.settings.site import load_site


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add_light_options(parser)


def run(args: argparse.Namespace) -> int:
    """Compute, print, draw and keep."""
    site, readings = load_site(args.site), read_light(args.counts)
    dead_ns = station_settings(args).detectors.dead_time_ns
    result = efficiency_of_stars(readings, load_stars(), load_downlink().link, site, dead_ns)
    change = kept(args, site.name, readings, result)
    if args.figure:
        from qkd_gs.report.light_figures import draw_star_test

        draw_star_test(result, load_history(light_folder(args)), site.name, args.figure)
    if args.json:
        print_json(result.to_dict() | {'change': change or None})
        return 0
    print(result.summary)
    for one in result.stars:
        name = one.star.name or f'HIP {one.star.hip}'
        print(f'  {name:<16} air mass {one.air_mass:.2f}  {100 * one.efficiency:5.1f} %  {one.rejected}')
    if change:
        print(change)
    return 0
