"""`qkd-gs session check SESSION`: whether a session is whole; `session schema`: what session.json may hold."""

from __future__ import annotations

import argparse
from pathlib import Path

from qkd_gs.cli.console.output import print_json
from qkd_gs.processing.session_check import check_session
from qkd_gs.session.manifest import manifest_schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parts = parser.add_subparsers(dest='part', required=True, metavar='PART')
    check = parts.add_parser('check', help='whether a session is whole, as far as that is seen without a key')
    check.add_argument('session', type=Path, help='folder of the session')
    parts.add_parser('schema', help='print the JSON Schema of session.json')


def run(args: argparse.Namespace) -> int:
    """Check, or print the schema."""
    if args.part == 'schema':
        print_json(manifest_schema())
        return 0
    for line in check_session(args.session):
        print(line)
    return 0
