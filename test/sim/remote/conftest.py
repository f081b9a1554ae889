"""A pass of the twin, for devices in processes of their own."""

import pytest
from remote_wire import setup_for

from qkd_gs.orbit.elements import load_elements
from qkd_gs.share import share_path


@pytest.fixture(scope='module')
def elements():
    return load_elements(share_path('config', 'elements', 'micius.tle'))


@pytest.fixture(scope='module')
def setup(twin, station, site, elements):
    """The world begins half a minute after the satellite has risen to 30 deg."""
    tracking = station.tracking.model_copy(update={'start_el_deg': 30.0, 'end_el_deg': 30.0})
    return setup_for(elements, site, 3, twin, station.model_copy(update={'tracking': tracking}))
