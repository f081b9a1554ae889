"""A station, a twin and a true trajectory for the tests of the twin."""

from __future__ import annotations

import pytest

from qkd_gs.orbit import Trajectory, load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import Site, load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import TwinSettings, load_twin
from qkd_gs.share import share_path


@pytest.fixture(scope='session')
def station() -> StationSettings:
    return load_yaml(share_path('config', 'station.yaml'), StationSettings)


@pytest.fixture(scope='session')
def site() -> Site:
    return load_site('shanghai')


@pytest.fixture(scope='session')
def truth(site: Site) -> Trajectory:
    """A pass of 45 deg over Shanghai, 2018-09-15, culminating at 16:21:38."""
    start_ns, end_ns = parse_utc('2018-09-15T16:15:35Z'), parse_utc('2018-09-15T16:27:20Z')
    orbit = load_elements(share_path('config', 'elements', 'micius.tle')).nearest(start_ns, False)
    return Trajectory.predict(orbit, site, start_ns, end_ns, along_track_s=0.2, cross_track_m=500)


@pytest.fixture(scope='session')
def twin() -> TwinSettings:
    """As shipped, but with layers of air that repeat sooner: quicker to make."""
    twin = load_twin()
    air = twin.plant.atmosphere.model_copy(update={'series': 1 << 15})
    return twin.model_copy(update={'plant': twin.plant.model_copy(update={'atmosphere': air})})
