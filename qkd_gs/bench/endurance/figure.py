"""Figure of an endurance run: each node's memory over the hours, with the passes and the calibrations."""

from __future__ import annotations

from math import ceil, isfinite
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qkd_gs.report.style import BLUE, FAINT, GREY, INK, SKY, house_style, new_figure, save_figure

_COLUMNS = 3
_LEAST_SPAN_MB = 8.0  # so that a flat line looks flat
_DONE = {'pass': SKY, 'calibration': FAINT}


def draw(figures: dict[str, Any], path: str | Path) -> None:
    """Draw what `qkd_gs.bench.endurance.program.run` has given into a file; its ending chooses the format.

    Raises
    ------
    StationError
        The file cannot be written, or has an ending that is not known.
    """
    with house_style():
        save_figure(memory_figure(figures), path)


def memory_figure(figures: dict[str, Any]) -> Figure:
    """One panel a node, of its own memory in MB over hours."""
    nodes = figures['nodes']
    rows = max(ceil(len(nodes) / _COLUMNS), 1)
    figure = new_figure(1.15 * rows + 0.4)
    panels = figure.subplots(rows, _COLUMNS, sharex=True, squeeze=False)
    for axes, (name, node) in zip(panels.flat, sorted(nodes.items()), strict=False):
        _panel(axes, name, node, figures['done'])
    for axes in panels.flat[len(nodes) :]:
        axes.set_axis_off()
    figure.supxlabel('hours since the station was ready (dark: pass, light: calibration)', fontsize=8.5, color=INK)
    figure.supylabel('memory of its own (MB)', fontsize=8.5, color=INK)
    return figure


def _panel(axes: Axes, name: str, node: dict[str, Any], done: list[tuple[float, float, str]]) -> None:
    for start_h, stop_h, what in done:
        axes.axvspan(start_h, stop_h, color=_DONE[what], alpha=0.5, linewidth=0)
    slope, error = node['memory_mb_per_hour']
    told = f'  {slope:+.1f} ± {error:.1f} MB/h' if isfinite(slope) else ''
    axes.set_title(name, loc='left', fontsize=8, color=INK)
    axes.set_title(told, loc='right', fontsize=7, color=GREY)
    hours, memory_mb = np.array(node['memory_mb_by_minute'], np.float64).reshape(-1, 2).T
    if len(hours):
        axes.plot(hours, memory_mb, color=BLUE)
        middle, half = (memory_mb.max() + memory_mb.min()) / 2, max(np.ptp(memory_mb), _LEAST_SPAN_MB) * 0.6
        axes.set_ylim(middle - half, middle + half)
