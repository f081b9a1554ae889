"""Figures of the photons: count rates, error rate, clock."""

from __future__ import annotations

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.report.style import (
    BLUE,
    DETECTORS,
    GREEN,
    GREY,
    INK,
    RED,
    broken_at_gaps,
    label_time,
    legend_below,
    new_figure,
    quiet_right_axis,
)
from qkd_gs.report.text import HARD, shown
from qkd_gs.report.view import Plot, SessionView, number


def count_rates(view: SessionView) -> Plot | None:
    """Counts per second of each detector and of the beacon's."""
    t = view.telemetry
    if t.counts.shape[1] < 2:
        return None
    seconds, width_s = view.seconds(t.count_t_ns), np.median(np.diff(t.count_t_ns)) * 1e-9
    middle = seconds + width_s / 2
    has_beacon = len(t.beacon_counts) > 0
    figure = new_figure(4.1 if has_beacon else 2.8)
    ratios = (2.4, 1) if has_beacon else (1,)
    panels = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)[:, 0]
    rates = t.counts / width_s / 1000
    panels[0].plot(middle, rates.sum(axis=0), color=INK, lw=1.3, label='all four')
    for row, (detector, colour) in zip(rates, DETECTORS.items(), strict=True):
        panels[0].plot(middle, row, color=colour, lw=1.1, label=detector)
    panels[0].set_ylabel('thousand counts a second')
    panels[0].set_ylim(bottom=0)
    panels[0].legend(loc='upper left', ncols=5, columnspacing=1.2)
    if len(t.el_rad):
        right = quiet_right_axis(panels[0], 'elevation, degrees', RED)
        right.plot(view.seconds(t.t_ns), np.rad2deg(t.el_rad), color=RED, lw=1.0, alpha=0.8)
        right.set_ylim(0, 90)
        right.set_yticks([0, 30, 60, 90])
    if has_beacon:
        panels[1].plot(middle, t.beacon_counts / width_s / 1000, color=GREEN)
        panels[1].set_ylabel('beacon,\nthousand/s')
        sent = view.manifest.station.source.beacon_rate_hz / 1000
        panels[1].set_ylim(0, 1.1 * max(sent, float(t.beacon_counts.max()) / width_s / 1000))
        panels[1].axhline(sent, color=GREY, lw=0.8, ls=(0, (4, 3)))
    panels[0].set_xlim(middle[0], middle[-1])
    label_time(panels[-1])
    total = int(t.counts.sum())
    beacon = ' Below: detected pulses of the synchronizing beacon; dashed: as many as were sent.' if has_beacon else ''
    return Plot(
        'count_rates',
        'Photons',
        figure,
        f'Detections a second in bins of {width_s:.3g} s, {shown(total, 0)} in all: signal, decoys and background, '
        f'before any gate.{beacon} Shorter bins are not kept: a lone count would be a raw key bit.',
        f'Count rates of four detectors; {total} counts.',
    )


def error_rate(view: SessionView) -> Plot | None:
    """QBER against time."""
    t = view.telemetry
    usable = np.isfinite(t.qber)
    if len(t.qber_bits):
        usable &= t.qber_bits > 0
    if not usable.any():
        return None
    seconds = view.seconds(t.qber_t_ns)
    width_s = float(np.median(np.diff(t.qber_t_ns))) * 1e-9 if len(t.qber_t_ns) > 1 else 5.0
    middle, percent = seconds + width_s / 2, 100 * t.qber
    figure = new_figure(2.8)
    axes = figure.add_subplot()
    bars = _binomial_percent(t.qber, t.qber_bits)
    axes.errorbar(
        middle[usable],
        percent[usable],
        None if bars is None else bars[usable],
        fmt='o',
        ms=3,
        color=BLUE,
        elinewidth=0.9,
        capsize=0,
        label=f'bins of {width_s:.3g} s',
        zorder=3,
    )
    mean = number(view.key, 'qber')
    if mean is not None:
        axes.axhline(100 * mean, color=INK, lw=1.0, label=f'whole pass {100 * mean:.2f} %')
    limit = view.manifest.station.key.max_qber
    axes.axhline(100 * limit, color=RED, lw=1.0, ls=(0, (4, 3)), label=f'given up above {100 * limit:g} %')
    top = max(limit, mean or 0, float(np.quantile(t.qber[usable], 0.97)))
    axes.set_ylim(0, 115 * top)
    axes.set_ylabel('error rate, %')
    label_time(axes)
    legend_below(figure, ncols=4)
    said = f'{100 * mean:.2f}{HARD}%' if mean is not None else 'not given'
    return Plot(
        'qber',
        'Error rate of the sifted bits',
        figure,
        f'Quantum bit error rate of the signal states against time; bars: one standard deviation. Whole pass: {said}. '
        f'Paper: {view.published.qber} ({view.published.which}).',
        f'Error rate against time; whole pass {said}.',
    )


def _binomial_percent(qber: FloatArray, bits: IntArray) -> FloatArray | None:
    """One standard deviation; half a count at least, so that a bin without errors is not certain."""
    if len(bits) != len(qber):
        return None
    n = np.maximum(bits, 1)
    share = np.maximum(qber, 0.5 / n)
    return np.asarray(100 * np.sqrt(share * (1 - np.minimum(share, 1)) / n))


def clock_residual(view: SessionView) -> Plot | None:
    """Residuals of the recovered satellite clock."""
    t = view.telemetry
    if not np.isfinite(t.sync_residual_ns).any():
        return None
    figure = new_figure(2.4)
    axes = figure.add_subplot()
    seconds, residual = broken_at_gaps(view.seconds(t.sync_t_ns), t.sync_residual_ns, gap_s=5.0)
    axes.plot(seconds, residual, color=BLUE, lw=1.0, marker='.', ms=2.5, label='single pulses, RMS of a bin')
    half_gate = view.manifest.station.key.gate_ns / 2
    sync = number(view.timing, 'sync_rms_ns')
    if sync is not None:
        axes.axhline(sync, color=GREEN, lw=1.2, label=f'fitted clock {sync:.3f} ns')
    axes.axhline(half_gate, color=RED, lw=1.0, ls=(0, (4, 3)), label=f'half the gate {half_gate:g} ns')
    axes.set_ylim(0, 1.15 * max(half_gate, float(np.nanquantile(t.sync_residual_ns, 0.98))))
    axes.set_ylabel('ns')
    label_time(axes)
    legend_below(figure, ncols=3)
    return Plot(
        'sync_residual',
        'Clock',
        figure,
        'Times of the beacon’s pulses about the fitted clock of the satellite. A single pulse has its own jitter '
        '(length of the pulse, detector); the clock fitted through many of them is known much better. Photons are '
        f'accepted in a gate of {view.manifest.station.key.gate_ns:g} ns.',
        'Residual of the beacon pulses against time.',
    )
