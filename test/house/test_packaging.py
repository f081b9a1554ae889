"""What is said in several files is the same in all of them, and nothing is used that is not declared."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from xml.etree import ElementTree

import pytest

import qkd_gs
from qkd_gs.errors import StationError
from qkd_gs.share import find_root

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ElementTree.parse(ROOT / 'package.xml').getroot()
REQUIREMENTS = ROOT / 'requirements'
LAYERS = ('ros', 'runtime', 'drivers', 'test', 'docs')


def canonical(name):
    return re.sub(r'[-_.]+', '-', name).lower()


def named(layer):
    """Requirements by name, from the file that people write."""
    lines = (REQUIREMENTS / f'{layer}.in').read_text(encoding='utf-8').splitlines()
    return {canonical(re.match(r'[\w.-]+', line)[0]) for line in lines if re.match(r'\w', line)}


def pins(layer):
    lines = (REQUIREMENTS / f'{layer}.txt').read_text(encoding='utf-8').splitlines()
    return dict(re.match(r'([\w.-]+)==([\w.]+)', line).groups() for line in lines if re.match(r'\w', line))


def test_one_version_everywhere():
    assert PACKAGE.findtext('version') == qkd_gs.__version__
    assert re.search(rf'^{re.escape(qkd_gs.__version__)} \(', (ROOT / 'CHANGELOG.rst').read_text('utf-8'), re.MULTILINE)
    assert f'\nversion: {qkd_gs.__version__}\n' in (ROOT / 'CITATION.cff').read_text('utf-8')


@pytest.mark.parametrize('layer', LAYERS)
def test_every_named_requirement_is_pinned(layer):
    assert named(layer) <= set(pins(layer))


def test_layers_of_requirements_agree():
    seen = {}
    for layer in LAYERS:
        for name, version in pins(layer).items():
            assert seen.setdefault(name, version) == version, name


def test_every_library_is_in_package_xml_or_says_why_not():
    lines = (REQUIREMENTS / 'runtime.in').read_text(encoding='utf-8').splitlines()
    said = [re.match(r'[\w.-]+[^#]* # (rosdep|pip only)(?:: (.+))?$', line) for line in lines if re.match(r'\w', line)]
    assert all(said), 'a line of runtime.in ends with "# rosdep: KEY" or "# pip only"'
    keys = {match[2] for match in said if match[1] == 'rosdep'}
    declared = {entry.text for entry in PACKAGE.iter('exec_depend')}
    assert keys == {name for name in declared if name.startswith('python3-')} | {'xacro'}
    assert 'xacro' in declared


def test_what_only_pip_has_is_in_the_installation_page():
    lines = (REQUIREMENTS / 'runtime.in').read_text(encoding='utf-8').splitlines()
    page = (ROOT / 'doc' / 'install.md').read_text(encoding='utf-8')
    command = re.search(r'pip install -c \S+noble\.txt (.*?)\n\n', page, re.DOTALL)[1]
    skipped = re.search(r'--skip-keys "(.*?)"', page)[1].replace('python3-', '')
    wanted = {line.split()[0] for line in lines if '# pip only' in line} | set(skipped.split())
    assert {re.sub(r'>=.*', '', name.strip('"\\')) for name in command.split()} - {''} == wanted


def test_libraries_of_drivers_say_which_extra_installs_them_and_are_imported_only_by_name():
    """A driver whose library is missing still shows its options, and its error names the extra (`extras.need`)."""
    lines = (REQUIREMENTS / 'drivers.in').read_text(encoding='utf-8').splitlines()
    said = [re.match(r'[\w.-]+[^#]* # extra: \w+$', line) for line in lines if re.match(r'\w', line)]
    assert all(said), 'a line of drivers.in ends with "# extra: NAME"'
    distributions = packages_distributions()
    optional = {top for top, names in distributions.items() if {canonical(name) for name in names} & named('drivers')}
    loaded_after_need = {ROOT / 'qkd_gs' / 'keys' / 'delivery' / f'{name}.py' for name in ('app', 'server')}
    for path in set((ROOT / 'qkd_gs').rglob('*.py')) - loaded_after_need:
        assert not imported(path) & optional, path


def test_what_launch_files_import_is_declared():
    declared = {entry.text for entry in PACKAGE.iter('exec_depend')}
    for path in (ROOT / 'launch').glob('*.launch.py'):
        assert imported(path) - {'qkd_gs'} - set(sys.stdlib_module_names) <= declared
    assert 'ros2launch' in declared


def test_requirements_name_no_machine():
    machine = r'--(find-links|index-url|extra-index-url)|file://|https?://'
    assert not [path for path in REQUIREMENTS.iterdir() if re.search(machine, path.read_text('utf-8'))]


def test_every_import_is_declared():
    """ROS packages in package.xml, libraries by name in requirements/*.in; conformance suites may need pytest."""
    distributions = packages_distributions()
    libraries = named('ros') | named('runtime') | named('drivers')
    ros = {entry.text for entry in PACKAGE.iter() if entry.tag in ('depend', 'exec_depend')} | {
        PACKAGE.findtext('name')
    }
    undeclared = set()
    for path in (ROOT / 'qkd_gs').rglob('*.py'):
        tests_alone = {'pytest'} if 'conformance' in path.parts else set()
        for top in imported(path) - ros - tests_alone - set(sys.stdlib_module_names):
            if not libraries & {canonical(name) for name in distributions.get(top, [])}:
                undeclared.add(f'{path.relative_to(ROOT)}: {top}')
    assert not undeclared


def imported(path):
    """Top-level names of the absolute imports of a file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split('.')[0])
    return names


@pytest.mark.parametrize(
    'place', ['lib/python3.12/site-packages/qkd_gs', 'local/lib/python3.12/dist-packages/qkd_gs', 'qkd_gs']
)
def test_data_come_from_the_prefix_of_the_code(tmp_path, place):
    package = tmp_path / place
    package.mkdir(parents=True)
    with pytest.raises(StationError, match='make setup'):
        find_root(package)
    (tmp_path / 'share' / 'qkd_gs').mkdir(parents=True)
    assert find_root(package) == tmp_path / 'share' / 'qkd_gs'


def test_a_checkout_uses_its_own_data(tmp_path):
    checkout = tmp_path / 'checkout'
    (checkout / 'qkd_gs').mkdir(parents=True)
    (checkout / 'package.xml').touch()
    (tmp_path / 'share' / 'qkd_gs').mkdir(parents=True)
    assert find_root(checkout / 'qkd_gs') == checkout
