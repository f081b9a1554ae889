"""The Shanghai pass of 2018-10-03, taken once by the command line, and what it left."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qkd_gs.share import share_path

ELEMENTS = str(share_path('config', 'elements', 'micius.tle'))
AT = '2018-10-03T15:56:42Z'


def qkd_gs(*arguments: object, keys: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    environment = {name: value for name, value in os.environ.items() if name != 'QKD_GS_KEYS'}
    if keys is not None:
        environment['QKD_GS_KEYS'] = str(keys)
    return subprocess.run(
        [sys.executable, '-m', 'qkd_gs', *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )


@dataclass(frozen=True)
class Taken:
    """A taken pass."""

    folder: Path
    keys: Path
    result: dict[str, Any]
    stderr: str


@pytest.fixture(scope='session')
def taken(tmp_path_factory) -> Taken:
    """The pass, taken and processed with seed 1."""
    base = tmp_path_factory.mktemp('pass')
    done = qkd_gs(
        'simulate', '--elements', ELEMENTS, '--site', 'Shanghai', '--at', AT, '--seed', 1,
        '--session', base / 'session', '--json', keys=base / 'keys',
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Taken(base / 'session', base / 'keys', json.loads(done.stdout), done.stderr)
