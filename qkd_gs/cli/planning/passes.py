"""`qkd-gs passes`: when a satellite can be seen from a site, and whether the station can use it."""

from __future__ import annotations

import argparse
import csv
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.errors import StationError
from qkd_gs.forecast.forecast import Forecast, forecast_pass
from qkd_gs.orbit import Pass, load_elements
from qkd_gs.orbit.passes import find_passes_of_sites
from qkd_gs.orbit.timescale import format_utc, parse_utc
from qkd_gs.settings.downlink import load_downlink
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import Site, load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

_AFTER = re.compile(r'\+(\d+(?:\.\d+)?)([dhm])', re.ASCII)
_UNIT_NS = {'d': 86_400_000_000_000, 'h': 3_600_000_000_000, 'm': 60_000_000_000}
_MANY = 20  # satellites: from here on a bar shows how far the search is


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        '--elements', required=True, metavar='FILE', help='orbit data: OMM, TLE, OEM, CPF or trajectory'
    )
    parser.add_argument('--satellite', metavar='NAME', help='only this one of the file: name, a part of it, or number')
    parser.add_argument(
        '--site', required=True, action='append', help='name, .yaml file, or LAT_DEG,LON_DEG,ALT_M; may be given again'
    )
    parser.add_argument('--start', required=True, metavar='T', help="UTC, e.g. 2018-10-03T00:00:00Z, or 'now'")
    parser.add_argument('--end', required=True, metavar='T', help="UTC, or after the start: '+24h', '+7d'")
    parser.add_argument(
        '--min-elevation',
        default='5',
        metavar='DEG[,DEG...]',
        help='at rise and set (default 5)',
    )
    parser.add_argument(
        '--in-progress', action='store_true', help='passes under way at the start, too; --start now: always'
    )
    parser.add_argument(
        '--processes', type=int, metavar='N', help='at most so many (default: one a processor, for a long search)'
    )
    parser.add_argument('--force', action='store_true', help='use elements older than 60 days')
    parser.add_argument(
        '--forecast', action='store_true', help='expected sifted bits, error rate and secret bits of usable passes'
    )
    parser.add_argument(
        '--station', type=Path, metavar='FILE', help='station settings of the forecast (default: config/station.yaml)'
    )
    parser.add_argument('--local-time', action='store_true', help="times of the table in the site's time zone")
    parser.add_argument('--format', choices=('table', 'json', 'csv'), default='table', help='default table')
    parser.add_argument(
        '--plot', metavar='FILE', help='draw the passes of the first site on its sky (.png, .svg, .pdf)'
    )
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """List the passes that culminate from start to end."""
    start_ns = time.time_ns() if args.start == 'now' else parse_utc(args.start, where='--start')
    after = _AFTER.fullmatch(args.end)
    end_ns = start_ns + round(float(after[1]) * _UNIT_NS[after[2]]) if after else parse_utc(args.end, where='--end')
    levels = _levels(args.min_elevation)
    if args.processes is not None and args.processes < 1:
        raise StationError(f'{args.processes} is not 1 or more', where='--processes')
    sites = [load_site(text) for text in args.site]
    elements = load_elements(args.elements)
    if args.satellite is not None:
        elements = elements.only(args.satellite)
    found = find_passes_of_sites(
        elements, sites, start_ns, end_ns, levels, force=args.force,
        in_progress=args.in_progress or args.start == 'now', progress=_bar(), processes=args.processes,
    )  # fmt: skip
    forecasts = _forecasts(sites, found, args.station) if args.forecast else None
    if args.json or args.format == 'json':
        print_json([row for own in _rows(sites, found, forecasts) for row in own])
    elif args.format == 'csv':
        _print_csv([row for own in _rows(sites, found, forecasts) for row in own])
    else:
        for k, (site, passes) in enumerate(zip(sites, found, strict=True)):
            _print_table(passes, site, args.local_time, forecasts[k] if forecasts is not None else None)
    if args.plot is not None:
        from qkd_gs.report.sky_plot import draw_sky

        draw_sky(found[0], sites[0], levels[0], args.plot)
    return 0


def _levels(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(',')]
    except ValueError as error:
        raise StationError(
            f'{text!r} is not a number of degrees, or several with commas', where='--min-elevation'
        ) from error


