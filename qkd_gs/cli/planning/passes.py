"""`qkd-gs passes`: when a satellite can be seen from a site, and whether the station can use it."""

from __future__ import annotations

import argparse

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.orbit import Pass, find_passes, load_elements
from qkd_gs.orbit.timescale import format_utc, parse_utc
from qkd_gs.settings.site import load_site


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('--elements', required=True, metavar='FILE', help='orbit data: OMM, TLE, OEM or CPF')
    parser.add_argument('--satellite', metavar='NAME', help='only this one of the file, by name or number')
    parser.add_argument('--site', required=True, help='name of a site, or LAT_DEG,LON_DEG,ALT_M')
    parser.add_argument('--start', required=True, metavar='T', help='UTC, e.g. 2018-10-03T00:00:00Z')
    parser.add_argument('--end', required=True, metavar='T', help='UTC')
    parser.add_argument('--min-elevation', type=float, default=5.0, metavar='DEG', help='at rise and set (default 5)')
    parser.add_argument('--force', action='store_true', help='use elements older than 60 days')
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """List the passes that culminate from start to end."""
    start_ns, end_ns = parse_utc(args.start, where='--start'), parse_utc(args.end, where='--end')
    site = load_site(args.site)
    elements = load_elements(args.elements)
    if args.satellite is not None:
        elements = elements.only(args.satellite)
    passes = find_passes(elements, site, start_ns, end_ns, args.min_elevation, force=args.force)
    if args.json:
        print_json([one.to_dict() for one in passes])
    else:
        _print_table(passes, site.name)
    return 0


def _print_table(passes: list[Pass], site: str) -> None:
    if not passes:
        print(f'No pass over {site}.')
        return
    width = max(len(one.satellite) for one in passes)
    print(f'Passes over {site}; UTC, elevations without refraction')
    print(f'{"satellite":{width}}  {"rise":20}  {"culmination":20}  {"set":20}  highest  nearest     Sun  lit  usable')
    for one in passes:
        times = '  '.join(format_utc(t, 0) for t in (one.rise_ns, one.culmination_ns, one.set_ns))
        print(
            f'{one.satellite:{width}}  {times}  {one.max_elevation_deg:6.1f}°  {one.min_range_km:5.0f} km'
            f'  {one.sun_elevation_deg:5.1f}°  {"yes" if one.satellite_sunlit else "no":3}'
            f'  {"; ".join(one.reasons) or "yes"}'
        )
