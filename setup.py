"""`pip install .`: the one CMake build, the same that colcon runs, put into a wheel, so that pip owns every file.

Name, version and the rest come from package.xml, the libraries from requirements/runtime.in,
those of drivers (extras) from requirements/drivers.in.
`pip install --editable .` leaves the Python code, config/ and launch/ in the checkout and installs what is generated.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from setuptools import Command, setup
from setuptools.command.build import build
from setuptools.dist import Distribution

HERE = Path(__file__).resolve().parent
PACKAGE = ElementTree.parse(HERE / 'package.xml').getroot()
NAME = str(PACKAGE.findtext('name'))
ENVIRONMENT = Path(sys.prefix).name
BUILD = HERE / 'build' / ('pip' if ENVIRONMENT == '.venv' else f'pip-{ENVIRONMENT}')
LACKING = tuple(sorted((HERE / 'interfaces').glob('*')))  # packages of ROS that its wheels lack; each looks for itself


def cmake_tree(compile_kernels: bool) -> Path:
    """Build and install into a staging folder; what lies there goes below `sys.prefix`."""
    stage = BUILD / 'stage'
    _start_afresh_if_needed()
    shutil.rmtree(stage, ignore_errors=True)
    for source in LACKING:
        _build(source, BUILD / source.name, stage)
    _build(HERE, BUILD, stage, QKD_COMPILE_KERNELS='ON' if compile_kernels else 'OFF')
    for byte_code in stage.rglob('*.pyc'):  # has the staging path inside; pip compiles again
        byte_code.unlink()
    return Path(f'{stage}{sys.prefix}')


def _build(source: Path, folder: Path, stage: Path, **more_options: str) -> None:
    """Run CMake on a package and install it below `stage`."""
    environment = dict(os.environ, VIRTUAL_ENV=sys.prefix, CMAKE_PREFIX_PATH=sys.prefix)
    environment['PATH'] = os.pathsep.join((f'{sys.prefix}/bin', environment.get('PATH', '')))
    environment['AMENT_PREFIX_PATH'] = os.pathsep.join(
        filter(None, (sys.prefix, environment.get('AMENT_PREFIX_PATH', '')))
    )

    def cmake(*arguments: str | Path, **more: str) -> None:
        subprocess.run(['cmake', *arguments], check=True, env=environment | more)

    options = {
        'CMAKE_INSTALL_PREFIX': sys.prefix,
        'Python3_EXECUTABLE': sys.executable,
        'BUILD_TESTING': 'OFF',
        'QKD_PIP': 'ON',
    } | more_options
    cmake('-G', 'Ninja', '-S', source, '-B', folder, *(f'-D{name}={value}' for name, value in options.items()))
    cmake('--build', folder)
    cmake('--install', folder, DESTDIR=str(stage))


def _start_afresh_if_needed() -> None:
    """Generators leave the modules of deleted messages behind, and CMake refuses a cache that was moved."""
    kinds = ('msg', 'srv', 'action')
    interfaces = sorted(
        str(path.relative_to(HERE))
        for folder in (HERE, *LACKING)
        for kind in kinds
        for path in folder.glob(f'{kind}/*')
    )
    inputs = '\n'.join((str(HERE), sys.executable, *interfaces))
    record = BUILD / 'inputs.txt'
    if not record.exists() or record.read_text(encoding='utf-8') != inputs:
        shutil.rmtree(BUILD, ignore_errors=True)
        BUILD.mkdir(parents=True)
        record.write_text(inputs, encoding='utf-8')


class BuildCMake(Command):
    """Put CMake's tree into the wheel: the Python package as platform library, the rest as data below the prefix.

    A command of its own, because setuptools swallows the errors of a changed build_py in editable mode.
    """

    user_options = []  # noqa: RUF012  (setuptools wants it so)

    def initialize_options(self) -> None:
        self.editable_mode = False
        self.build_lib: str | None = None

    def finalize_options(self) -> None:
        self.set_undefined_options('build', ('build_lib', 'build_lib'))

    def run(self) -> None:
        root = cmake_tree(compile_kernels=not self.editable_mode)  # there make compiles them, in the checkout
        site = next(root.glob('lib/python*/site-packages'))
        for name in (NAME, *(source.name for source in LACKING)):  # modules deleted since the last build
            shutil.rmtree(Path(str(self.build_lib)) / name, ignore_errors=True)
        data: dict[str, list[str]] = {}
        for path in sorted(path for path in root.rglob('*') if path.is_file()):
            inside = path.relative_to(root)
            python = path.relative_to(site) if path.is_relative_to(site) else None
            if python is not None and python.parts[0].endswith('.egg-info'):
                continue  # of rosidl: pip would take it for another version of this package
            if self.editable_mode and self._is_in_checkout(python or inside):
                continue
            if python is not None and not self.editable_mode:
                target = Path(str(self.build_lib)) / python
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
            else:
                data.setdefault(str(inside.parent), []).append(str(path.relative_to(HERE)))
        self.distribution.data_files = sorted(data.items())
        if self.editable_mode:  # setuptools installs the data of a normal wheel only
            self.run_command('install_data')

    @staticmethod
    def _is_in_checkout(path: Path) -> bool:
        share = Path('share', NAME)
        if path.is_relative_to(share / 'config') or path.is_relative_to(share / 'launch'):
            return True
        return path.parts[0] == NAME and (HERE / path).exists()

    def get_outputs(self) -> list[str]:
        return []

    def get_output_mapping(self) -> dict[str, str]:
        return {}

    def get_source_files(self) -> list[str]:
        return []


class Build(build):
    """The usual build, with CMake's tree last."""

    sub_commands = [*build.sub_commands, ('build_cmake', None)]  # noqa: RUF012


class BinaryDistribution(Distribution):
    """The interfaces are compiled: the wheel belongs to one platform."""

    def has_ext_modules(self) -> bool:
        return True


def libraries() -> list[str]:
    """Requirements by name; the exact versions are in requirements/runtime.txt."""
    lines = (HERE / 'requirements' / 'runtime.in').read_text(encoding='utf-8').splitlines()
    names = (line.partition('#')[0].strip() for line in lines if not line.startswith('-'))
    return [name for name in names if name]


def extras() -> dict[str, list[str]]:
    """Libraries of drivers by extra; `all` has all of them."""
    lines = (HERE / 'requirements' / 'drivers.in').read_text(encoding='utf-8').splitlines()
    found: dict[str, list[str]] = {'all': []}
    for line in lines:
        name, _, extra = line.partition('# extra: ')
        if extra and not line.startswith('#'):
            for one in (extra.strip(), 'all'):
                found.setdefault(one, []).append(name.strip())
    return found


setup(
    name=NAME,
    version=PACKAGE.findtext('version'),
    description=PACKAGE.findtext('description'),
    license=PACKAGE.findtext('license'),
    author=PACKAGE.findtext('author'),
    python_requires='>=3.11',
    install_requires=libraries(),
    extras_require=extras(),
    packages=[NAME],
    package_dir={'': '.'},  # in editable mode: the checkout on the path, no import hook
    include_package_data=False,
    distclass=BinaryDistribution,
    cmdclass={'build': Build, 'build_cmake': BuildCMake},
    entry_points={'console_scripts': ['qkd-gs = qkd_gs.cli:main']},
)
