"""Output of a command: one JSON document on standard output, everything else on standard error."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """The `--json` option, the same everywhere."""
    parser.add_argument('--json', action='store_true', help='print one JSON document on standard output')


def print_json(document: Any) -> None:
    """One JSON document; NaN is not JSON, so it is refused rather than printed."""
    json.dump(document, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write('\n')
