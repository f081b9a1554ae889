"""A child interpreter executes nothing that lies in the current folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import qkd_gs
from qkd_gs.children import child_environment, protected_children

CODE = str(Path(qkd_gs.__file__).parents[1])
FOLDERS = ('', '.', 'below', '/opt/ros/lib', '/opt/other')
FORKS = """
import sys
sys.path[:] = [folder for folder in sys.path if folder]  # as where a console script starts
import multiprocessing
import contextlib
from qkd_gs.children import protected_children
context = multiprocessing.get_context({method!r})
if __name__ == '__main__':
    child = context.Process(target=print, args=('done',))
    with protected_children() if {protected} else contextlib.nullcontext():
        child.start()
    child.join()
    sys.exit(child.exitcode)
"""


@pytest.fixture
def trap(tmp_path):
    """A folder with modules of Python's own names that leave a mark when they are executed."""
    folder = tmp_path / 'current'
    folder.mkdir()
    for name in ('secrets', 'selectors', 'socket', 'argparse', 'multiprocessing', 'numpy'):
        (folder / f'{name}.py').write_text(f'open({str(tmp_path / "executed")!r}, "a").write(__name__)\n')
    return folder


def executed(trap):
    return (trap.parent / 'executed').exists()


def environment(**more):
    return {key: value for key, value in os.environ.items() if key not in ('PYTHONPATH', 'PYTHONSAFEPATH')} | more


@given(st.lists(st.sampled_from(FOLDERS)))
def test_only_absolute_folders_stay_on_the_module_path(folders):
    safe = child_environment({'PYTHONPATH': os.pathsep.join(folders), 'HOME': '/home/x'})
    kept = safe.get('PYTHONPATH', '').split(os.pathsep) if 'PYTHONPATH' in safe else []
    assert kept == [folder for folder in folders if folder.startswith('/')]
    assert safe['HOME'] == '/home/x'


@pytest.mark.parametrize('path', ['', '.', f':{os.path.sep}opt'])
def test_a_module_in_the_current_folder_is_not_executed(trap, path):
    command = [sys.executable, '-m', 'json.tool', '--help']
    subprocess.run(command, cwd=trap, env=environment(PYTHONPATH=path), capture_output=True, check=False)
    assert executed(trap), 'the trap catches nobody'
    (trap.parent / 'executed').unlink()
    subprocess.run(command, cwd=trap, env=child_environment(environment(PYTHONPATH=path)), check=True)
    assert not executed(trap)


@pytest.mark.parametrize('method', ['forkserver', 'spawn'])
def test_servers_of_multiprocessing_execute_nothing_there_either(trap, tmp_path, method):
    script = tmp_path / 'scripts' / 'program.py'  # a script's own folder is on its path, not the current one
    script.parent.mkdir()
    for protected in (False, True):
        script.write_text(FORKS.format(protected=protected, method=method))
        found = subprocess.run(
            [sys.executable, str(script)], cwd=trap, env=environment(PYTHONPATH=CODE), capture_output=True, check=False
        )
        assert executed(trap) is not protected, found.stderr
        (trap.parent / 'executed').unlink(missing_ok=True)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize('path', [None, '', 'below:/opt/other'])
def test_the_own_environment_is_as_before(monkeypatch, path):
    monkeypatch.delenv('PYTHONSAFEPATH', raising=False)
    if path is None:
        monkeypatch.delenv('PYTHONPATH', raising=False)
    else:
        monkeypatch.setenv('PYTHONPATH', path)
    before = dict(os.environ)
    with protected_children():
        assert os.environ['PYTHONSAFEPATH'] == '1'
    assert dict(os.environ) == before
