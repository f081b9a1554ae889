"""Streams of any length in the memory of a block; pulse numbers; the hold-off; what is seen of the clicks."""

import tracemalloc

import numpy as np
import pytest
from gathered import joined
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.timing import numbering
from qkd_gs.timing.clicks import ClickFilter
from qkd_gs.timing.clocks.thinned import Thinned
from qkd_gs.timing.gate import Gate, gate_events
from qkd_gs.timing.numbering import BEFORE, BEHIND, GATE_SHIFT, INSIDE, PULSE_SHIFT
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.slots import Slots
from qkd_gs.timing.spline import TimeMap
from qkd_gs.timing.tags import Channel, TagBlock

PERIOD_PS = 10_000
END_PS = 10**13


def straight_slots(delay_ps=(0, 0, 0, 0, 0, 0, 0), spans=((0, END_PS),)):
    clock = TimeMap.through(0, END_PS, np.zeros(3, np.int64), np.zeros(3))
    return Slots(clock, np.array(delay_ps, np.int64), np.array(spans, np.int64), PulsePeriod(1e12 / PERIOD_PS))


GATE = Gate(0, 2000, 0.0)


def holding(slots):
    return ClickFilter(0, 10**9, 10**8, dead_slots=5, hold_off_slots=slots)


def clicks(*slots_places_channels):
    return np.array([s << PULSE_SHIFT | p << GATE_SHIFT | c for s, p, c in slots_places_channels], np.int64)


def tags(*pulses_channels, late_ps=0):
    pulse, channel = np.array(pulses_channels, np.int64).T
    return TagBlock(pulse * PERIOD_PS + late_ps, channel.astype(np.uint8))


def through(blocks, slots, hold=0):
    return joined(gate_events(blocks, slots, GATE, holding(hold)))


def admitted_by_definition(words, hold):
    """A slot counts if none of the `hold` slots before it has a click, and it has none itself before the gate."""
    slots = words >> PULSE_SHIFT
    places = (words >> GATE_SHIFT) & 3
    early = set(slots[places == BEFORE].tolist())
    busy = set(slots.tolist())
    free = [not any(s - k in busy for k in range(1, hold + 1)) and s not in early for s in slots.tolist()]
    return [int(s) for s, p, f in zip(slots, places, free, strict=True) if f and p == INSIDE]


CLICK = st.tuples(st.integers(0, 60), st.sampled_from([BEFORE, INSIDE, BEHIND]), st.integers(1, 4))


@settings(max_examples=60)
@given(st.lists(CLICK, max_size=30), st.integers(1, 12), st.integers(0, 60))
def test_the_hold_off_is_what_its_definition_says_however_the_stream_is_cut(drawn, hold, cut):
    words = np.sort(clicks(*drawn)) if drawn else np.empty(0, np.int64)
    at = int(np.searchsorted(words, cut << PULSE_SHIFT))
    hold_off = holding(hold)
    found = [int(p) for part in (words[:at], words[at:]) for p in hold_off.admit(part)[0]]
    assert found == admitted_by_definition(words, hold)
    assert hold_off.held + len(found) == np.count_nonzero((words >> GATE_SHIFT) & 3 == INSIDE)


def test_double_clicks_of_a_slot_pass_together():
    pulse, channel = holding(5).admit(clicks((3, INSIDE, 1), (3, INSIDE, 2), (4, INSIDE, 3), (11, INSIDE, 4)))
    assert pulse.tolist() == [3, 3, 11]
    assert channel.tolist() == [1, 2, 4]


def test_detectors_of_very_different_delay_come_out_in_order():
    """H is 1 us late: its tags of early pulses come among those of later ones, over the borders of blocks."""
    delay_ps = np.zeros(7, np.int64)
    delay_ps[Channel.H] = 1_000_000
    pulse = np.arange(10, 5000, 3)
    channel = np.where(np.arange(len(pulse)) % 2, Channel.H, Channel.D).astype(np.uint8)
    time_ps = pulse * PERIOD_PS + delay_ps[channel]
    order = np.argsort(time_ps, kind='stable')
    blocks = [TagBlock(time_ps[part], channel[part]) for part in np.array_split(order, 40)]
    events = through(blocks, straight_slots(delay_ps))
    np.testing.assert_array_equal(events.pulse, pulse[1:])  # the first click of a span does not count
    np.testing.assert_array_equal(events.channel, channel[1:])


