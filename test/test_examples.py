"""Every script of examples/ runs as it is written."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import synthetic

from qkd_gs.session.manifest import create_manifest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted(path.name for path in (ROOT / 'examples').glob('*.py'))
PLOTS = [
    ('key_length_vs_loss.py', r' 31\.0 dB +1\d{6} bits'),
    ('pass_list.py', '2018-10-03T15:56:42Z   72.0 deg     523 km'),  # the pass of the paper
    ('pointing_fit.py', r'\nrejected: star 3,.*\nRMS'),  # the wrong star, and no other
]


def run(name, *arguments):
    """Run a script from the root of the repository, as its docstring says; returns its standard output."""
    done = subprocess.run(
        [sys.executable, f'examples/{name}', *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {'MPLBACKEND': 'Agg', 'PYTHONPATH': str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize('name', EXAMPLES)
def test_an_example_is_short_and_described(name):
    text = (ROOT / 'examples' / name).read_text(encoding='utf-8')
    assert len(text.splitlines()) < (200 if name == 'custom_driver.py' else 80)  # a whole driver with its emulator
    assert f'examples/{name}' in ast.get_docstring(ast.parse(text))  # how to run it


@pytest.mark.parametrize(('name', 'told'), PLOTS)
def test_an_example_draws_its_plot(name, told, tmp_path):
    said = run(name, tmp_path / 'plot.png')
    assert re.search(told, said), said
    assert 'plot: ' in said
    assert (tmp_path / 'plot.png').read_bytes().startswith(b'\x89PNG')


def test_a_session_is_read(tmp_path):
    create_manifest(tmp_path, synthetic.manifest())
    synthetic.telemetry().save(tmp_path)
    said = run('read_session.py', tmp_path, tmp_path / 'plot.png')
    assert f'key           sifted_bits              {synthetic.key_counts().sifted_bits}' in said
    assert (tmp_path / 'plot.png').stat().st_size > 0


def test_reading_nothing_says_what_to_give():
    command = [sys.executable, 'examples/read_session.py']
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert 'make demo' in done.stderr