def _bar() -> Callable[[int, int], None] | None:
    """A line on standard error that says how far a long search is; None where nobody would see it."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, of: int) -> None:
        if of >= _MANY:
            end = '\r' if done < of else '\r\033[K'
            print(f'satellite {done} of {of}', end=end, file=sys.stderr, flush=True)

    return show


def _forecasts(sites: list[Site], found: list[list[Pass]], station: Path | None) -> list[list[Forecast | None]]:
    """Forecast of each pass; None where it cannot be used."""
    settings = load_yaml(station or share_path('config', 'station.yaml'), StationSettings)
    downlink = load_downlink()
    return [
        [forecast_pass(one, site, settings, downlink) if one.usable else None for one in passes]
        for site, passes in zip(sites, found, strict=True)
    ]


def _rows(
    sites: list[Site], found: list[list[Pass]], forecasts: list[list[Forecast | None]] | None
) -> list[list[dict[str, Any]]]:
    """Passes of each site as JSON has them."""
    rows = [[one.to_dict() | {'site': site.name} for one in passes] for site, passes in zip(sites, found, strict=True)]
    for own, expected in zip(rows, forecasts or (), strict=False):
        for row, forecast in zip(own, expected, strict=True):
            row['forecast'] = forecast.to_dict() if forecast is not None else None
    return rows


def _print_csv(rows: list[dict[str, Any]]) -> None:
    """One line a pass; further elevations and the forecast as columns of their own, reasons joined by semicolons."""
    for row in rows:
        row['reasons'] = '; '.join(row['reasons'])
        for level in row.pop('above'):
            for edge in ('rise', 'set'):
                row[f'{edge}_{level["elevation_deg"]:g}_deg'] = level[edge]
        for name, value in (row.pop('forecast', None) or {}).items():
            parts = value.items() if isinstance(value, dict) else (('', value),)
            row.update({f'forecast_{name}_{part}'.rstrip('_'): number for part, number in parts})
    columns = list(dict.fromkeys(key for row in rows for key in ('site', *row))) or ['site', 'satellite']
    writer = csv.DictWriter(sys.stdout, columns, restval='', lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)


def _print_table(passes: list[Pass], site: Site, local: bool, forecasts: list[Forecast | None] | None) -> None:
    if not passes:
        print(f'No pass over {site.name}.')
        return
    zone = ZoneInfo(site.time_zone) if local else None
    said = f'times of {site.time_zone}' if local else 'UTC'
    width = max(len(one.satellite) for one in passes)
    levels = [level for level, _, _ in max((one.above for one in passes), key=len)]
    print(f'Passes over {site.name}; {said}, elevations without refraction, azimuths from north through east')
    if forecasts is not None:
        print('Forecast: expected value, and in brackets what one pass in ten lies below and above')
    further = ''.join(f'  {f"above {level:g}°":19}' for level in levels)
    expected = '' if forecasts is None else f'  {"sifted kbit":>19}  {"error rate %":>15}  {"secret kbit":>18}'
    print(
        f'{"satellite":{width}}  {"rise":20}  {"at":>4}  {"culmination":20}  {"at":>4}  {"set":20}  {"at":>4}{further}'
        f'  highest  nearest     Sun  lit  Moon{expected}  usable'
    )
    for one, forecast in zip(passes, forecasts or [None] * len(passes), strict=True):
        edges = (
            (one.rise_ns, one.rise_az_deg),
            (one.culmination_ns, one.culmination_az_deg),
            (one.set_ns, one.set_az_deg),
        )
        times = '  '.join(f'{_time(t_ns, zone)}  {az_deg:3.0f}°' for t_ns, az_deg in edges)
        own = {
            level: f'{_time(rise_ns, zone)[11:19]} - {_time(set_ns, zone)[11:19]}'
            for level, rise_ns, set_ns in one.above
        }
        further = ''.join(f'  {own.get(level, "-"):19}' for level in levels)
        moon = f'{one.moon_separation_deg:3.0f}°' if one.moon_separation_deg < 180 else '   -'
        shown = '' if forecasts is None else _shown(forecast)
        print(
            f'{one.satellite:{width}}  {times}{further}  {one.max_elevation_deg:6.1f}°  {one.min_range_km:5.0f} km'
            f'  {one.sun_elevation_deg:5.1f}°  {"yes" if one.satellite_sunlit else "no":3}  {moon}{shown}'
            f'  {"; ".join(one.reasons) or "yes"}'
        )


def _shown(forecast: Forecast | None) -> str:
    if forecast is None:
        return f'  {"-":>19}  {"-":>15}  {"-":>18}'
    sifted, qber, secret = (
        f'{one.expected * factor:.{digits}f} ({one.low * factor:.{digits}f}-{one.high * factor:.{digits}f})'
        for one, factor, digits in (
            (forecast.sifted_bits, 1e-3, 0),
            (forecast.qber, 100, 1),
            (forecast.secret_bits, 1e-3, 0),
        )
    )
    return f'  {sifted:>19}  {qber:>15}  {secret:>18}'


def _time(t_ns: int, zone: ZoneInfo | None) -> str:
    """To the second, 20 characters: UTC, or the local time."""
    if zone is None:
        return format_utc(t_ns, 0)
    moment = datetime.fromtimestamp((t_ns + 500_000_000) // 1_000_000_000, tz=UTC).astimezone(zone)
    return f'{moment:%Y-%m-%d %H:%M:%S} '
