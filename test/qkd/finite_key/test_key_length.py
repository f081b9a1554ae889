"""Key length: the closed form of infinite statistics, monotony, the ledger, and data that allow no key."""

from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.counts import BasisCounts, Intensities, KeyCounts, Tally
from qkd_gs.qkd.finite_key.decoy import single_photons, single_photons_without_fluctuations
from qkd_gs.qkd.finite_key.entropy import binary_entropy
from qkd_gs.qkd.finite_key.key_length import Overhead, key_length

INTENSITIES = Intensities(signal=0.8, decoy=0.1, vacuum=0.0)
PAPER = {'epsilon_per_bound': 1e-5, 'f_ec': 1.16}


def channel_basis(pulses, eta=3e-4, noise=3e-7, error=0.012):
    """Expected counts of one basis behind a channel; pulses: sifted ones over all intensities."""

    def tally(intensity, part):
        light = 1 - exp(-eta * intensity)
        sent = round(pulses * part)
        return Tally(sent=sent, sifted=round(sent * (noise + light)), errors=round(sent * (noise / 2 + error * light)))

    return BasisCounts(signal=tally(0.8, 0.5), decoy=tally(0.1, 0.25), vacuum=tally(0.0, 0.25))


def channel_counts(pulses=2e9, **channel):
    basis = channel_basis(pulses, **channel)
    return KeyCounts(intensities=INTENSITIES, hv=basis, da=basis)


@pytest.mark.parametrize(('analysis', 'loss'), [('joint', 1e-3), ('additive', 1e-4)])
def test_infinite_statistics_reach_the_closed_form(analysis, loss):
    eta, noise, error, pulses = 3e-4, 3e-7, 0.012, 1e17
    counts = channel_counts(pulses, eta=eta, noise=noise, error=error)
    found = key_length(counts, analysis=analysis, epsilon_total=1e-10, f_ec=1.0)
    # asymptotic vacuum + weak decoy rate (Ma, Qi, Zhao, Lo 2005), written out independently of the code
    mu, nu = 0.8, 0.1
    gain = {m: noise + 1 - exp(-eta * m) for m in (mu, nu, 0.0)}
    errors = {m: noise / 2 + error * (1 - exp(-eta * m)) for m in (mu, nu, 0.0)}
    single_yield = (
        mu
        / (mu * nu - nu**2)
        * (gain[nu] * exp(nu) - gain[mu] * exp(mu) * nu**2 / mu**2 - (mu**2 - nu**2) / mu**2 * noise)
    )
    single_error = (errors[nu] * exp(nu) - noise / 2) / (nu * single_yield)
    rate = mu * exp(-mu) * single_yield * (1 - binary_entropy(single_error)) - gain[mu] * binary_entropy(
        errors[mu] / gain[mu]
    )
    assert found.secret_bits == pytest.approx(2 * pulses / 2 * rate, rel=loss)
    if analysis == 'additive':  # its bounds are bounds: true values are eta + noise and their error
        bounds = found.bounds['hv']
        assert bounds['single_photon_yield_lower'] <= eta + noise
        assert bounds['single_photon_error_upper'] >= (error * eta + noise / 2) / (eta + noise)


def test_bounds_hold_in_random_passes():
    """Poisson counts with known single photons: each bound fails less often than it says."""
    rng = np.random.default_rng(5)
    sent = {'signal': 10**9, 'decoy': 5 * 10**8, 'vacuum': 5 * 10**8}
    intensity = {'signal': 0.8, 'decoy': 0.1, 'vacuum': 0.0}
    eta, noise, error, epsilon, failures, passes = 3e-4, 3e-7, 0.012, 0.02, np.zeros(3), 400
    single_yield, single_error = eta + noise, (error * eta + noise / 2) / (eta + noise)
    for _ in range(passes):
        tallies, singles = {}, 0
        for name, pulses in sent.items():
            light = rng.poisson(pulses * (1 - exp(-eta * intensity[name])))
            dark = rng.poisson(pulses * noise)
            wrong = rng.binomial(light, error) + rng.binomial(dark, 0.5)
            tallies[name] = Tally(sent=pulses, sifted=light + dark, errors=wrong)
            if name == 'signal':
                mean_light = pulses * (1 - exp(-eta * 0.8))
                singles = rng.binomial(light, pulses * 0.8 * exp(-0.8) * eta / mean_light) + rng.binomial(
                    dark, 0.8 * exp(-0.8)
                )
        found = single_photons(BasisCounts(**tallies), INTENSITIES, epsilon)
        failures += [
            found.yield_lower > single_yield,
            found.sifted_lower > singles,
            found.error_upper < single_error,
        ]
    assert (failures / passes <= 3 * epsilon).all()


@settings(max_examples=40, deadline=None)
@given(
    pulses=st.floats(1e7, 1e12),
    noise=st.floats(0, 1e-5),
    error=st.floats(0, 0.2),
    epsilon=st.floats(1e-15, 1e-3),
    pooled=st.booleans(),
)
def test_costs_add_up_and_everything_is_finite(pulses, noise, error, epsilon, pooled):
    found = key_length(channel_counts(pulses, noise=noise, error=error), pooled=pooled, epsilon_total=epsilon, f_ec=1.1)
    *steps, last = found.cost.items()
    assert steps[0][0] == 'sifted_bits'
    assert last == ('secret_bits', found.secret_bits)
    assert sum(bits for _, bits in steps) == pytest.approx(found.secret_bits, abs=1e-3)
    numbers = [*found.cost.values(), *found.epsilon_ledger.values()]
    numbers += [value for group in found.bounds.values() for value in group.values()]
    assert np.isfinite(numbers).all()
    assert found.epsilon == pytest.approx(epsilon, rel=1e-9)
    assert (found.reason == '') == (found.secret_bits > 0)