@pytest.mark.parametrize('size', [1, 2, 3, 50])
def test_the_clicks_of_a_pulse_stay_together_wherever_the_stream_is_cut(size):
    pulse = np.repeat(np.arange(100, 4100, 20), 2)
    channel = np.tile(np.array([Channel.H, Channel.A], np.uint8), len(pulse) // 2)
    starts = range(0, len(pulse), size)
    blocks = [TagBlock(pulse[k : k + size] * PERIOD_PS, channel[k : k + size]) for k in starts]
    parts = [part.pulse for part in gate_events(blocks, straight_slots(), GATE, holding(5))]
    np.testing.assert_array_equal(np.concatenate(parts), pulse[2:])
    seen = [set(part.tolist()) for part in parts]
    assert sum(map(len, seen)) == len(set().union(*seen))


def curved_slots(delay_ps):
    """A clock of ten cells that bends in each."""
    grid = np.arange(12, dtype=np.int64)
    clock = TimeMap.through(10**9, 10**9, 10**17 + 2000 * grid**2, 0.25 * grid)
    return Slots(
        clock,
        delay_ps,
        np.array([[2 * 10**9, 4 * 10**9], [5 * 10**9, 10**10]], np.int64),
        PulsePeriod(1e12 / PERIOD_PS),
    )


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 3000), max_size=4))
def test_pulse_numbers_are_those_of_the_clock_however_the_stream_is_cut(seed, cuts):
    rng = np.random.default_rng(seed)
    time_ps = np.sort(rng.choice(11 * 10**9, 3000, replace=False)).astype(np.int64)
    channel = rng.integers(1, 7, 3000).astype(np.uint8)
    delay_ps, offset_ps = np.array([0, 3000, -2000, 70_000, 0, 9, 9]), np.array([0, 700, -700, 0, 1, 0, 0])
    slots = curved_slots(delay_ps)
    words, reached, n = np.empty(3000, np.int64), np.zeros(2, np.int64), 0
    for part in np.split(np.arange(3000), sorted(cuts)):
        n = numbering.number(time_ps[part], channel[part], *slots.arguments, offset_ps, 2000, reached, words, n)

    found = set(words[:n].tolist())
    assert (np.diff(words[:n]) >= 0).all()
    span = [np.flatnonzero((time_ps >= a) & (time_ps < b) & (channel <= 4)) for a, b in slots.spans_ps]
    assert n == sum(map(len, span))
    click = np.concatenate([part[1:] for part in span])  # the first of a span is put out of the gate
    of = channel[click]
    into_ps = slots.to_satellite(time_ps[click] - delay_ps[of]) - offset_ps[of] + PERIOD_PS // 2
    pulse, away_ps = into_ps // PERIOD_PS, into_ps % PERIOD_PS - PERIOD_PS // 2
    place = np.where(np.abs(away_ps) <= 1000, INSIDE, np.where(away_ps > 0, BEHIND, BEFORE))
    sure = np.abs(np.abs(away_ps) - 1000) > 2  # at the border of a cell either neighbour's curve will do
    sure &= np.abs(away_ps) < PERIOD_PS // 2 - 2
    expected = pulse << PULSE_SHIFT | place << GATE_SHIFT | of
    assert set(expected[sure].tolist()) <= found


def test_tags_out_of_order_are_refused_and_quickly():
    wild = np.random.default_rng(1).permutation(np.arange(1, 200_000)) * PERIOD_PS
    with pytest.raises(StationError, match='order of time'):
        through([TagBlock(wild, np.ones(len(wild), np.uint8))], straight_slots())


def test_memory_is_that_of_a_block():
    rng = np.random.default_rng(2)

    def stream(blocks):
        for number in range(blocks):
            time_ps = np.sort(rng.integers(number * 10**10, (number + 1) * 10**10, 20_000))
            yield TagBlock(time_ps, rng.integers(1, 6, 20_000).astype(np.uint8))

    def peak(blocks):
        tracemalloc.start()
        for _ in gate_events(stream(blocks), straight_slots(), GATE, holding(50)):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)
    assert peak(400) < 1.2 * peak(20)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 40), max_size=20), st.integers(1, 50))
def test_thinning_does_not_depend_on_the_blocks(sizes, most):
    times = np.arange(sum(sizes))
    cut, whole = Thinned(most), Thinned(most)
    for part in np.split(times, np.cumsum(sizes)):
        cut.add(part)
    whole.add(times)
    kept = cut.times_ps()
    np.testing.assert_array_equal(kept, whole.times_ps())
    assert len(kept) <= most
    assert len(kept) >= min(len(times), most // 2)
    assert len(set(np.diff(kept).tolist())) <= 1


def test_what_thinning_leaves_out_is_not_held():
    tracemalloc.start()
    thinned = Thinned(10_000)
    for start in range(0, 2_000_000, 10_000):
        thinned.add(np.arange(start, start + 10_000))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 3 * 8 * 10_000


def test_the_watch_counts_what_is_there():
    watch = ClickFilter(0, 299, 100, dead_slots=5, hold_off_slots=50)
    watch.admit(clicks((10, INSIDE, 1), (10, INSIDE, 3), (60, BEHIND, 2), (61, INSIDE, 2)))
    watch.admit(clicks((75, INSIDE, 2), (150, INSIDE, 4), (250, BEFORE, 4)))
    seen = watch.statistics()
    assert seen.counts.tolist() == [[1, 3, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1]]
    assert seen.outside.tolist() == [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert seen.multiple.tolist() == [1, 0, 0]
    assert seen.too_soon == 1  # 61 after 60
    assert seen.same.tolist() == [1, 1]  # 75 after 61; 250 after 150
    assert seen.other.tolist() == [1, 1]  # 60 after 10; 150 after 75


@pytest.mark.parametrize(('dead_slots', 'too_soon'), [(1, 0), (2, 1)])
def test_a_slot_longer_than_the_dead_time_may_have_two_clicks_of_a_diode(dead_slots, too_soon):
    """At 1 MHz an afterpulse comes in the slot of its photon; in a slot just shorter than the dead time none can."""
    watch = ClickFilter(0, 299, 100, dead_slots=dead_slots, hold_off_slots=1)
    watch.admit(clicks((10, INSIDE, 1), (10, BEHIND, 1), (40, INSIDE, 2), (41, INSIDE, 2)))
    assert watch.statistics().too_soon == too_soon
