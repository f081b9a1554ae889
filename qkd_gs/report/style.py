"""Common style of the report's figures: width, palette, axes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.tracking.types import Phase

INK, GREY, FAINT = '#1d2433', '#6b7280', '#d7dbe2'
# Okabe and Ito's colours, distinguishable by everyone
BLUE, GREEN, RED, ORANGE, SKY, PURPLE = '#0072b2', '#009e73', '#d55e00', '#e69f00', '#56b4e9', '#cc79a7'
DETECTORS = {'H': BLUE, 'V': SKY, 'D': ORANGE, 'A': PURPLE}
PHASES = {
    Phase.SLEW: '#b8bec9',
    Phase.WAIT: '#b8bec9',
    Phase.ACQUIRE: ORANGE,
    Phase.COARSE: SKY,
    Phase.FINE: BLUE,
    Phase.LOST: RED,
    Phase.END: '#b8bec9',
}
PHASE_NAMES = {
    Phase.SLEW: 'moving to the start',
    Phase.WAIT: 'waiting',
    Phase.ACQUIRE: 'acquiring',
    Phase.COARSE: 'on the guiding camera',
    Phase.FINE: 'locked on the tracking camera',
    Phase.LOST: 'beacon lost, predicted',
    Phase.END: 'pass over',
}
WIDTH_IN = 7.4
_BELOW = 0.01  # of a figure's height, between legend and axes

_SETTINGS: Any = {
    'font.family': 'DejaVu Sans',
    'font.size': 8.5,
    'axes.titlesize': 9,
    'axes.labelsize': 8.5,
    'axes.edgecolor': GREY,
    'axes.labelcolor': INK,
    'axes.linewidth': 0.7,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'grid.color': '#e8ebf0',
    'grid.linewidth': 0.7,
    'xtick.color': GREY,
    'ytick.color': GREY,
    'xtick.labelcolor': INK,
    'ytick.labelcolor': INK,
    'xtick.major.width': 0.7,
    'ytick.major.width': 0.7,
    'xtick.major.size': 3,
    'ytick.major.size': 3,
    'legend.frameon': False,
    'legend.fontsize': 8,
    'legend.handlelength': 1.4,
    'lines.linewidth': 1.2,
    'svg.hashsalt': 'qkd_gs',
    'svg.fonttype': 'path',
    'figure.facecolor': 'white',
}


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib's settings for our figures, for the time of the block."""
    with matplotlib.rc_context(_SETTINGS):
        yield


def new_figure(height_in: float, width_in: float = WIDTH_IN) -> Figure:
    """An empty figure; object interface only, so nothing is left behind in pyplot."""
    return Figure(figsize=(width_in, height_in), layout='constrained')


def legend_below(figure: Figure, **more: Any) -> None:
    """A legend below the axes of a figure that is complete; `more` is for `Figure.legend`.

    Matplotlib 3.6, Ubuntu's, knows no legend outside the axes: room is made for it here.
    """
    legend = figure.legend(loc='lower center', **more)
    used = legend.get_window_extent().height / figure.bbox.height + _BELOW
    engine: Any = figure.get_layout_engine()
    engine.set(rect=(0, used, 1, 1 - used))


def svg_of(figure: Figure) -> bytes:
    """The figure as SVG: the same bytes for the same figure; dense point clouds inside as pixels."""
    buffer = BytesIO()
    figure.savefig(buffer, format='svg', dpi=220, metadata={'Date': None})
    return buffer.getvalue()


def save_figure(figure: Figure, path: str | Path) -> None:
    """Draw into a file; its ending chooses the format.

    Raises
    ------
    StationError
        The file cannot be written, or has an ending that is not known.
    """
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise StationError(f'cannot be drawn: {str(error)[:120]}', where=path, hint='.png, .svg or .pdf') from error


def quiet_right_axis(axes: Axes, label: str, colour: str) -> Axes:
    """A second y axis at the right, in the colour of its line."""
    right = axes.twinx()
    right.grid(False)
    right.spines['right'].set_visible(True)
    right.spines['right'].set_color(colour)
    right.spines['left'].set_visible(False)
    right.tick_params(axis='y', colors=colour, labelcolor=colour)
    right.set_ylabel(label, color=colour)
    return right


def seconds_from(times_ns: IntArray, zero_ns: int) -> FloatArray:
    """Seconds since `zero_ns`."""
    return np.asarray((times_ns - zero_ns) * 1e-9)


def label_time(axes: Axes) -> None:
    """The common time axis."""
    axes.set_xlabel('seconds from culmination')


def broken_at_gaps(t_s: FloatArray, *series: FloatArray, gap_s: float) -> tuple[FloatArray, ...]:
    """Times and series with NaN put in where samples are missing, so that no line bridges a gap."""
    after = np.flatnonzero(np.diff(t_s) > gap_s) + 1
    return tuple(np.insert(np.asarray(values, float), after, np.nan) for values in (t_s, *series))


def scatter_axes(axes: Axes, reach_urad: float, ours: tuple[float, str], paper: tuple[float, str]) -> None:
    """Equal axes of pointing errors with two circles, ours and the paper's: radius in urad, and name."""
    turn = np.linspace(0, 2 * np.pi, 181)
    styles: tuple[tuple[str, Any], ...] = ((INK, '-'), (RED, (0, (4, 3))))
    for (radius, name), (colour, dashes) in zip((ours, paper), styles, strict=True):
        axes.plot(radius * np.cos(turn), radius * np.sin(turn), color=colour, lw=1.3, ls=dashes, label=name)
    axes.set_aspect('equal')
    axes.set_xlim(-reach_urad, reach_urad)
    axes.set_ylim(-reach_urad, reach_urad)
    axes.set_xlabel('cross-elevation (x), µrad')
    axes.set_ylabel('elevation (y), µrad')
