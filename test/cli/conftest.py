"""The Shanghai pass of 2018-10-03, taken once by the command line."""

import json

import pytest
from command_line import AT, ELEMENTS, Taken, qkd_gs

from qkd_gs.station.demo_station import write_settings


def take(base, *options) -> Taken:
    """Take and process the pass with seed 1."""
    done = qkd_gs(
        'simulate', '--elements', ELEMENTS, '--site', 'Shanghai', '--at', AT, '--seed', 1,
        '--session', base / 'session', '--json', *options, keys=base / 'keys',
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Taken(base / 'session', base / 'keys', json.loads(done.stdout), done.stderr)


@pytest.fixture(scope='session')
def taken(tmp_path_factory) -> Taken:
    """The middle of the pass, above 45 deg."""
    base = tmp_path_factory.mktemp('pass')
    write_settings(base / 'station.yaml', from_el_deg=45)
    return take(base, '--station', base / 'station.yaml')


@pytest.fixture(scope='session')
def whole(tmp_path_factory) -> Taken:
    """The pass as the station takes it, from 5 deg to 5 deg."""
    return take(tmp_path_factory.mktemp('whole'))
