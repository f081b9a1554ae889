"""`qkd-gs tonight`, `star-test` and `noise-map`: what is refused, and what is printed."""

import json

import pytest

from qkd_gs.cli import main
from qkd_gs.evening.steps import Step

SKY = '2018-10-03T15:00:00Z,sky,{az},{el},10,{n},{n},{n},{n}\n'
HEAD = 'utc,target,az_deg,el_deg,seconds,H,V,D,A\n'


def test_every_step_says_what_it_does(capsys):
    assert main(['tonight', '--steps']) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told] == list(Step)
    assert all(len(line.split()) > 5 for line in told)


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--simulate'], '--elements: is needed with --simulate'),
        (['--simulate', '--skip', 'supper'], "'supper' is no step of an evening"),
        (['--simulate', '--until', '2018-10-03T14:00:00Z'], 'until: 2018-10-03T14:00:00Z is not after the start'),
        (['--simulate', '--skip', 'park'], 'the step park cannot be skipped'),
    ],
)
def test_what_makes_no_evening_is_refused(tmp_path, capsys, arguments, said):
    whole = ['--elements', 'config/elements/micius.tle', '--site', 'Shanghai', '--start', '2018-10-03T14:40:00Z']
    whole += ['--state', str(tmp_path / 'state'), '--keys', str(tmp_path / 'keys')]
    assert main(['tonight', *arguments, *(whole if len(arguments) > 1 else [])]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--site', 'Shanghai'], '--site: is for --simulate: a running station was started with its own'),
        (['--start', '2018-10-03T14:40:00Z'], '--start: is for --simulate'),
        (['--skip', 'supper'], "'supper' is no step of an evening"),
        (['--until', 'soon'], '--until'),
    ],
)
def test_what_a_running_station_is_not_asked_is_refused_before_it_is_looked_for(capsys, arguments, said):
    assert main(['tonight', *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_noise_map_is_printed_drawn_and_kept(tmp_path, capsys):
    rows = [SKY.format(az=az, el=el, n=100 + az) for az in (0, 90, 180, 270) for el in (20, 40, 60)]
    path = tmp_path / 'counts.csv'
    path.write_text(HEAD + ''.join(rows))
    options = ['--site', 'Shanghai', '--state', str(tmp_path), '--write', '--json']
    assert main(['noise-map', str(path), *options, '--figure', str(tmp_path / 'map.svg')]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first['change'] is None
    assert first['rate_cps'][1][0][0] == pytest.approx(19, rel=0.01)
    assert (tmp_path / 'map.svg').stat().st_size > 1000
    assert main(['noise-map', str(path), *options]) == 0
    assert json.loads(capsys.readouterr().out)['change'].startswith('1.00 times that of')


def test_a_star_test_without_stars_is_refused(tmp_path, capsys):
    path = tmp_path / 'counts.csv'
    path.write_text(HEAD + SKY.format(az=0, el=20, n=100))
    assert main(['star-test', str(path), '--site', 'Shanghai', '--state', str(tmp_path)]) == 2
    assert '0 of 0 stars were counted, 3 are needed' in capsys.readouterr().err
