"""Stations for the steps of an evening, and the passes of their night."""

from types import SimpleNamespace

import pytest
from evening_station import DAWN_NS, NOW_NS, SECOND, SETTINGS, SITE, Station

from qkd_gs.evening import station_steps as module
from qkd_gs.evening.choice import choose_passes
from qkd_gs.orbit.elements import load_elements
from qkd_gs.share import share_path


@pytest.fixture(scope='session')
def passes():
    """The passes of that night with their forecast."""
    from qkd_gs.evening.choice import MeasuredLight
    from qkd_gs.settings.downlink import load_downlink

    elements = load_elements(share_path('config', 'elements', 'micius.tle'))
    return choose_passes(elements, SITE, SETTINGS, MeasuredLight(load_downlink(), SITE), (NOW_NS, DAWN_NS))


@pytest.fixture
def make(tmp_path, passes, monkeypatch):
    """Maker of stations whose sessions need no files."""
    manifest = SimpleNamespace(locked=[SimpleNamespace(start_ns=0, end_ns=500 * SECOND)], run={}, result=None)
    monkeypatch.setattr(module, 'load_manifest', lambda folder: manifest)
    (tmp_path / 'sessions' / 'pass-1').mkdir(parents=True)
    (tmp_path / 'sessions' / 'pass-1' / 'report.html').write_text('')

    def make(skip=(), stored=True, settings=SETTINGS):
        station = Station(tmp_path, passes, skip, stored, settings)
        station.manifest = manifest
        return station

    return make
