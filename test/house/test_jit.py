"""The cache of compiled kernels, of a small package with a kernel that calls one of another module."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import qkd_gs.jit
from qkd_gs.jit import INSTALLING

CODE = Path(qkd_gs.__file__).parent
CALLED = """from small.jit import njit

STEP = {step}


@njit(cache=True)
def add(x):
    return x + STEP
"""
CALLER = """from small.called import add
from small.jit import njit


@njit(cache=True)
def twice(x):
    return add(add(x))
"""
RUN = """from small.caller import twice

print(twice({x}), sum(twice.stats.cache_hits.values()))
"""


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / 'prefix' / 'small'
    folder.mkdir(parents=True)
    shutil.copy(qkd_gs.jit.__file__, folder)
    (folder / '__init__.py').touch()
    (folder / 'caller.py').write_text(CALLER)
    (folder / 'called.py').write_text(CALLED.format(step=1))
    return folder


def run(package, x='1', **environment):
    """Result, and whether it came from the cache, in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if name != 'NUMBA_CACHE_DIR'}
    user = {'XDG_CACHE_HOME': str(package.parents[1] / 'user')}
    program = [sys.executable, '-c', RUN.format(x=x)]
    said = subprocess.check_output(program, cwd=package.parent, env=kept | user | environment, text=True)
    result, hits = said.split()
    return float(result), hits == '1'


def kernels(folder):
    return {path.relative_to(folder) for path in folder.rglob('*.nb?')}


def test_a_checkout_notices_a_change_in_a_module_that_the_kernel_calls(package):
    (package.parent / 'package.xml').touch()
    assert run(package) == (3, False)
    assert run(package) == (3, True)
    (package / 'called.py').write_text(CALLED.format(step=5))
    assert run(package) == (11, False)
    assert kernels(package)
    assert not (package.parents[1] / 'user').exists()


def test_an_installation_keeps_what_was_compiled_with_it_and_gets_nothing_more(package):
    user = package.parents[1] / 'user'
    assert run(package, **{INSTALLING: '1'}) == (3, False)
    installed = kernels(package)
    moved = package.parents[1] / 'moved' / 'small'  # from the staging folder to where it stays
    package.parent.rename(moved.parent)
    assert run(moved) == (3, True)
    assert not kernels(user)
    assert run(moved, x='1.0') == (3, False)
    assert run(moved, x='1.0') == (3, True)
    assert kernels(moved) == installed
    assert kernels(user)


def test_without_a_folder_to_write_to_kernels_are_compiled_in_memory(package):
    (package.parent / 'occupied').touch()
    assert run(package, XDG_CACHE_HOME=str(package.parent / 'occupied')) == (3, False)
    assert not kernels(package)


def kernel_modules():
    return [path for path in CODE.rglob('*.py') if 'njit' in path.read_text('utf-8') and path.name != 'jit.py']


def test_every_kernel_is_cached_so():
    for path in kernel_modules():
        for node in ast.walk(ast.parse(path.read_text('utf-8'))):
            if isinstance(node, ast.ImportFrom):
                assert node.module != 'numba', f'{path}: take njit from qkd_gs.jit'
                # the name of a module would escape the search for what a kernel depends on
                folder = CODE.parent / node.module.replace('.', '/')
                modules = [name.name for name in node.names if (folder / f'{name.name}.py').exists()]
                assert not modules, f'{path}: import what is needed from the module {modules}, not the module'
