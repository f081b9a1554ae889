"""What `qkd-gs session check` finds, and the schema that others validate session.json with."""

import json
import shutil
from pathlib import Path

import pytest

from qkd_gs.cli import main
from qkd_gs.errors import StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.processing.session_check import check_session
from qkd_gs.session.manifest import FILE_NAME, load_manifest, manifest_schema
from qkd_gs.sim.synthetic_session import SyntheticSession


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    base = tmp_path_factory.mktemp('session')
    keys = KeyFolder.create(base / 'keys')
    SyntheticSession(seconds=1.0, before_s=0.5).write(base / 'session', keys.session_public_key)
    return base / 'session'


@pytest.fixture
def folder(whole, tmp_path):
    shutil.copytree(whole, tmp_path / 'session')
    return tmp_path / 'session'


def rewrite(folder, change):
    data = json.loads((folder / FILE_NAME).read_text())
    change(data)
    (folder / FILE_NAME).write_text(json.dumps(data))


def test_a_whole_session(folder, capsys):
    assert main(['session', 'check', str(folder)]) == 0
    assert 'tags.sealed\n' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('change', 'why'),
    [
        (lambda data: data.update(result={'timing': {'runs': 'x'}}), 'result: timing.runs is no list'),
        (lambda data: data.update(result={'timing': {'runs': [1]}}), 'result: timing.runs is no list'),
        (lambda data: data.update(result={'key': 3}), 'result: key is no table'),
        (lambda data: data['station']['detectors']['delay_ns'].pop('A'), 'station.detectors.delay_ns: A is missing'),
        (lambda data: data['station']['source'].update(pulse_rate_hz=2.0**63), 'station.source.pulse_rate_hz'),
        (lambda data: data.update(delay_s=1.0), 'an orbit .* or a fixed delay .* and not both'),
        (lambda data: data.pop('site'), 'an orbit needs a site'),
        (lambda data: data['locked'].append({'start_ns': 5, 'end_ns': 4}), 'ends before its start'),
        (lambda data: data.update(locked=[]), 'never locked'),
        (lambda data: data.update(session_id='0' * 32), 'belongs to another session'),
        (lambda data: data.update(satellite='SPUTNIK'), 'SPUTNIK'),
        (lambda data: data.update(elements_file='missing.tle'), 'missing.tle'),
    ],
)
def test_a_manifest_that_contradicts_itself_or_its_folder(folder, change, why):
    rewrite(folder, change)
    with pytest.raises(StationError, match=why):
        check_session(folder)


def test_tag_files_that_are_cut_or_missing(folder):
    tags = folder / 'tags.sealed'
    raw = tags.read_bytes()
    tags.write_bytes(raw[:-1])
    with pytest.raises(StationError, match='cut short'):
        check_session(folder)
    rewrite(folder, lambda data: data.update(closed=False))
    assert 'tags.sealed, cut short' in check_session(folder)
    tags.write_bytes(b'x' + raw[1:])
    with pytest.raises(StationError, match='not a sealed tag file'):
        check_session(folder)
    tags.unlink()
    with pytest.raises(StationError, match='no tag files'):
        check_session(folder)


def test_a_manifest_of_version_2_is_read(folder):
    rewrite(folder, lambda data: [data.pop(key, None) for key in ('delay_s',)] and data.update(schema_version=2))
    assert load_manifest(folder).schema_version == 3


def test_the_schema_that_is_published_is_that_of_the_model(folder):
    published = Path(__file__).parents[2] / 'doc' / 'session.schema.json'
    assert json.loads(published.read_text()) == manifest_schema(), 'qkd-gs session schema > doc/session.schema.json'
    data = json.loads((folder / FILE_NAME).read_text())
    assert set(data) <= set(manifest_schema()['properties'])
    assert set(manifest_schema()['required']) <= set(data)
