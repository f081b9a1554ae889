"""`import qkd_gs`: the public names, that they load late and without ROS, and what the convenient forms accept."""

import ast
import doctest
import inspect
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

import qkd_gs
from qkd_gs import StationError

ROOT = Path(__file__).resolve().parents[1]
ELEMENTS = ROOT / 'config' / 'elements' / 'micius.tle'
START, END = '2018-10-03T12:00:00Z', '2018-10-04T00:00:00Z'
PROMISED = {
    'SpotDetector', 'find_passes', 'fit_pointing', 'key_length', 'load_elements', 'load_site', 'open_bag',
    'open_session', 'reconcile', 'simulate_pass', 'toeplitz', 'trajectory',
}  # fmt: skip
TALLY = {
    'signal': {'sent': 8 * 10**9, 'sifted': 300_000, 'errors': 3900},
    'decoy': {'sent': 4 * 10**9, 'sifted': 19_000, 'errors': 330},
    'vacuum': {'sent': 4 * 10**9, 'sifted': 180, 'errors': 92},
}
COUNTS = {'intensities': {'signal': 0.8, 'decoy': 0.1, 'vacuum': 0.0}, 'bases': {'hv': TALLY, 'da': TALLY}}


@pytest.fixture(scope='module')
def micius():
    return qkd_gs.load_elements(ELEMENTS)


@pytest.fixture(scope='module')
def one(micius):
    (found,) = qkd_gs.find_passes(micius, 'shanghai', START, END)
    return found


def imported_by(code):
    """Modules that are loaded after running some code in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, '-c', f'{code}\nimport sys\nprint(*sys.modules)'],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return set(done.stdout.split())


def test_every_promised_name_is_public():
    assert set(qkd_gs.__all__) >= PROMISED
    assert set(dir(qkd_gs)) >= set(qkd_gs.__all__)


@pytest.mark.parametrize('name', sorted(set(qkd_gs.__all__) - {'__version__'}))
def test_a_public_name_is_documented(name):
    value = getattr(qkd_gs, name)
    assert value.__name__ == name
    assert len(inspect.getdoc(value).splitlines()[0]) > 10


def test_type_checkers_see_what_is_loaded():
    """The imports under TYPE_CHECKING name the same modules as the table that `__getattr__` reads."""
    tree = ast.parse(Path(qkd_gs.__file__).read_text(encoding='utf-8'))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == {name: f'qkd_gs.{module}' for name, module in qkd_gs._MODULE_OF.items()}
    assert {*seen, '__version__'} == set(qkd_gs.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match='trajektory'):
        _ = qkd_gs.trajektory


def test_import_alone_loads_no_library():
    assert not imported_by('import qkd_gs') & {'numpy', 'scipy', 'numba', 'matplotlib', 'pydantic', 'rclpy'}


def test_no_public_name_needs_ros():
    assert 'rclpy' not in imported_by('from qkd_gs import *')


@pytest.mark.parametrize('name', sorted(PROMISED))
def test_examples_in_docstrings_are_true(name, monkeypatch):
    monkeypatch.chdir(ROOT)  # they name files of config/
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in doctest.DocTestFinder(recurse=False).find(getattr(qkd_gs, name), name, globs={}):
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize('name', sorted(PROMISED))
def test_every_function_has_an_example(name):
    assert '>>> ' in inspect.getdoc(getattr(qkd_gs, name))


def test_times_may_be_text_datetime_or_integer(micius, one):
    start, end = datetime(2018, 10, 3, 12, tzinfo=UTC), datetime(2018, 10, 4, 8, tzinfo=timezone(timedelta(hours=8)))
    start_ns, end_ns = qkd_gs.parse_utc(START), np.int64(qkd_gs.parse_utc(END))
    site = qkd_gs.load_site('Shanghai')
    assert qkd_gs.find_passes(micius, site, start, end) == [one]
    assert qkd_gs.find_passes(micius, site, start_ns, end_ns) == [one]


@pytest.mark.parametrize('time', [datetime(2018, 10, 3), 3.5, 'yesterday', None])
def test_a_time_that_is_none_is_refused(micius, time):
    with pytest.raises(StationError, match=r'^start: '):
        qkd_gs.find_passes(micius, 'shanghai', time, END)


def test_a_pass_brings_its_own_time_span(micius, one):
    path = qkd_gs.trajectory(one, 'shanghai')
    assert (path.start_ns, path.end_ns) == (one.rise_ns, one.set_ns)
    middle_ns = one.culmination_ns
    again = qkd_gs.trajectory(micius, 'shanghai', START, '2018-10-03T17:00Z', along_track_s=0.1)
    assert again.at(middle_ns).el_rad == pytest.approx(path.at(middle_ns, time_bias_s=0.1).el_rad, abs=1e-9)


def test_elements_need_a_time_span(micius):
    with pytest.raises(StationError, match='start and end'):
        qkd_gs.trajectory(micius, 'shanghai')


def test_key_length_of_a_document_and_of_counts_are_the_same():
    counts = qkd_gs.KeyCounts(intensities=COUNTS['intensities'], **COUNTS['bases'])
    of_document = qkd_gs.key_length(COUNTS | {'epsilon_per_bound': 1e-5, 'f_ec': 1.1, 'pooled': True})
    of_counts = qkd_gs.key_length(counts, epsilon_per_bound=1e-5, f_ec=1.1, pooled=True)
    assert of_document == of_counts
    assert of_counts.secret_bits > 0


def test_settings_beside_a_document_are_refused():
    with pytest.raises(StationError, match=r'^f_ec: '):
        qkd_gs.key_length(COUNTS | {'epsilon_total': 1e-10, 'f_ec': 1.1}, f_ec=1.2)


def test_a_document_with_a_wrong_count_names_its_key():
    wrong = {**COUNTS, 'bases': {'hv': TALLY, 'da': {**TALLY, 'decoy': {'sent': 1, 'sifted': 2, 'errors': 0}}}}
    with pytest.raises(StationError, match=r'^counts: bases\.da\.decoy'):
        qkd_gs.key_length(wrong | {'epsilon_total': 1e-10, 'f_ec': 1.1})


@pytest.mark.parametrize(
    ('rows', 'complaint'), [(np.zeros((3, 3)), r'\(3, 3\)'), ([[0.1, 0.5, 0.2, np.nan]], 'row 0'), ([], r'\(0,\)')]
)
def test_observations_of_another_shape_are_refused(rows, complaint):
    with pytest.raises(StationError, match=complaint):
        qkd_gs.fit_pointing(rows)


def test_folders_may_be_text(tmp_path):
    for opened in (qkd_gs.open_session, qkd_gs.open_bag):
        with pytest.raises(StationError, match=str(tmp_path)):
            opened(os.fspath(tmp_path))


def test_a_seed_below_zero_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(StationError, match=r'^seed: '):
        qkd_gs.simulate_pass(ELEMENTS, 'shanghai', START, tmp_path / 'session', seed=-1, keys=tmp_path / 'keys')
    assert not list(tmp_path.iterdir())
