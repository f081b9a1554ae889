"""What is compiled at installation is what a station needs: nothing is left for its first pass."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import qkd_gs.jit
from qkd_gs.jit import INSTALLING

CHECKOUT = Path(qkd_gs.jit.__file__).parents[1]
SIMULATE = (
    '-m', 'qkd_gs', 'simulate', '--elements', str(CHECKOUT / 'config' / 'elements' / 'micius.tle'),
    '--site', 'Shanghai', '--at', '2018-10-03T15:56:42Z', '--seed', '2',
)  # fmt: skip


@pytest.mark.long
def test_after_the_installation_a_calibration_a_pass_and_its_key_compile_nothing(tmp_path):
    prefix, user = tmp_path / 'prefix', tmp_path / 'user'
    shutil.copytree(CHECKOUT / 'qkd_gs', prefix / 'qkd_gs', ignore=shutil.ignore_patterns('__pycache__'))
    for data in ('config', 'launch'):
        shutil.copytree(CHECKOUT / data, prefix / 'share' / 'qkd_gs' / data)
    kept = {name: value for name, value in os.environ.items() if name != 'NUMBA_CACHE_DIR'}

    def run(*arguments, **environment):
        environment |= kept | {'PYTHONPATH': str(prefix), 'XDG_CACHE_HOME': str(user)}
        subprocess.run([sys.executable, *arguments], cwd=tmp_path, env=environment, check=True, stdout=subprocess.PIPE)

    run(str(CHECKOUT / 'tools' / 'warm_up.py'), **{INSTALLING: '1'})
    compiled = sorted(prefix.rglob('*.nbc'))
    assert len(compiled) > 80
    run(*SIMULATE, '--session', str(tmp_path / 'session'), '--keys', str(tmp_path / 'keys'))
    assert sorted(prefix.rglob('*.nbc')) == compiled
    assert not [path.name for path in user.rglob('*.nb?')]
