"""The Shanghai pass of 2018-10-03, taken once by the command line."""

import json

import pytest
from command_line import AT, ELEMENTS, Taken, qkd_gs


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
