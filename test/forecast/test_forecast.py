"""A forecast follows from geometry, link and noise, and the published passes lie about it."""

import json

import numpy as np
import pytest

import qkd_gs
from qkd_gs.bench import forecast as bench
from qkd_gs.forecast.counts import Light, expected_counts, with_flaws
from qkd_gs.forecast.forecast import secret_bits
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.passes import find_passes
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
SITE = load_site('shanghai')


@pytest.fixture(scope='module')
def passes():
    elements = load_elements(share_path('config', 'elements', 'micius.tle'))
    span = (parse_utc('2018-10-01T00:00:00Z'), parse_utc('2018-10-05T00:00:00Z'))
    return [one for one in find_passes(elements, SITE, *span) if one.sun_elevation_deg < -10]


def test_counts_are_those_of_poissonian_light_and_noise():
    light = Light(np.full(100, 1e-4), np.full(100, 200.0), 1.0)
    counts = expected_counts(light, STATION.source, STATION.key, 0.012)
    signal = counts.pooled.signal
    sent = 1e8 * 0.5 * 100 / 2
    assert signal.sent == pytest.approx(sent, rel=0.01)  # the hold-off takes a little
    assert signal.sifted == pytest.approx(sent * (0.8e-4 + 200 * 2e-9), rel=0.01)
    assert signal.errors / signal.sifted == pytest.approx((0.012 * 0.8e-4 + 200e-9) / (0.8e-4 + 400e-9), rel=0.01)
    assert counts.pooled.vacuum.sifted == pytest.approx(1e8 * 0.25 * 100 / 2 * 4e-7, rel=0.01)
    doubled = expected_counts(light, STATION.source, STATION.key, 0.012, gain=2.0).sifted_bits
    assert doubled == pytest.approx(2 * signal.sifted, rel=0.01)


def test_a_certified_key_pays_for_the_flaws_of_the_receiver():
    light = Light(np.full(290, 1.1e-4), np.full(290, 200.0), 1.0)
    counts = expected_counts(light, STATION.source, STATION.key, 0.012)
    flawed = with_flaws(counts, light, STATION)
    assert flawed.receiver.within_basis == STATION.key.max_efficiency_mismatch
    assert 10 < flawed.receiver.cross_clicks < 60  # 27 were drawn in such a pass of the twin
    assert 0 < secret_bits(flawed, STATION, 1.06) < secret_bits(counts, STATION, 1.06)


def test_a_higher_pass_is_worth_more(passes):
    known = [(one, qkd_gs.forecast_pass(one, SITE)) for one in passes]
    usable = [(one.max_elevation_deg, forecast) for one, forecast in known if forecast is not None]
    lowest, highest = min(usable, key=lambda pair: pair[0])[1], max(usable, key=lambda pair: pair[0])[1]
    assert highest.sifted_bits.expected > 2 * lowest.sifted_bits.expected
    assert all(forecast is not None for one, forecast in known if one.max_elevation_deg > 21)
    assert all(forecast is None for one, forecast in known if one.max_elevation_deg < 19)
    for _, forecast in usable:
        for interval in (forecast.sifted_bits, forecast.qber, forecast.secret_bits):
            assert interval.low <= interval.expected <= interval.high
        json.dumps(forecast.to_dict(), allow_nan=False)


def test_what_the_horizon_hides_and_the_mount_misses_is_not_counted(passes):
    best = max(passes, key=lambda one: one.max_elevation_deg)
    whole = qkd_gs.forecast_pass(best, SITE)
    hidden = SITE.model_copy(update={'horizon': ((0.0, 40.0), (180.0, 40.0))})
    cut = qkd_gs.forecast_pass(best, hidden)
    assert cut.counted_s < 0.7 * whole.counted_s
    window = qkd_gs.forecast_pass(best, SITE, window_s=78)
    assert window.counted_s == 78
    foggy = SITE.model_copy(update={'visibility_km': 3.0})
    assert qkd_gs.forecast_pass(best, foggy).sifted_bits.expected < 0.4 * whole.sifted_bits.expected


def test_the_published_passes_lie_about_their_forecast():
    result = bench.run()
    assert len(result['rows']) == 17
    assert result['sifted_ratio_median'] == pytest.approx(1.0, abs=0.15)
    assert result['sifted_sd_db'] <= 2.0
    assert result['sifted_ratio_of_sums'] == pytest.approx(1.0, abs=0.05)
