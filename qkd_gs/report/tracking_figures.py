"""Figures of tracking: errors against time with the elevation, as the paper's Fig. 5, and the spot's scatter."""

from __future__ import annotations

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.report.paper import FIELD_URAD, SPOT_RMS_X_URAD, SPOT_RMS_Y_URAD
from qkd_gs.report.style import (
    BLUE,
    GREEN,
    GREY,
    RED,
    broken_at_gaps,
    label_time,
    new_figure,
    quiet_right_axis,
    scatter_axes,
)
from qkd_gs.report.text import shown
from qkd_gs.report.view import Plot, SessionView, number, rms

_AXES = (('cross-elevation (x)', BLUE), ('elevation (y)', GREEN))


def tracking_error(view: SessionView) -> Plot | None:
    """Line of sight minus apparent direction; the twin alone knows it."""
    t, tracking = view.telemetry, view.manifest.tracking
    told = [number(tracking, f'rms_{axis}_urad') for axis in 'xy']
    if not (np.isfinite(t.error_x_urad).any() and np.isfinite(t.error_y_urad).any()):
        return None
    return _against_time(
        view,
        'tracking_error',
        'Tracking error of the line of sight',
        (t.t_ns, t.error_x_urad, t.error_y_urad),
        told,
        'Direction in which the telescope really looked, minus the satellite’s apparent direction: only a simulation '
        'knows it.',
    )


def spot_offset(view: SessionView) -> Plot | None:
    """Spot in the tracking camera, as the paper measured."""
    t, tracking = view.telemetry, view.manifest.tracking
    if not (np.isfinite(t.spot_x_urad).any() and np.isfinite(t.spot_y_urad).any()):
        return None
    told = [number(tracking, f'spot_rms_{axis}_urad') for axis in 'xy']
    floor = [number(tracking, f'floor_{axis}_urad') for axis in 'xy']
    best = (
        f' On an ideal mount turbulence alone would make {floor[0]:.2f} and {floor[1]:.2f} µrad.'
        if floor[0] is not None and floor[1] is not None
        else ''
    )
    return _against_time(
        view,
        'spot_offset',
        'Spot in the tracking camera',
        (t.spot_t_ns, t.spot_x_urad, t.spot_y_urad),
        told,
        'Offset of the beacon’s spot from its reference place, turbulence and noise of the camera included: what the '
        f'paper’s Fig. 5 shows. Paper: {SPOT_RMS_X_URAD} and {SPOT_RMS_Y_URAD} µrad RMS (a pass over Shanghai of '
        f'unstated height).{best}',
    )


def _against_time(
    view: SessionView,
    name: str,
    title: str,
    series: tuple[IntArray, FloatArray, FloatArray],
    told: list[float | None],
    caption: str,
) -> Plot | None:
    """Two panels of one axis each, elevation at the right."""
    stamps = series[0]
    counted = view.above(stamps)
    if not counted.any():
        return None
    figure = new_figure(4.3)
    panels = figure.subplots(2, 1, sharex=True, sharey=True)
    limit = max(10.0, 1.4 * max(float(np.nanquantile(np.abs(values[counted]), 0.999)) for values in series[1:]))
    lost, shown, every = view.lock_was_lost, [], []
    for axes, values, known, (axis, colour) in zip(panels, series[1:], told, _AXES, strict=True):
        locked = rms(values[counted])
        every.append(locked if known is None else known)
        shown.append(locked if lost else every[-1])
        seconds, line = broken_at_gaps(view.seconds(stamps), values, gap_s=0.5)
        label = f'{axis}: RMS {shown[-1]:.2f} µrad' + ' while locked' * lost
        axes.plot(seconds, line, color=colour, lw=0.5, rasterized=True, label=label)
        axes.axhline(0, color=GREY, lw=0.6)
        axes.set_ylim(-limit, limit)
        axes.set_ylabel('µrad')
        axes.legend(loc='upper left', borderaxespad=0.2, handlelength=1.6)
        right = quiet_right_axis(axes, 'elevation, degrees', RED)
        right.plot(view.seconds(view.telemetry.t_ns), np.rad2deg(view.telemetry.el_rad), color=RED, lw=1.0, alpha=0.8)
        right.set_ylim(0, 90)
        right.set_yticks([0, 30, 60, 90])
    inside = view.seconds(stamps[counted])
    panels[1].set_xlim(inside[0] - 5, inside[-1] + 5)
    label_time(panels[1])
    return Plot(
        name,
        title,
        figure,
        f'{caption} {_counted(view, lost, every)}; red: elevation.',
        f'RMS {shown[0]:.2f} by {shown[1]:.2f} microradians.',
    )


def _counted(view: SessionView, lost: bool, every_urad: list[float]) -> str:
    """Samples that the RMS of the figure counts."""
    above = f'above {view.manifest.station.tracking.data_el_deg:g}°'
    if not lost:
        return f'RMS over every sample from the first lock on, {above}'
    return (
        f'RMS of the locked samples, {above}; over every sample from the first lock on, the time without lock '
        f'included, {every_urad[0]:.2f} and {every_urad[1]:.2f} µrad'
    )


def spot_scatter(view: SessionView) -> Plot | None:
    """Figure of the spot positions on the tracking camera."""
    t = view.telemetry
    if not len(t.spot_x_urad) or not len(t.spot_y_urad):
        return None
    use = view.above(t.spot_t_ns) & np.isfinite(t.spot_x_urad) & np.isfinite(t.spot_y_urad)
    if use.sum() < 10:
        return None
    x, y = t.spot_x_urad[use], t.spot_y_urad[use]
    reach = max(12.0, 1.15 * float(np.quantile(np.hypot(x, y), 0.999)))
    figure = new_figure(4.6, 4.6)
    grid = figure.add_gridspec(2, 2, width_ratios=(5, 1), height_ratios=(1, 5), wspace=0.03, hspace=0.03)
    axes = figure.add_subplot(grid[1, 0])
    axes.plot(x, y, '.', ms=2.2, mew=0, color=BLUE, alpha=max(0.12, min(0.6, 3000 / len(x))), rasterized=True)
    radial = float(np.sqrt(np.mean(x**2 + y**2)))
    paper = float(np.hypot(SPOT_RMS_X_URAD, SPOT_RMS_Y_URAD))
    scatter_axes(axes, reach, (radial, f'radial RMS {radial:.2f} µrad'), (paper, f'paper {paper:.2f} µrad'))
    axes.legend(loc='upper left', borderaxespad=0.3)
    bins = np.linspace(-reach, reach, 61).tolist()
    top, side = figure.add_subplot(grid[0, 0], sharex=axes), figure.add_subplot(grid[1, 1], sharey=axes)
    top.hist(x, bins, color=BLUE, alpha=0.75)
    side.hist(y, bins, color=GREEN, alpha=0.75, orientation='horizontal')
    for panel in (top, side):
        panel.axis('off')
    return Plot(
        'spot_scatter',
        'Where the spot was',
        figure,
        f'Each point is one image of the tracking camera ({shown(int(use.sum()), 0)} of them). The receiver’s '
        f'field is {FIELD_URAD:g} µrad wide: {FIELD_URAD / 2 / radial:.0f} times the radial RMS to its edge. '
        'Bars: how often each offset occurred. The paper’s circle is its two RMS values in quadrature.',
        f'Scatter of the spot, radial RMS {radial:.2f} microradians; paper {paper:.2f}.',
        square=True,
    )
