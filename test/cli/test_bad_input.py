"""What an operator can get wrong: exit status 2 and one clear sentence that says what, where and what to do."""

import os
from pathlib import Path

import pytest
from command_line import AT, ELEMENTS, qkd_gs

from qkd_gs.cli import main
from qkd_gs.share import share_path

GOOD = ['--elements', ELEMENTS, '--site', 'Shanghai', '--at', AT]
SPAN = ['--start', '2018-10-03T00:00:00Z', '--end', '2018-10-04T00:00:00Z']


def changed(tmp_path, name, text, old, new):
    assert old in text
    path = tmp_path / name
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.fixture
def broken(tmp_path):
    """Files with one mistake each."""
    tle = Path(ELEMENTS).read_text()
    one = ''.join(tle.splitlines(keepends=True)[:3])
    station = share_path('config', 'station.yaml').read_text()
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full' / 'precious').write_text('x')
    (tmp_path / 'open').mkdir(mode=0o755)
    (tmp_path / 'open' / 'x').write_text('x')
    os.chmod(tmp_path / 'open', 0o755)
    return {
        'checksum': changed(tmp_path, 'a.tle', one, '9994\n', '9995\n'),
        'cut': changed(tmp_path, 'b.tle', one, '15.24673830115845', '15.2467'),
        'empty': changed(tmp_path, 'c.tle', tle, tle, ' \n'),
        'alien': changed(tmp_path, 'd.tle', tle, tle, 'GIF89a nothing of the kind\n'),
        'old': changed(tmp_path, 'e.tle', tle, tle, '\n'.join(tle.splitlines()[-3:]) + '\n'),
        'key': changed(tmp_path, 'f.yaml', station, 'park_el_deg: 0', 'park_el_deg: 0\n  wachdog_ms: 100'),
        'value': changed(tmp_path, 'g.yaml', station, 'gate_ns: 2.0', 'gate_ns: -2.0'),
        'word': changed(tmp_path, 'h.yaml', station, 'divergence_mrad: 3', 'divergence_mrad: wide'),
        'twice': changed(tmp_path, 'i.yaml', station, 'park_az_deg: 0', 'park_az_deg: 0\n  park_az_deg: 1'),
        'yaml': changed(tmp_path, 'j.yaml', station, 'beacon:\n', 'beacon: [\n'),
        'full': tmp_path / 'full',
        'open': tmp_path / 'open',
        'nothing': tmp_path / 'nothing',
    }


CASES = [
    # arguments (a name in braces is a broken file), what the sentence must say
    (['simulate', '--elements', '{checksum}', *GOOD[2:]], ['a.tle:2', 'checksum']),
    (['simulate', '--elements', '{cut}', *GOOD[2:]], ['b.tle:3']),
    (['simulate', '--elements', '{empty}', *GOOD[2:]], ['c.tle', 'empty']),
    (['simulate', '--elements', '{alien}', *GOOD[2:]], ['d.tle:1', 'not a known format']),
    (['simulate', '--elements', '{old}', *GOOD[2:]], ['e.tle', 'newer elements']),
    (['simulate', '--elements', '{nothing}', *GOOD[2:]], ['nothing', 'No such file']),
    (['simulate', *GOOD[:2], '--site', 'Atlantis', *GOOD[4:]], ['--site', 'Atlantis', 'shanghai']),
    (['simulate', *GOOD[:2], '--site', '31,200,0', *GOOD[4:]], ['--site', 'longitude_deg']),
    (['simulate', *GOOD[:2], '--site', '31,x,0', *GOOD[4:]], ['--site', 'LAT_DEG,LON_DEG,ALT_M']),
    (['simulate', *GOOD[:4], '--at', 'tomorrow'], ['--at', 'tomorrow']),
    (['simulate', *GOOD[:4], '--at', '2018-10-03T14:22:00Z'], ['culminates at', 'nearest higher one']),
    (['simulate', *GOOD, '--seed', '-1'], ['--seed']),
    (['simulate', *GOOD, '--window', '0'], ['--window']),
    (['simulate', *GOOD, '--scenario', 'flood'], ['--scenario', 'flood']),
    (['simulate', *GOOD, '--session', '{full}'], ['full', 'not empty']),
    (['simulate', *GOOD, '--keys', '{open}'], ['open']),
    (['simulate', *GOOD, '--station', '{key}'], ['f.yaml:', 'wachdog_ms']),
    (['simulate', *GOOD, '--station', '{value}'], ['g.yaml:', 'gate_ns']),
    (['simulate', *GOOD, '--station', '{word}'], ['h.yaml:', 'divergence_mrad']),
    (['simulate', *GOOD, '--station', '{twice}'], ['i.yaml:', 'park_az_deg', 'twice']),
    (['simulate', *GOOD, '--station', '{yaml}'], ['j.yaml:', 'YAML']),
    (['passes', *GOOD[:4], '--start', '2018-10-04', '--end', '2018-10-03'], ['search ends at']),
    (['passes', *GOOD[:4], *SPAN, '--min-elevation', '95'], ['elevation']),
    (['process', '{nothing}'], ['nothing', 'not a session']),
    (['report', '{nothing}'], ['nothing', 'not a session']),
    (['fit-pointing', '{alien}'], ['d.tle:1']),
    (['key-length', '{alien}'], ['d.tle']),
]


@pytest.mark.parametrize(('arguments', 'says'), CASES, ids=lambda value: ' '.join(value)[:60])
def test_a_mistake_gives_one_sentence(broken, tmp_path, arguments, says):
    arguments = [word.format_map(broken) if word.startswith('{') else word for word in arguments]
    if arguments[0] == 'simulate' and '--session' not in arguments:
        arguments += ['--session', str(tmp_path / 'session')]
    done = qkd_gs(*arguments, keys=None if '--keys' in arguments else tmp_path / 'keys')
    assert done.returncode == 2, done.stderr
    assert done.stdout == ''
    assert 'Traceback' not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    for part in says:
        assert part in last
    assert (broken['full'] / 'precious').exists()


def test_words_that_no_command_knows_give_the_usage():
    done = qkd_gs('conquer')
    assert done.returncode == 2
    assert 'usage' in done.stderr


@pytest.mark.parametrize(
    'arguments',
    [['keys', 'init', ''], ['report', ''], ['process', '--keys', '', 'session'], ['simulate', *GOOD, '--session', '']],
    ids=' '.join,
)
def test_an_empty_text_is_not_the_folder_that_one_is_in(arguments, tmp_path, monkeypatch, capsys):
    """As of a variable of a script that is not set."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith('names no file or folder: it is empty\n')
    assert not list(tmp_path.iterdir())
