"""`qkd-gs calibrate-hwp COUNTS.csv`: zero of the half-wave plate from polarized light."""

from __future__ import annotations

import argparse
import csv
from math import degrees, radians
from pathlib import Path

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.calibration.hwp_zero import fit_hwp_zero
from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.errors import StationError
from qkd_gs.pointing.pointing_file import FILE_NAME, load_pointing
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.numbers import read_number
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.station.options import state_folder

_COLUMNS = {'hwp_deg': (-720.0, 720.0), 'H': (0.0, 1e12), 'V': (0.0, 1e12), 'D': (0.0, 1e12), 'A': (0.0, 1e12)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('counts', type=Path, metavar='COUNTS.csv', help=f'columns {", ".join(_COLUMNS)}')
    parser.add_argument(
        '--polarization-deg',
        type=float,
        default=0.0,
        metavar='DEG',
        help='polarization of the light from the horizontal, counter-clockwise seen against the light (%(default)s)',
    )
    parser.add_argument('--station', type=Path, metavar='FILE', help='settings (default: config/station.yaml)')
    parser.add_argument(
        '--state', default='', metavar='DIR', help='state folder of the station, with its pointing.json'
    )
    parser.add_argument('--write', action='store_true', help='keep the zero in pointing.json')
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Fit, print, and keep the zero."""
    station = load_yaml(args.station or share_path('config', 'station.yaml'), StationSettings)
    hwp_rad, counts = _read(args.counts)
    try:
        found = fit_hwp_zero(
            hwp_rad, counts, radians(args.polarization_deg), radians(station.hwp.zero_deg), station.hwp.parity
        )
    except StationError as error:
        raise StationError(error.what, where=args.counts, hint=error.hint) from error
    offset_deg, sigma_deg = degrees(found.zero_rad) - station.hwp.zero_deg, degrees(found.sigma_rad)
    folder = state_folder(args.state, simulated=False)
    if args.write:
        stored = load_pointing(folder)
        stored.model_copy(update={'hwp_offset_deg': offset_deg, 'hwp_sigma_deg': sigma_deg}).save(folder)
    document = {
        'zero_deg': degrees(found.zero_rad),
        'offset_deg': offset_deg,
        'sigma_deg': sigma_deg,
        'visibility': dict(zip('HVDA', found.visibility.tolist(), strict=True)),
        'written': str(folder / FILE_NAME) if args.write else None,
    }
    if args.json:
        print_json(document)
    else:
        print(f'zero at {document["zero_deg"]:.3f} +- {sigma_deg:.3f} deg, {offset_deg:+.3f} deg from hwp.zero_deg')
    return 0


def _read(path: Path) -> tuple[FloatArray, IntArray]:
    """Angles (n,) in rad and counts (n, 4)."""
    try:
        lines = path.read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StationError(f'cannot be read: {error}', where=path) from error
    table = csv.DictReader(line for line in lines if line.strip() and not line.startswith('#'))
    missing = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
    if missing:
        raise StationError(f'column {missing[0]} is missing', where=path, hint=f'columns: {", ".join(_COLUMNS)}')
    rows = [
        [read_number(name, row[name] or '', f'{path}, row {k}', limits, '') for name, limits in _COLUMNS.items()]
        for k, row in enumerate(table, 1)
    ]
    values = np.array(rows, dtype=np.float64).reshape(-1, len(_COLUMNS))
    return np.radians(values[:, 0]), np.rint(values[:, 1:]).astype(np.int64)
