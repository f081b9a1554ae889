"""From tags to numbered pulses: against what the satellite really sent."""

from dataclasses import replace

import numpy as np
import pytest
from gathered import joined

from qkd_gs.errors import StationError
from qkd_gs.qkd.sifting.states import Intensity
from qkd_gs.timing.clicks import ClickFilter
from qkd_gs.timing.clocks.clock import recover_clock
from qkd_gs.timing.gate import find_gate, gate_events
from qkd_gs.timing.profile import fold_clicks
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.slots import Slots
from qkd_gs.timing.tags import Channel, TagBlock


@pytest.fixture(scope='module')
def slots(faded):
    scale = faded.scale()
    log = faded.transmitter.beacon_log(faded.start_ns - 10**9, faded.start_ns + 41 * 10**9)
    beacon_ps = faded.tags.of(Channel.BEACON) - faded.delay_ps[Channel.BEACON]
    fit = recover_clock(beacon_ps, scale, faded.emission_ps(scale), log.time_ps)
    return Slots(fit.to_satellite, faded.delay_ps, fit.spans_ps, PulsePeriod(1e8))


def everything():
    return ClickFilter(0, 0, 10**8, dead_slots=0, hold_off_slots=0)


def test_gated_photons_carry_the_satellites_bits(faded, slots):
    gate = find_gate(fold_clicks(faded.blocks, slots, 2000), tolerance_ps=2000, width_ps=2000)
    events = joined(gate_events(faded.blocks, slots, gate, everything()))
    sent = faded.transmitter.states(events.pulse)
    basis, bit = (events.channel - Channel.H) // 2, (events.channel - Channel.H) % 2
    sifted = (basis == sent.basis) & (sent.intensity == Intensity.SIGNAL)
    qber = np.mean(bit[sifted] != sent.bit[sifted])
    assert sifted.sum() > 100_000
    assert 0.010 < qber < 0.016  # 0.5 % receiver + 0.7 % source, and a little noise
    other = np.mean(bit[~sifted & (basis != sent.basis)] != sent.bit[~sifted & (basis != sent.basis)])
    assert other == pytest.approx(0.5, abs=0.01)


def test_intensities_click_as_often_as_they_should(faded, slots):
    gate = find_gate(fold_clicks(faded.blocks, slots, 2000), 2000, 2000)
    events = joined(gate_events(faded.blocks, slots, gate, everything()))
    clicks = np.bincount(faded.transmitter.states(events.pulse).intensity, minlength=3)
    noise = clicks[Intensity.VACUUM]  # a quarter of the pulses, as are the decoys; half are signals
    ratio = (clicks[Intensity.SIGNAL] - 2 * noise) / (clicks[Intensity.DECOY] - noise)
    assert ratio == pytest.approx(2 * 0.8 / 0.1, rel=0.03)
    assert noise * 4 == pytest.approx(gate.noise_fraction * len(events), rel=0.25)


def test_a_dark_detector_is_named(faded, slots):
    blind = [TagBlock(b.time_ps[b.channel != Channel.D], b.channel[b.channel != Channel.D]) for b in faded.blocks]
    with pytest.raises(StationError, match='D: no photons'):
        find_gate(fold_clicks(blind, slots, 2000), 2000, 2000)


def test_only_the_spans_count(faded, slots):
    gate = find_gate(fold_clicks(faded.blocks, slots, 2000), 2000, 2000)
    whole = joined(gate_events(faded.blocks, slots, gate, everything()))
    start, end = (int(t) for t in slots.spans_ps[0])
    middle = (start + end) // 2
    halves = [
        joined(gate_events(faded.blocks, replace(slots, spans_ps=np.array([span])), gate, everything()))
        for span in ((start, middle), (middle, end), slots.spans_ps[1])
    ]
    assert len(whole) - 3 <= sum(len(half) for half in halves) <= len(whole)  # the first click of a span does not count
    assert len(halves[0]) > 1000
