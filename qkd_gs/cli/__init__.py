"""The command line `qkd-gs`: one module a command, loaded only when it is called."""

from __future__ import annotations

import argparse
import importlib
import keyword
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qkd_gs import __version__
from qkd_gs.errors import DeviceFault, StationError

# package -> command -> one line of help; the command's module is qkd_gs.cli.PACKAGE.NAME ('-' becomes '_') and has
# two functions: add_arguments(parser) and run(args) -> exit status
_PACKAGES = {
    'planning': {
        'passes': 'list the passes of a satellite over a site',
        'elements': 'fetch orbit elements, or write the trajectory file of a pass',
        'fit-pointing': 'fit the pointing model to observed stars',
    },
    'session': {
        'simulate': 'track a pass in the twin, in lockstep, and make a key',
        'import': 'make a session of a file of time tags, or look into one',
        'session': 'check a session, or print the schema of session.json',
        'process': 'make the key of a session',
        'audit': 'replay what was said in public, and compute the key again with code of its own',
        'report': 'write report.html and its figures into a session',
        'replay': 'play a recorded pass on its own clock, and recompute its tracking figures',
        'repair': 'repair a bag whose recorder was killed',
    },
    'station': {
        'demo': 'take the Shanghai pass of 2018-10-03 with the ROS graph and simulated devices',
        'up': 'start the nodes of the station, until Ctrl-C',
        'node': 'start one node of the station by itself, until Ctrl-C',
        'policies': 'write the policies of SROS2 for every node of the station',
        'calibrate-detectors': 'measure the relative delays and efficiencies of the detectors with trusted light',
        'calibrate-hwp': 'find the zero of the half-wave plate from counts of polarized light',
        'star-test': 'find the channel efficiency from counts of stars',
        'noise-map': 'map the noise over the sky from counts of the four detectors',
        'devices': 'list the drivers of every device, and test those that are chosen',
    },
    'operation': {
        'track': 'ask a running station to track a pass',
        'calibrate': 'ask a running station to calibrate its pointing',
        'park': 'ask a running station to move to its park position',
        'tonight': 'do the work of an evening, from self-test to park',
        'watch': 'show a running station in the terminal',
    },
    'link': {
        'satellite': "the satellite's end of the link, from the log of a transmitter",
        'demo-relay': 'two cities and one satellite: a file is encrypted in one city and decrypted in the other',
        'relay': 'join the keys of two stations through the satellite',
        'keys': 'make a key folder, pair it with the other side, hand out keys',
    },
    'key': {
        'key-length': 'decoy-state finite key from observed counts',
    },
    'measurement': {
        'bench': 'measure a part of the station',
    },
}
_NEGATIVE = re.compile(r'-[\d.]+.*,')

COMMANDS = {name: (package, line) for package, commands in _PACKAGES.items() for name, line in commands.items()}


def _module(name: str) -> str:
    """Name of a command's module: no word of the language, and no hyphen."""
    return f'{name}_' if keyword.iskeyword(name) else name.replace('-', '_')


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    int
        0 done, 2 the user's input was refused (one sentence on standard error), 1 anything else.
    """
    argv = _with_negative_values(sys.argv[1:] if argv is None else argv)
    parser = _Parser(prog='qkd-gs', description='Ground station for satellite quantum key distribution')
    parser.add_argument('--version', action='version', version=f'qkd-gs {__version__}')
    parser.add_argument('-v', '--verbose', action='store_true', help='log what the program does, to standard error')
    subparsers = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    chosen = next((word for word in argv if word in COMMANDS), None)
    for name, (package, line) in COMMANDS.items():
        sub = subparsers.add_parser(name, help=line, description=line[0].upper() + line[1:] + '.')
        if name == chosen:
            command = importlib.import_module(f'qkd_gs.cli.{package}.{_module(name)}')
            command.add_arguments(sub)
            sub.set_defaults(run=command.run)
    args = parser.parse_args(argv)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if args.verbose else logging.WARNING,
        format='%(levelname)s %(name)s: %(message)s',
    )
    try:
        return int(args.run(args))
    except StationError as error:
        print(f'qkd-gs {args.command}: {error}', file=sys.stderr)
        return 2
    except DeviceFault as fault:
        print(f'qkd-gs {args.command}: {fault}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'qkd-gs {args.command}: stopped', file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output has gone, e.g. `| head`
        return 1


class _Parser(argparse.ArgumentParser):
    """A parser, also of a command, to which an empty text names no file and no folder.

    `Path` takes it for the folder that one is in: a script whose variable is not set would put keys there.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register('type', Path, _path)


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError('names no file or folder: it is empty')
    return Path(text)


def _with_negative_values(words: Sequence[str]) -> list[str]:
    """Words with a negative value, such as -33.8688,151.2093,58, tied to the option before it.

    argparse takes a word for an option if it begins with a minus and is not a plain number.
    """
    joined: list[str] = []
    for word in words:
        if joined and _NEGATIVE.match(word) and joined[-1].startswith('--') and '=' not in joined[-1]:
            joined[-1] = f'{joined[-1]}={word}'
        else:
            joined.append(word)
    return joined
