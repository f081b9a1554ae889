"""The twin's light against the reference link, Malus' law, and the statistics that a source promises."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.downlink.budget import transmission
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.sifting.states import Basis, Intensity, PulseStates
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.photons.clocks import DriftingClock
from qkd_gs.sim.photons.detectors import BB84Module, alive
from qkd_gs.sim.photons.transmitter import SimTransmitter
from qkd_gs.timing.tags import Channel

CULMINATION_NS = parse_utc('2018-10-03T15:56:42Z')
LIGHT = load_twin().photonics
STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)


def transmitter(seed=1):
    return SimTransmitter(seed, STATION.source, LIGHT.beacon, DriftingClock(0, 0.0, 0.0, 0.0), CULMINATION_NS)


def test_the_link_is_that_of_the_published_pass_within_the_spread():
    """345.9 kbit were published for the 78 s around culmination; single passes spread by 2 dB."""
    orbit = load_elements(share_path('config', 'elements', 'micius.tle')).nearest(CULMINATION_NS)
    t_ns = CULMINATION_NS + np.arange(-39, 40) * 10**9
    site = load_site('shanghai')
    place = Trajectory.predict(orbit, site, int(t_ns[0]), int(t_ns[-1])).table(t_ns)
    mean = transmission(LIGHT.link, site, place.range_m, place.el_rad, 0.0).mean()
    sifted = 1e8 * 0.5 * 0.8 * mean / 2 * 78
    assert sifted == pytest.approx(345.9e3, rel=0.2)


def test_the_field_stop_cuts_off_what_points_beside_it():
    offsets = np.array([10e-6, 50e-6, 90e-6])
    inside, edge, outside = transmission(LIGHT.link, load_site('shanghai'), 6e5, 1.0, offsets)
    assert edge == pytest.approx(inside / 2, rel=1e-3)
    assert outside < inside * 1e-6


def test_states_have_the_promised_probabilities_and_no_order_matters():
    source = transmitter()
    pulse = np.random.default_rng(0).integers(0, 4 * 10**10, 400_000)
    states = source.states(pulse)
    share = np.bincount(states.intensity, minlength=3) / len(pulse)
    np.testing.assert_allclose(share, [0.5, 0.25, 0.25], atol=0.004)
    for a in Intensity:  # vacuum slots have a random basis and bit too
        chosen = states.intensity == a
        assert abs(states.bit[chosen].mean() - 0.5) < 0.01
        assert abs(states.basis[chosen].mean() - 0.5) < 0.01
    again = source.states(pulse[::-1])
    np.testing.assert_array_equal(again.bit[::-1], states.bit)
    assert (transmitter(2).states(pulse).bit != states.bit).mean() == pytest.approx(0.5, abs=0.01)


def test_the_beacon_log_is_the_beacon_but_for_its_own_error():
    source = transmitter()
    log = source.beacon_log(CULMINATION_NS + 10**9, CULMINATION_NS + 3 * 10**9)
    emitted_ps = source.beacon_emission_ps(log.first_index + np.arange(len(log.time_ps)))
    assert len(log.time_ps) == 20_001
    assert (log.time_ps[:] - emitted_ps).std() == pytest.approx(50, rel=0.05)
    off_grid = emitted_ps - (log.first_index + np.arange(len(log.time_ps))) * 10**8
    assert off_grid.std() == pytest.approx(50_000, rel=0.05)
    part = source.beacon_log(CULMINATION_NS + 2 * 10**9, CULMINATION_NS + 3 * 10**9)
    np.testing.assert_array_equal(part.time_ps[:], log.time_ps[10_000:])


def test_the_beacon_log_is_made_as_it_is_sent():
    def peak_bytes(seconds):
        tracemalloc.start()
        log = transmitter().beacon_log(CULMINATION_NS, CULMINATION_NS + seconds * 10**9)
        for _ in messages.log_blocks(log):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak_bytes(10)
    assert peak_bytes(100) - peak_bytes(30) < 0.5 * 700_000  # bytes a pulse


@settings(max_examples=50, deadline=None)
@given(
    rate=st.floats(-1e-6, 1e-6),
    drift=st.floats(-1e-10, 1e-10),
    offset_ps=st.floats(-4e7, 4e7),
    at_ps=st.integers(-(10**15), 10**15),
)
def test_a_clock_read_backwards_gives_the_time(rate, drift, offset_ps, at_ps):
    clock = DriftingClock(12_345, offset_ps, rate, drift)
    back_ps = clock.when(clock.read(np.array([at_ps])))
    assert abs(int(back_ps[0]) - at_ps) <= 1


@pytest.mark.parametrize('turn_deg', [0.0, 3.0, 20.0])
@pytest.mark.parametrize(('basis', 'bit'), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_photons_divide_by_malus_law(turn_deg, basis, bit):
    """Jones vectors are the authority; the optics' own 1.2 % comes on top."""
    n, turn = 200_000, np.radians(turn_deg)
    states = PulseStates(*(np.full(n, value, np.uint8) for value in (0, basis, bit)))
    module = BB84Module(
        LIGHT.spads.model_copy(update={'relative_efficiency': dict.fromkeys('HVDA', 1.0)}), LIGHT.polarization
    )
    clicks = np.bincount(module.measure(states, np.full(n, turn), np.random.default_rng(1)), minlength=5)[1:]
    angle = {(0, 0): 0, (0, 1): 90, (1, 0): 45, (1, 1): -45}
    sent = np.array([np.cos(np.radians(angle[basis, bit]) + turn), np.sin(np.radians(angle[basis, bit]) + turn)])
    for analyser in Basis:
        amplitudes = [
            np.dot(sent, [np.cos(np.radians(angle[analyser, b])), np.sin(np.radians(angle[analyser, b]))])
            for b in (0, 1)
        ]
        pure = np.square(amplitudes)
        expected = n / 2 * (0.012 + (1 - 0.024) * pure)
        found = clicks[2 * analyser : 2 * analyser + 2]
        assert np.abs(found - expected).max() < 5 * np.sqrt(n / 4)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(0, 60))
def test_dead_time_is_the_same_however_the_stream_is_cut(seed, cut):
    rng = np.random.default_rng(seed)
    time_ps = np.sort(rng.integers(0, 3000, 60))
    channel = rng.integers(1, 3, 60).astype(np.uint8)
    whole = alive(time_ps, channel, {1: 100, 2: 40}, {})
    last: dict[int, int] = {}
    parts = [alive(time_ps[part], channel[part], {1: 100, 2: 40}, last) for part in (slice(0, cut), slice(cut, 60))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    for number, dead in ((Channel.H, 100), (Channel.V, 40)):
        assert (np.diff(time_ps[whole & (channel == number)]) >= dead).all()
