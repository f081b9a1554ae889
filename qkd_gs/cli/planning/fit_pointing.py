"""`qkd-gs fit-pointing OBSERVATIONS`: fit the mount model to observed stars."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from qkd_gs.calibration.check import check, drift_rad
from qkd_gs.calibration.choice import fit_by_held_out
from qkd_gs.calibration.fit import PointingFit, fit_mount
from qkd_gs.calibration.foreign_observations import load_any
from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.errors import StationError
from qkd_gs.pointing.mount_model import NAMES, TERMS
from qkd_gs.pointing.pointing_file import load_pointing
from qkd_gs.settings.site import load_site

_HELD_OUT = 'held-out'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        'observations',
        metavar='OBSERVATIONS',
        help='CSV with the columns az_deg, el_deg, enc_az_deg, enc_el_deg; or a file of TPOINT or of MountWizzard4',
    )
    parser.add_argument('--site', metavar='SITE', help='where a file of MountWizzard4 was taken, if it does not say it')
    parser.add_argument(
        '--terms',
        help=f'terms to fit, separated by commas; default: those that the stars determine; held-out: '
        f'those that predict the stars left out better. Known: {", ".join(NAMES)}',
    )
    parser.add_argument(
        '--against',
        type=Path,
        metavar='FOLDER',
        help='with the pointing.json of an earlier calibration: tell whether it still holds, and the drift since',
    )
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Fit and print."""
    terms = [name.strip() for name in args.terms.split(',')] if args.terms is not None else None
    seen = load_any(args.observations, load_site(args.site).latitude_deg if args.site else None)
    try:
        fit = fit_by_held_out(seen) if args.terms == _HELD_OUT else fit_mount(seen, terms)
    except StationError as error:
        raise StationError(error.what, where=error.where or args.observations, hint=error.hint) from error
    for line in fit.warnings:
        print(f'warning: {line}', file=sys.stderr)
    found = document(fit)
    said = ''
    if args.against is not None:
        earlier = load_pointing(args.against).model
        judged, drift_urad = check(earlier, seen.only(fit.kept)), drift_rad(earlier, fit.model) * 1e6
        said = f'{judged.summary}; drift {drift_urad:.0f} urad over the sky'
        found['check'] = {'verdict': judged.verdict.name.lower(), 'summary': judged.summary, 'drift_urad': drift_urad}
    if args.json:
        print_json(found)
        return 0
    _print_table(fit)
    if said:
        print(said)
    return 0


def document(fit: PointingFit) -> dict[str, Any]:
    """The fit as the JSON document of the command; angles in microradians, null where unknown."""
    urad = fit.model.to_dict()
    return {
        'terms': {name: {'value_urad': urad[name], 'sigma_urad': sigma * 1e6} for name, sigma in fit.sigma_rad.items()},
        'rms_urad': fit.rms_rad * 1e6,
        'heldout_rms_urad': None if fit.heldout_rms_rad is None else fit.heldout_rms_rad * 1e6,
        'rejected': [
            {'index': star.index, 'label': star.label, 'residual_urad': star.residual_urad, 'reason': star.reason}
            for star in fit.rejected
        ],
        'stars': {'given': len(fit.kept), 'used': int(fit.kept.sum())},
        'left_out': fit.left_out,
        'warnings': list(fit.warnings),
    }


def _print_table(fit: PointingFit) -> None:
    docs = {term.name: term.doc for term in TERMS}
    for name, sigma in fit.sigma_rad.items():
        print(f'{name:5} {fit.model[name] * 1e6:14.1f} +- {sigma * 1e6:8.1f} urad  {docs[name]}')
    for name, reason in fit.left_out.items():
        print(f'{name:5} not fitted: {reason}')
    for star in fit.rejected:
        print(f'rejected {star.label}: {star.reason}')
    held_out = 'not known' if fit.heldout_rms_rad is None else f'{fit.heldout_rms_rad * 1e6:.1f} urad'
    print(f'{int(fit.kept.sum())} of {len(fit.kept)} stars, RMS {fit.rms_rad * 1e6:.1f} urad, held out {held_out}')
