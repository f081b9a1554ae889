"""The step that focuses: when it is needed, what it keeps, and where the focuser is left."""

from types import SimpleNamespace

import pytest

from qkd_gs.calibration.focus import FILE_NAME, Focus, save_focus
from qkd_gs.calibration.stars import load_stars
from qkd_gs.errors import StationError
from qkd_gs.evening.sequence import Interrupted
from qkd_gs.evening.steps import State
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin_surroundings import FocusSettings
from qkd_gs.share import share_path
from qkd_gs.sim.evening import focus_step
from qkd_gs.sim.physics.focus import SimFocuser

NOW_NS = parse_utc('2018-10-03T14:45:00Z')
SITE = load_site('shanghai')
SECOND = 10**9


class Bench:
    """A focuser with a tube of 5 deg C, and an autofocus that the test plays."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.focuser = SimFocuser(FocusSettings(), 5.0)
        self.focuser.open()
        self.failure = None
        station = load_yaml(share_path('config', 'station.yaml'), StationSettings)
        simulation = SimpleNamespace(site=SITE, station=station)
        self.given = SimpleNamespace(state_dir=folder, simulation=simulation, stars=load_stars)
        self.world = SimpleNamespace(focuser=self.focuser, at=lambda now_ns: None)
        StoredPointing.of(MountModel(IA=0.1), (640.0, 512.0), '', '2018-10-03T14:42:00Z').save(folder)
        monkeypatch.setattr(focus_step, 'autofocus', self.play)

    def play(self, world, station, model, site, star, focuser, start_ns, progress):
        focuser.move(start_ns, 23_000)
        progress(start_ns + SECOND, 'position 1 of 7')
        if self.failure:
            raise self.failure
        kept = Focus(utc='2018-10-03T14:46:00Z', position=25_450, width_px=1.9, temperature_c=5.0)
        return SimpleNamespace(result=lambda now_ns: kept, summary='focus at 25450'), start_ns + 60 * SECOND

    def step(self, progress=lambda now_ns, text: None):
        return focus_step.focus(self.given, self.world, NOW_NS, progress)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return Bench(tmp_path, monkeypatch)


def test_the_first_focus_is_kept_and_the_next_one_is_not_needed(bench):
    outcome, end_ns = bench.step()
    assert (outcome.state, end_ns) == (State.DONE, NOW_NS + 60 * SECOND)
    assert outcome.values == {'position': 25_450, 'width_px': 1.9, 'moved': 450}
    kept = load_yaml(bench.folder / FILE_NAME, Focus)
    assert (kept.position, kept.temperature_c) == (25_450, 5.0)
    outcome, end_ns = bench.step()
    assert (outcome.state, end_ns) == (State.NOT_NEEDED, NOW_NS)


def test_a_tube_of_another_temperature_is_focused_again(bench):
    save_focus(bench.folder, Focus(utc='2018-10-02T14:00:00Z', position=25_000, width_px=1.9, temperature_c=15.0))
    outcome, _ = bench.step()
    assert outcome.state is State.DONE
    assert outcome.sentence.startswith('the tube is 10 degrees colder')


def test_of_a_failure_nothing_is_kept(bench):
    bench.failure = StationError('Vega: the star was seen at 2 positions')
    with pytest.raises(StationError, match='Vega'):
        bench.step()
    assert not (bench.folder / FILE_NAME).exists()


def test_an_interrupted_focus_goes_back_to_where_it_was(bench):
    def rain(now_ns, text):
        raise Interrupted('it rains')

    with pytest.raises(Interrupted):
        bench.step(rain)
    assert bench.focuser.read(NOW_NS + 60 * SECOND).position == 25_000
