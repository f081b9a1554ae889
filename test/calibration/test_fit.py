"""The fit finds a known mount, tells good stars from bad, and says what it cannot know."""

from math import pi, radians

import numpy as np
import pytest

from qkd_gs.calibration.fit import fit_mount
from qkd_gs.calibration.observations import Observations
from qkd_gs.errors import StationError
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.sky_offsets import offset_between

ARCSEC = radians(1 / 3600)
TRUTH = MountModel(
    IA=radians(10),
    IE=radians(-10),
    AN=radians(0.4),
    AW=radians(-0.3),
    NPAE=30 * ARCSEC,
    CA=5e-4,
    TF=20 * ARCSEC,
    ACES=14 * ARCSEC,
    ACEC=-14 * ARCSEC,
    ECES=14 * ARCSEC,
    ECEC=14 * ARCSEC,
)


def sky(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Directions spread evenly over the sky between 20 and 85 deg."""
    return rng.uniform(0, 2 * pi, n), np.arcsin(rng.uniform(np.sin(radians(20)), np.sin(radians(85)), n))


def measure(truth: MountModel, n: int, seed: int, noise_rad: float = 15e-6) -> Observations:
    """Stars seen with a two-dimensional scatter of `noise_rad`, on any turn of the encoder."""
    rng = np.random.default_rng(seed)
    az, el = sky(n, rng)
    enc_az, enc_el = truth.encoder(az, el)
    enc_az = enc_az + rng.normal(0, noise_rad / np.sqrt(2), n) / np.cos(el) + 2 * pi * rng.integers(-1, 2, n)
    enc_el = enc_el + rng.normal(0, noise_rad / np.sqrt(2), n)
    return Observations(az, el, enc_az, enc_el, tuple(f'star {i}' for i in range(n)))


def blind_rms(model: MountModel, truth: MountModel) -> float:
    """Radial RMS over the sky of pointing with `model` a mount that is `truth`."""
    az, el = sky(2000, np.random.default_rng(99))
    seen_az, seen_el = model.apparent(*truth.encoder(az, el))
    return float(np.sqrt(np.mean(np.square(offset_between(az, el, seen_az, seen_el)).sum(axis=0))))


def test_78_stars_point_better_than_a_third_of_the_published_56_urad():
    fit = fit_mount(measure(TRUTH, 78, seed=1))
    assert blind_rms(fit.model, TRUTH) < 10e-6
    assert fit.rms_rad == pytest.approx(15e-6, rel=0.2)
    assert fit.rms_rad < fit.heldout_rms_rad < 20e-6
    assert not fit.rejected


def test_errors_are_honest():
    """Over many calibrations, value minus truth scatters by the stated sigma."""
    truth = TRUTH.replace(ECEC=0.0)  # what the fit leaves to TF
    pulls = []
    for seed in range(15):
        fit = fit_mount(measure(truth, 60, seed))
        pulls += [(fit.model[name] - truth[name]) / sigma for name, sigma in fit.sigma_rad.items()]
    assert np.std(pulls) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize('zero_deg', [0, 179.9, -180, 95])
def test_any_zero_point_is_found(zero_deg):
    fit = fit_mount(measure(TRUTH.replace(IA=radians(zero_deg)), 12, seed=3))
    assert np.angle(np.exp(1j * (fit.model['IA'] - radians(zero_deg)))) == pytest.approx(0, abs=1e-4)
    assert -pi <= fit.model['IA'] <= pi


def test_wrong_stars_are_rejected_and_named():
    seen = measure(TRUTH, 40, seed=4)
    seen.enc_el_rad[7] += 2e-4  # a neighbour
    seen.enc_az_rad[11] += 0.02  # another star altogether
    seen.enc_az_rad[12] += 2.5  # nonsense
    fit = fit_mount(seen)
    assert [star.label for star in fit.rejected] == ['star 7', 'star 11', 'star 12']
    assert fit.rejected[0].residual_urad == pytest.approx(200, abs=40)
    assert 'limit' in fit.rejected[0].reason
    assert blind_rms(fit.model, TRUTH) < 15e-6


@pytest.mark.parametrize('seed', range(8))
def test_one_wrong_star_of_eight_is_found_out(seed):
    """With few stars a wrong one could be explained by a tube that bends, if terms were free to take any size."""
    seen = measure(TRUTH, 8, seed=100 + seed)
    seen.enc_el_rad[3] += (3e-4, -1e-3, 2e-2, 0.5)[seed % 4]
    fit = fit_mount(seen)
    assert 3 in [star.index for star in fit.rejected]
    assert blind_rms(fit.model, TRUTH) < 120e-6


def test_a_fit_that_cannot_be_believed_is_refused():
    seen = measure(TRUTH, 4, seed=11)
    seen.enc_el_rad[0] += 0.5
    with pytest.raises(StationError, match=r'not plausible .*may be a wrong one'):
        fit_mount(seen)


def test_three_stars_give_zero_points_and_tilt():
    fit = fit_mount(measure(MountModel(IA=0.17, IE=-0.1, AN=0.006, AW=0.004), 3, seed=5))
    assert set(fit.sigma_rad) == {'IA', 'IE', 'AN', 'AW'}
    assert fit.model['AN'] == pytest.approx(0.006, abs=1e-4)
    assert 'too few' in fit.left_out['ACES']
    assert any('wrong one' in line for line in fit.warnings)


def test_one_star_gives_zero_points_and_says_so():
    fit = fit_mount(measure(TRUTH, 1, seed=6))
    assert set(fit.sigma_rad) == {'IA', 'IE'}
    assert fit.heldout_rms_rad is None
    assert any('no redundancy' in line for line in fit.warnings)


def test_held_out_is_what_refitting_without_the_star_gives():
    seen = measure(TRUTH, 15, seed=7)
    fit = fit_mount(seen)
    assert not fit.rejected
    missed = []
    for i in range(15):
        others = np.arange(15) != i
        model = fit_mount(seen.only(others), terms=list(fit.sigma_rad)).model
        az, el = model.apparent(seen.enc_az_rad[i : i + 1], seen.enc_el_rad[i : i + 1])
        missed.append(np.hypot(*offset_between(az, el, seen.az_rad[i : i + 1], seen.el_rad[i : i + 1]))[0])
    assert fit.heldout_rms_rad == pytest.approx(np.sqrt(np.mean(np.square(missed))), rel=0.05)


def test_stars_in_one_corner_do_not_tell_the_tilt():
    rng = np.random.default_rng(8)
    az, el = rng.uniform(1.0, 1.0001, 6), rng.uniform(0.7, 0.7001, 6)
    enc_az, enc_el = TRUTH.encoder(az, el)
    fit = fit_mount(Observations(az, el, enc_az, enc_el, ('a',) * 6))
    assert set(fit.sigma_rad) == {'IA', 'IE'}
    assert 'cover too little sky' in fit.left_out['AN']


def test_terms_that_cannot_be_told_apart_are_refused():
    with pytest.raises(StationError, match='measurements for'):
        fit_mount(measure(TRUTH, 2, seed=9), terms=['AN', 'AW', 'CA'])
    az, el = np.linspace(0, 5, 9), np.full(9, 0.7)
    one_height = Observations(az, el, *MountModel(IE=0.1).encoder(az, el), ('a',) * 9)
    with pytest.raises(StationError, match='cannot tell IE, TF from'):
        fit_mount(one_height, terms=['TF'])
    with pytest.raises(StationError, match='unknown term'):
        fit_mount(measure(TRUTH, 9, seed=9), terms=['AX'])
    with pytest.raises(StationError, match='no star'):
        fit_mount(measure(TRUTH, 0, seed=9))


def test_terms_not_fitted_keep_their_value():
    seen = measure(TRUTH, 4, seed=10)
    fit = fit_mount(seen, terms=['AN', 'AW'], base=TRUTH)
    assert fit.model['CA'] == TRUTH['CA']
    assert blind_rms(fit.model, TRUTH) < 80e-6
