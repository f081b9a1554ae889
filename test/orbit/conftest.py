from types import SimpleNamespace

import numpy as np
import pytest

from qkd_gs.orbit import Trajectory, load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.settings.site import load_site
from qkd_gs.share import share_path

SECOND_NS = 1_000_000_000


@pytest.fixture(scope='session')
def micius():
    """The repository's element sets: four epochs of one satellite."""
    return load_elements(share_path('config', 'elements', 'micius.tle'))


@pytest.fixture(scope='session')
def shanghai():
    return load_site('shanghai')


@pytest.fixture(scope='session')
def demo(micius, shanghai):
    """The paper's pass of 3 October 2018 over Shanghai, five minutes to either side of culmination."""
    middle_ns = parse_utc('2018-10-03T15:56:42Z')
    orbit = micius.nearest(middle_ns)
    start_ns, end_ns = middle_ns - 300 * SECOND_NS, middle_ns + 300 * SECOND_NS
    trajectory = Trajectory.predict(orbit, shanghai, start_ns, end_ns)
    return SimpleNamespace(
        trajectory=trajectory, orbit=orbit, site=shanghai, middle_ns=middle_ns, start_ns=start_ns, end_ns=end_ns
    )


@pytest.fixture(scope='session')
def minute_rows():
    start_ns = parse_utc('2018-10-03T15:30:00Z')
    return start_ns + np.arange(0, 3601, 60) * SECOND_NS
