"""The compiled loops that give every click its pulse number: a word ``pulse << 5 | side << 3 | channel`` each.

They run over every tag of a session, so they are written for the processor: the clock's cubic is looked up once for all
tags of its cell, the side of the gate is computed without a branch for many tags at once, and only then are the clicks
picked.
"""

from __future__ import annotations

from numpy import empty, float64, floor, int64, uint8

from qkd_gs.jit import njit
from qkd_gs.timing.tags import QUANTUM

PULSE_SHIFT, GATE_SHIFT = 5, 3
BEFORE, INSIDE, BEHIND = 0, 1, 2
FIRST, LAST = int(QUANTUM[0]), int(QUANTUM[-1])
MAX_SWAPS = 256
SIDE_MASK, CHANNEL_MASK = 3, 7
_FOREVER = 1 << 62


@njit(cache=True)
def number(  # type: ignore[no-untyped-def]
    time_ps,
    channel,
    delay_ps,
    edges_ps,
    whole_ps,
    rest_ps,
    start_ps,
    step_ps,
    base_ps,
    cubic,
    offset_ps,
    width_ps,
    reached,
    words,
    n,
):
    """Put the quantum tags inside the spans behind the first n words, in order; how many there are then, or -1.

    `reached` holds from call to call how many edges of spans are passed, and whether a click came since the last one.
    The first click of a span counts as out of the gate: what came before it was not seen.
    """
    shift_ps = delay_ps + offset_ps
    placed = empty(len(time_ps), int64)
    edge, entered, k = reached[0], reached[1], 0
    while k < len(time_ps):
        while edge < len(edges_ps) and edges_ps[edge] <= time_ps[k]:
            edge += 1
            entered = 1
        until_ps = edges_ps[edge] if edge < len(edges_ps) else _FOREVER
        if edge % 2 == 0:
            k = _first_from(time_ps, k, until_ps)
            continue
        cell = min(max((time_ps[k] - start_ps) // step_ps, 0), len(base_ps) - 1)
        if cell < len(base_ps) - 1:
            until_ps = min(until_ps, start_ps + (cell + 1) * step_ps)
        end = _first_from(time_ps, k, until_ps)
        origin_ps = start_ps + cell * step_ps
        part = placed[k:end]
        _number_all(
            time_ps[k:end], channel[k:end], shift_ps, origin_ps, step_ps, base_ps[cell], cubic[cell], whole_ps,
            rest_ps, width_ps, part,
        )  # fmt: skip
        if entered:
            entered = _shut_out_first(part)
        n = _pick(part, words, n)
        if n < 0:
            return -1
        k = end
    reached[0], reached[1] = edge, entered
    return n


@njit(cache=True)
def _first_from(time_ps, after, until_ps):  # type: ignore[no-untyped-def]
    """First tag behind number `after` that is not before a time."""
    low, high = after + 1, len(time_ps)
    while low < high:
        middle = (low + high) // 2
        if time_ps[middle] < until_ps:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)
def _number_all(  # type: ignore[no-untyped-def]
    time_ps, channel, shift_ps, origin_ps, step_ps, base_ps, cubic, whole_ps, rest_ps, width_ps, placed
):
    """Words of tags in one cell of the clock; those of no click mean nothing."""
    # a table of shifts would keep the compiler from doing several tags at once
    h_ps, v_ps, d_ps, a_ps = shift_ps[1], shift_ps[2], shift_ps[3], shift_ps[4]
    c0, c1, c2, c3 = cubic[0], cubic[1], cubic[2], cubic[3]
    period_ps = whole_ps + rest_ps
    half_ps, per_ps = floor(0.5 * period_ps), 1.0 / period_ps
    began_ps = origin_ps + base_ps + int64(half_ps)
    first = int64(began_ps * per_ps)  # off by a few: times have more digits than a float
    first += int64(floor((float64(began_ps - first * whole_ps) - first * rest_ps) * per_ps))
    left_ps = float64(began_ps - first * whole_ps) - first * rest_ps
    per_step, gate_ps = 1.0 / step_ps, 0.5 * width_ps
    for k in range(len(placed)):
        of = int64(channel[k]) & CHANNEL_MASK
        late_ps = h_ps if of == 1 else (v_ps if of == 2 else (d_ps if of == 3 else a_ps))
        since_ps = float64(time_ps[k] - late_ps - origin_ps)
        x = since_ps * per_step
        # whole numbers far below 2^53, so floating point is exact
        slot_ps = since_ps + left_ps + floor(c0 + x * (c1 + x * (c2 + x * c3)) + 0.5)
        slot = floor(slot_ps * per_ps)  # off by one at a slot's border: outside any gate
        away_ps = slot_ps - slot * period_ps - half_ps
        side = INSIDE + int64(away_ps > gate_ps) - int64(away_ps < -gate_ps)
        placed[k] = (first + int64(slot)) << PULSE_SHIFT | side << GATE_SHIFT | of


@njit(cache=True)
def _shut_out_first(placed):  # type: ignore[no-untyped-def]
    """Bring the first click out of the gate; 0 once that is done."""
    for k in range(len(placed)):
        of = placed[k] & CHANNEL_MASK
        if FIRST <= of <= LAST:
            placed[k] = placed[k] & ~(SIDE_MASK << GATE_SHIFT) | BEFORE << GATE_SHIFT
            return 0
    return 1


@njit(cache=True)
def _pick(placed, words, n):  # type: ignore[no-untyped-def]
    """Put the clicks among these words behind the first n, in order; how many there are then, or -1."""
    top = words[n - 1] if n else -_FOREVER
    for k in range(len(placed)):
        word = placed[k]
        click = uint8((word & CHANNEL_MASK) - FIRST) <= LAST - FIRST
        if word < top and click:  # detectors of different delay swap neighbours
            to = n
            while to > 0 and words[to - 1] > word:
                words[to] = words[to - 1]
                to -= 1
            if n - to > MAX_SWAPS:
                return -1
            words[to] = word
            n += 1
            continue
        words[n] = word
        n += click
        top = word if click else top
    return n
