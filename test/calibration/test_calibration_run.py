"""What a calibration begins with, and what becomes of it: few stars, stars that disagree, a hidden sky."""

from dataclasses import replace

import numpy as np
import pytest

from qkd_gs.calibration.calibration_run import CalibrationRun, hidden
from qkd_gs.calibration.calibrator import CalibrationReport, StarReport
from qkd_gs.calibration.fit import fit_mount
from qkd_gs.calibration.observations import Observations
from qkd_gs.calibration.outcome import ENOUGH
from qkd_gs.calibration.star_visit import StarMeasurement
from qkd_gs.calibration.stars import load_stars
from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import FILE_NAME, StoredPointing, load_pointing
from qkd_gs.settings.site import load_site

NOW_NS = parse_utc('2018-10-03T15:00:00Z')
SITE = load_site('shanghai')
TRUE = MountModel(IA=0.02, IE=-0.01, AN=2e-4, AW=-1e-4)
BEFORE = StoredPointing.of(MountModel(), (640.0, 512.0), 'found', '2018-10-03T14:42:00Z', coarse=True)


def reports(measured, missed=0, scatter_rad=10e-6, first=0):
    """Stars visited: those measured obey the true model up to a scatter."""
    rng = np.random.default_rng(3)
    stars = load_stars()[first : first + measured + missed]
    found = []
    for k, star in enumerate(stars):
        if k >= measured:
            found.append(StarReport(star, False, 'not found', None))
            continue
        az, el = rng.uniform((0.0, 0.5), (6.2, 1.2))
        off = rng.normal(0, scatter_rad, 2)
        enc_az, enc_el = TRUE.encoder(az, el)
        seen = StarMeasurement(NOW_NS, az, el, enc_az + off[0], enc_el + off[1], 1e-6, 25, 640.0, 512.0)
        found.append(StarReport(star, True, '', seen))
    return found


def report(stars):
    rows = [
        (m.az_rad, m.el_rad, m.enc_az_rad, m.enc_el_rad) for m in (one.measurement for one in stars if one.measured)
    ]
    fit = fit_mount(Observations.from_rows(rows, [one.star.name for one in stars if one.measured]))
    return CalibrationReport(fit, tuple(stars), (640.0, 512.0))


@pytest.fixture
def run(tmp_path):
    return CalibrationRun(tmp_path, SITE, NOW_NS)


def test_a_good_calibration_is_stored_and_its_stars_are_forgotten(run, tmp_path):
    stars = reports(16, 2)
    run.keep(stars)
    good = report(stars)
    stored = run.accept(good, good.fit.model, BEFORE, NOW_NS)
    assert load_pointing(tmp_path) == stored
    assert not stored.coarse
    assert CalibrationRun(tmp_path, SITE, NOW_NS).already == ()


def test_too_few_stars_are_refused_and_gone_on_with_on_other_stars(run, tmp_path):
    stars = reports(ENOUGH - 1, 6)
    run.keep(stars)
    few = report(stars)
    with pytest.raises(StationError, match=f'only {ENOUGH - 1} of {ENOUGH + 5} stars are in the fit'):
        run.accept(few, few.fit.model, BEFORE, NOW_NS)
    assert not (tmp_path / FILE_NAME).exists()
    again = CalibrationRun(tmp_path, SITE, NOW_NS)
    assert [one.star.hip for one in again.already] == [one.star.hip for one in stars if one.measured]
    missed = {one.star.hip for one in stars if not one.measured}
    assert len(run.stars) - len(again.stars) == len(missed) == 6
    assert not missed & {star.hip for star in again.stars}
    more = [*again.already, *reports(3, first=40)]
    again.keep(more)  # what the first one has missed is not forgotten
    assert len(CalibrationRun(tmp_path, SITE, NOW_NS).stars) == len(again.stars)
    good = report(more)
    assert again.accept(good, good.fit.model, BEFORE, NOW_NS).heldout_urad < 60


def test_stars_that_disagree_are_refused_and_not_gone_on_with(run, tmp_path):
    stars = reports(16, scatter_rad=200e-6)
    run.keep(stars)
    bad = report(stars)
    with pytest.raises(StationError, match='60 are allowed'):
        run.accept(bad, bad.fit.model, BEFORE, NOW_NS)
    assert CalibrationRun(tmp_path, SITE, NOW_NS).already == ()


def test_a_list_that_contradicts_where_the_telescope_found_itself_is_refused(run, tmp_path):
    good = report(reports(16))
    found = BEFORE.model_copy(update={'aligned_deg': (120.0, 40.0)})
    with pytest.raises(StationError, match='a wrong list'):
        run.accept(good, good.fit.model, found, NOW_NS)
    assert not (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize(('missed', 'why'), [(4, False), (5, True)])
def test_a_hidden_sky_is_noticed_after_five_stars(missed, why):
    stars = reports(8, missed)
    assert bool(hidden(stars)) is why
    assert not hidden([*stars, replace(stars[0])])
    assert not hidden(stars[8:][:4])