@settings(max_examples=30, deadline=None)
@given(epsilon=st.floats(1e-14, 1e-4), pulses=st.floats(1e8, 1e11))
def test_more_certainty_costs_and_more_data_pay(epsilon, pulses):
    counts = channel_counts(pulses)
    length = key_length(counts, epsilon_total=epsilon, f_ec=1.1).secret_bits
    assert key_length(counts, epsilon_total=epsilon / 100, f_ec=1.1).secret_bits <= length
    assert key_length(channel_counts(2 * pulses), epsilon_total=epsilon, f_ec=1.1).secret_bits >= 2 * length
    assert key_length(counts, epsilon_total=epsilon, f_ec=1.2).secret_bits <= length


def test_pooling_and_the_number_of_bounds():
    counts = channel_counts()
    per_basis, pooled = key_length(counts, **PAPER), key_length(counts, pooled=True, **PAPER)
    assert sum(value > 0 for value in per_basis.epsilon_ledger.values()) == 14
    assert sum(value > 0 for value in pooled.epsilon_ledger.values()) == 6
    assert pooled.secret_bits > per_basis.secret_bits
    assert per_basis.epsilon == pytest.approx(14e-5)


def test_hashes_and_tags_are_paid_for():
    counts = channel_counts()
    plain = key_length(counts, epsilon_total=1e-10, disclosed_bits=30_000)
    overhead = Overhead(
        verification_bits=64, verification_epsilon=2e-19, authentication_bits=1152, authentication_epsilon=1e-31
    )
    paid = key_length(counts, epsilon_total=1e-10, disclosed_bits=30_000, overhead=overhead)
    assert plain.secret_bits - paid.secret_bits == pytest.approx(64 + 1152, abs=1)
    assert paid.epsilon_ledger['verification'] == 2e-19
    assert paid.epsilon_ledger['authentication'] == 1e-31


def test_basis_of_the_tested_errors_is_the_other_one():
    clean, noisy = channel_basis(2e9, error=0.005), channel_basis(2e9, error=0.04)
    bounds = key_length(KeyCounts(intensities=INTENSITIES, hv=clean, da=noisy), **PAPER).bounds
    assert bounds['hv']['phase_error_upper'] > bounds['da']['single_photon_error_upper']
    assert bounds['da']['phase_error_upper'] < bounds['da']['single_photon_error_upper']


NOTHING = Tally(sent=0, sifted=0, errors=0)


@pytest.mark.parametrize(
    ('basis', 'reason'),
    [
        (BasisCounts(signal=NOTHING, decoy=NOTHING, vacuum=NOTHING), 'no sifted bits'),
        (channel_basis(2e9).model_copy(update={'decoy': NOTHING}), 'single photon'),
        (channel_basis(2e9).model_copy(update={'vacuum': NOTHING}), 'single photon'),
        (channel_basis(2e9, eta=1e-6, noise=1e-4), 'phase error'),
        (channel_basis(2e9, error=0.5), 'phase error'),
        (channel_basis(2e9, error=0.1), 'outweigh'),
    ],
)
@pytest.mark.parametrize('pooled', [True, False])
def test_data_without_a_key_say_why(basis, reason, pooled):
    found = key_length(KeyCounts(intensities=INTENSITIES, hv=basis, da=basis), pooled=pooled, **PAPER)
    assert found.secret_bits == 0
    assert reason in found.reason
    assert np.isfinite(list(found.cost.values())).all()


def test_without_fluctuations_bounds_are_tighter():
    counts = channel_basis(2e9)
    bound, ideal = single_photons(counts, INTENSITIES, 1e-10), single_photons_without_fluctuations(counts, INTENSITIES)
    assert bound.yield_lower < ideal.yield_lower
    assert bound.error_upper > ideal.error_upper


@pytest.mark.parametrize(
    'settings_',
    [
        {'f_ec': 1.1},
        {'epsilon_per_bound': 1e-5},
        {'epsilon_per_bound': 1e-5, 'epsilon_total': 1e-5, 'f_ec': 1.1},
        {'epsilon_total': 1e-5, 'f_ec': 1.1, 'disclosed_bits': 3},
        {'epsilon_total': 1e-5, 'f_ec': 0.9},
        {'epsilon_total': 1e-5, 'disclosed_bits': -1},
        {'epsilon_total': 0.0, 'f_ec': 1.1},
        {'epsilon_per_bound': 1.0, 'f_ec': 1.1},
        {'epsilon_total': 1e-10, 'f_ec': 1.1, 'overhead': Overhead(verification_epsilon=1e-9)},
    ],
)
def test_settings_that_contradict_are_refused(settings_):
    with pytest.raises(StationError):
        key_length(channel_counts(), **settings_)


@pytest.mark.parametrize(
    'wrong',
    [
        {'sent': 1, 'sifted': 2, 'errors': 0},
        {'sent': 3, 'sifted': 2, 'errors': 3},
        {'sent': 3, 'sifted': -1, 'errors': 0},
    ],
)
def test_counts_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValidationError):
        Tally(**wrong)


def test_a_vacuum_that_is_none_is_refused():
    with pytest.raises(ValidationError, match='must be 0'):
        Intensities(signal=0.8, decoy=0.1, vacuum=0.01)
    with pytest.raises(ValidationError, match='below signal'):
        Intensities(signal=0.1, decoy=0.8, vacuum=0.0)
