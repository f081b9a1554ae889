"""The evening's calibration when stars are missing: what is accepted, kept, and visited instead."""

from dataclasses import dataclass
from math import nan
from types import SimpleNamespace

import numpy as np
import pytest

from qkd_gs.calibration.calibrator import StarReport
from qkd_gs.calibration.outcome import ENOUGH, shortcoming
from qkd_gs.calibration.star_visit import StarMeasurement
from qkd_gs.calibration.stars import load_stars
from qkd_gs.calibration.unfinished import load_run, missed_stars
from qkd_gs.errors import StationError
from qkd_gs.evening.steps import State
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import StoredPointing, load_pointing
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.sim.calibration import Calibrated
from qkd_gs.sim.evening import steps_before

NOW_NS = parse_utc('2018-10-03T14:45:00Z')
SITE = load_site('shanghai')


@dataclass
class Played:
    """Stands in for the calibration in lockstep: some stars are measured, and the last one unless the sky is hidden."""

    measured: int = 20
    heldout_urad: float = 20.0
    visited: int = 20
    hidden: bool = False

    def __call__(self, world, station, site, start_ns, seed, progress, found, already=(), keep=None, catalogue=()):
        self.catalogue = {star.hip for star in catalogue}
        self.already = already
        done = {report.star.hip for report in already}
        stars = [star for star in catalogue if star.hip not in done][: self.visited]
        reports = [*already, *(self.visit(k, star) for k, star in enumerate(stars))]
        keep(reports)
        residual = np.zeros(len(reports))
        kept = np.array([report.measured for report in reports])
        fit = SimpleNamespace(heldout_rms_rad=self.heldout_urad * 1e-6, kept=kept, x_rad=residual, y_rad=residual)
        report = SimpleNamespace(
            fit=fit, stars=reports, guide_reference_px=(640.0, 512.0), summary='played', residuals_urad=()
        )
        return Calibrated(MountModel(IA=0.2), (640.0, 512.0), report, start_ns + 10**9)

    def visit(self, number, star):
        last = number == self.visited - 1 and not self.hidden
        if number >= self.measured - (not self.hidden) and not last:
            return StarReport(star, False, 'not found', None)
        return StarReport(star, True, '', StarMeasurement(NOW_NS, 1.0, 1.0, 1.0, 1.0, 0.0, 25, nan, nan))


@pytest.fixture
def calibrated(tmp_path, monkeypatch):
    """Function that calibrates with a played calibration; the outcome."""
    station = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    given = SimpleNamespace(
        state_dir=tmp_path, simulation=SimpleNamespace(station=station, site=SITE, seed=1), stars=load_stars
    )
    StoredPointing.of(MountModel(IA=0.1), (640.0, 512.0), 'found', '2018-10-03T14:42:00Z', coarse=True).save(tmp_path)
    world = SimpleNamespace(at=lambda now_ns: None)

    def calibrate(played):
        monkeypatch.setattr(steps_before, 'calibrate', played)
        return steps_before.calibrate_or_check(given, world, NOW_NS, lambda now_ns, text: None)[0]

    return calibrate


def test_too_few_stars_are_kept_and_others_are_visited_at_the_next_try(calibrated, tmp_path):
    outcome = calibrated(Played(measured=7))
    assert outcome.state is State.FAILED
    assert outcome.sentence == f'only 7 of 20 stars are in the fit, {ENOUGH} are needed'
    assert load_pointing(tmp_path).coarse
    missed = missed_stars(tmp_path, SITE, NOW_NS)
    assert len(missed) == 13
    again = Played(measured=9)
    outcome = calibrated(again)
    assert len(again.already) == 7
    assert not again.catalogue & missed
    assert (outcome.state, outcome.values['stars']) == (State.DONE, 16)
    assert not load_pointing(tmp_path).coarse
    assert load_run(tmp_path, SITE, NOW_NS) == ()


def test_what_a_second_try_misses_is_added_to_what_the_first_has_missed(calibrated, tmp_path):
    calibrated(Played(measured=4))
    calibrated(Played(measured=3))
    assert len(missed_stars(tmp_path, SITE, NOW_NS)) == 16 + 17
    assert len(load_run(tmp_path, SITE, NOW_NS)) == 7


def test_a_hidden_sky_is_noticed_after_five_stars_and_what_was_measured_is_kept(calibrated, tmp_path):
    with pytest.raises(StationError, match='were not found one after the other'):
        calibrated(Played(measured=7, visited=12, hidden=True))
    assert len(load_run(tmp_path, SITE, NOW_NS)) == 7
    assert len(missed_stars(tmp_path, SITE, NOW_NS)) == 5


def test_stars_that_contradict_each_other_are_not_tracked_with_and_not_kept(calibrated, tmp_path):
    outcome = calibrated(Played(heldout_urad=90))
    assert outcome.state is State.FAILED
    assert 'stars left out of the fit are 90 urad off' in outcome.sentence
    assert load_pointing(tmp_path).coarse
    assert load_run(tmp_path, SITE, NOW_NS) == ()


@pytest.mark.parametrize(
    ('measured', 'heldout_rad', 'short'), [(20, 20e-6, False), (11, 20e-6, True), (20, 61e-6, True), (12, None, True)]
)
def test_a_calibration_is_good_enough_by_its_stars_and_by_those_left_out(measured, heldout_rad, short):
    assert bool(shortcoming(measured, 20, heldout_rad)) is short


def test_a_list_of_stars_that_is_turned_as_a_whole_is_not_armed_with(calibrated, tmp_path):
    """All its stars fit, to a model that points 0.1 rad away from where the telescope has found itself."""
    found = load_pointing(tmp_path).model_copy(update={'aligned_deg': (120.0, 40.0)})
    found.save(tmp_path)
    outcome = calibrated(Played(measured=20))
    assert outcome.state is State.FAILED
    assert 'off those on which the telescope found itself: a wrong list?' in outcome.sentence
    assert load_pointing(tmp_path) == found
