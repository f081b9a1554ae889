"""`qkd-gs audit SESSION`: whether the key of a session follows from what was said in public."""

from __future__ import annotations

import argparse
from pathlib import Path

from qkd_gs.audit.joined_audit import audit_joined
from qkd_gs.audit.session_audit import audit_session
from qkd_gs.cli.console.output import add_json_option, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        'session', type=Path, nargs='+', help='folder of the session; of a joined key, the folders of all its sessions'
    )
    parser.add_argument('--other', type=Path, metavar='FILE', help="transcript of the satellite's side, to compare")
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Audit; exit status 1 where the session is not what its transcript says."""
    several = len(args.session) > 1
    audit = audit_joined(args.session, args.other) if several else audit_session(args.session[0], args.other)
    if args.json:
        print_json(audit.to_dict())
        return int(not audit.agrees)
    for name, value in audit.checked.items():
        print(f'{name:18} {value:,}' if isinstance(value, int) else f'{name:18} {value}')
    print('agrees' if audit.agrees else 'does not agree:')
    for line in audit.differences:
        print(f'- {line}')
    print('Not to be told from public data:')
    for line in audit.not_seen:
        print(f'- {line}')
    return int(not audit.agrees)
