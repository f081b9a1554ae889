"""What cannot be, told when the station is started: exit status 2 and one sentence, no traceback."""

import subprocess
import sys

import pytest
import yaml
from one_graph import Forked
from ros_domain import own_domain

from qkd_gs.share import share_path

WAIT_S = 600.0  # ends a test that fails; nothing is concluded from it


@pytest.fixture(scope='module', autouse=True)
def domain():
    with own_domain():
        yield


def ended(arguments, tmp_path):
    """`qkd-gs` with these arguments, which ends by itself."""
    start = 'import sys; from qkd_gs.cli import main; sys.exit(main(sys.argv[1:]))'
    return subprocess.run(
        [sys.executable, '-c', start, *map(str, arguments)],
        capture_output=True, text=True, timeout=WAIT_S, check=False, cwd=tmp_path,
    )  # fmt: skip


def sentence(code, said):
    """The one thing that was said."""
    assert code == 2, said
    assert 'Traceback' not in said, said
    told = [line for line in said.splitlines() if line and 'days old' not in line]
    assert len(told) == 1, said
    return told[0]


def refusal(name, parameter):
    """What a node says that is forked as those of a station are."""
    node = Forked(name, ['--ros-args', '-p', parameter])
    return sentence(node.wait(), node.told())


@pytest.fixture(autouse=True)
def keys(tmp_path, monkeypatch):
    """Place of a key folder of the test's own."""
    monkeypatch.setenv('QKD_GS_KEYS', str(tmp_path / 'keys'))
    return tmp_path / 'keys'


@pytest.mark.parametrize(
    ('name', 'parameter', 'told'),
    [
        ('mount', 'mount.watchdog_s:=7.0', 'mount.watchdog_s = 7.0'),
        ('mount', 'mount.watchdog_s:=0.0', 'mount.watchdog_s: Input should be greater than 0'),
        ('hwp', "hwp.rate_hz:='fast'", "hwp.rate_hz = 'fast'"),
        ('planner', "site:='atlantis'", 'atlantis'),
        ('planner', "elements:='/no/such/file'", '/no/such/file'),
        ('tracker', "station:='/no/such/station.yaml'", '/no/such/station.yaml'),
        ('world', "scenario:='earthquake'", 'earthquake'),
        ('gps', 'devices:=hardware', 'no driver has been chosen'),
        ('monitor', 'seed:=one', 'seed'),
    ],
)
def test_a_node_refuses_what_it_cannot_do(name, parameter, told):
    assert told in refusal(name, parameter)


def test_settings_that_do_not_fit_are_told_by_file_and_line(tmp_path):
    text = share_path('config', 'station.yaml').read_text(encoding='utf-8')
    (tmp_path / 'station.yaml').write_text(text.replace('watchdog_s: 0.1', 'watchdog_s: -3'))
    line = 1 + text[: text.index('watchdog_s')].count('\n')
    told = refusal('mount', f"station:='{tmp_path / 'station.yaml'}'")
    assert f'station.yaml:{line}: mount.watchdog_s' in told


def test_a_driver_that_is_not_installed_is_told_before_anything_starts(tmp_path):
    devices = {
        kind: {'driver': 'sim'} for kind in yaml.safe_load(share_path('config', 'devices', 'sim.yaml').read_text())
    }
    devices['hwp'] = {'driver': 'acme'}
    (tmp_path / 'mine.yaml').write_text(yaml.safe_dump(devices))
    done = ended(['up', '--devices', 'mine.yaml', '--logs', tmp_path / 'logs'], tmp_path)
    assert sentence(done.returncode, done.stderr).startswith(
        f"qkd-gs up: {tmp_path / 'mine.yaml'}: hwp: driver 'acme' is not installed"
    )
    assert not (tmp_path / 'logs').exists()


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (['dome'], 'qkd-gs node: dome: is no node of the station (one of world, mount, '),
        (['recorder', '--no-record'], 'recorder: is no node of a station with these options (one of world, mount, '),
    ],
)
def test_an_unknown_node_is_refused(tmp_path, arguments, told):
    done = ended(['node', *arguments], tmp_path)
    assert told in sentence(done.returncode, done.stderr)


def test_a_key_folder_that_others_can_reach_is_refused(tmp_path, keys):
    keys.mkdir()
    (keys / 'sealing.key').write_text('x')
    keys.chmod(0o755)
    told = refusal('post_processor', f"state_dir:='{tmp_path / 'state'}'")
    assert str(keys) in told
    assert 'others can reach it' in told


def test_keys_that_cannot_be_kept_safe_end_the_station(tmp_path, keys):
    """The whole station: one node refuses, and all are stopped."""
    keys.write_text('not a folder')
    done = ended(['up', '--state-dir', tmp_path / 'state', '--no-record'], tmp_path)
    assert done.returncode == 2, done.stderr
    assert 'Traceback' not in done.stderr
    told = done.stderr.splitlines()[-1]
    assert told.startswith('qkd-gs up: post_processor: ')
    assert str(keys) in told
    assert 'is not a key folder' in told


@pytest.mark.parametrize(('arguments', 'told'), [(['--speed', 'fast'], '--speed'), (['--spede', '2'], '--spede')])
def test_an_option_that_does_not_exist_or_fit_is_refused(tmp_path, arguments, told):
    done = ended(['up', *arguments], tmp_path)
    assert done.returncode == 2
    assert told in done.stderr.splitlines()[-1]
