"""Figures of the pass itself: the way across the sky, the acquisition, the polarization."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.report.style import (
    BLUE,
    FAINT,
    GREY,
    INK,
    ORANGE,
    PHASE_NAMES,
    PHASES,
    RED,
    broken_at_gaps,
    label_time,
    legend_below,
    new_figure,
)
from qkd_gs.report.view import Plot, SessionView, number
from qkd_gs.tracking.types import Phase

_MINUTE_NS = 60_000_000_000


def sky_track(view: SessionView) -> Plot | None:
    """The way across the sky, seen from above."""
    t = view.telemetry
    if len(t.az_rad) < 2 or len(t.el_rad) < 2:
        return None
    figure = new_figure(5.0, 5.0)
    axes: Any = figure.add_subplot(projection='polar')
    axes.set_theta_zero_location('N')
    axes.set_theta_direction(-1)
    axes.set_rlim(0, 90)
    axes.set_rgrids([30, 60, 80], ['60°', '30°', '10°'], angle=135, color=GREY, fontsize=7.5)
    axes.set_thetagrids(
        range(0, 360, 30), ['N', '30°', '60°', 'E', '120°', '150°', 'S', '210°', '240°', 'W', '300°', '330°']
    )
    axes.spines['polar'].set_color(GREY)
    axes.grid(color=FAINT)
    lowest_deg = view.manifest.station.tracking.data_el_deg
    axes.plot(np.linspace(0, 2 * np.pi, 181), np.full(181, 90 - lowest_deg), color=GREY, lw=0.8, ls=(0, (4, 3)))
    axes.tick_params(pad=1)
    up = t.el_rad >= 0
    azimuth, zenith_deg = t.az_rad[up], 90 - np.rad2deg(t.el_rad[up])
    stamps = t.t_ns[up]
    phase = t.phase[up] if len(t.phase) else np.full(len(stamps), Phase.FINE, np.uint8)
    axes.plot(azimuth, zenith_deg, color=FAINT, lw=4.5, solid_capstyle='round', zorder=2)
    for code, colour in PHASES.items():
        mask = phase == code
        if not mask.any() or code in (Phase.SLEW, Phase.WAIT, Phase.END):
            continue
        axes.plot(
            np.where(mask, azimuth, np.nan),
            np.where(mask, zenith_deg, np.nan),
            color=colour,
            lw=2.4 if code == Phase.FINE else 3.6,
            label=PHASE_NAMES[code],
            solid_capstyle='round',
            zorder=3 if code == Phase.FINE else 4,
        )
    _minute_marks(axes, stamps, azimuth, zenith_deg)
    top = int(np.argmin(zenith_deg))
    axes.plot(azimuth[top], zenith_deg[top], 'o', ms=5, mfc='white', mec=INK, zorder=6)
    axes.annotate(
        f'{90 - zenith_deg[top]:.1f}°', (azimuth[top], zenith_deg[top]), (9, 7), textcoords='offset points', color=INK
    )
    if axes.get_legend_handles_labels()[0]:  # none in a pass that was broken off before it began
        legend_below(figure, ncols=2)
    return Plot(
        'sky_track',
        'The way across the sky',
        figure,
        'Apparent path of the line of sight, as a map seen from above: north is up and east is right (not mirrored '
        'as when looking up). The centre is the zenith, the rim the horizon, rings are elevations; dashed: data are '
        f'taken above {lowest_deg:g}°. Dots are full minutes (UTC), the arrow shows '
        'the direction of motion, the open circle is the highest point.',
        f'Polar plot of the pass; highest elevation {90 - zenith_deg[top]:.1f} degrees.',
        square=True,
    )


def _minute_marks(axes: Axes, stamps: IntArray, azimuth: FloatArray, zenith_deg: FloatArray) -> None:
    zero = stamps[0]
    seconds = (stamps - zero) * 1e-9
    minutes = np.arange(-(-int(stamps[0]) // _MINUTE_NS) * _MINUTE_NS, int(stamps[-1]) + 1, _MINUTE_NS)
    for k, minute in enumerate(minutes):
        at = (minute - zero) * 1e-9
        az, zd = np.interp(at, seconds, azimuth), np.interp(at, seconds, zenith_deg)
        axes.plot(az, zd, 'o', ms=2.6, color=INK, zorder=5)
        if k % 2 == 0:
            text = datetime.fromtimestamp(minute / 1e9, UTC).strftime('%H:%M')
            axes.annotate(text, (az, zd), (6, -9), textcoords='offset points', fontsize=7, color=GREY)
    # an arrow over a part of the last fifth
    a, b = int(len(stamps) * 0.80), int(len(stamps) * 0.83)
    if b > a:
        axes.annotate(
            '',
            (azimuth[b], zenith_deg[b]),
            (azimuth[a], zenith_deg[a]),
            arrowprops={'arrowstyle': '-|>', 'color': INK, 'lw': 1.2, 'mutation_scale': 13},
            zorder=7,
        )


def acquisition(view: SessionView) -> Plot | None:
    """From the first light of the beacon to the lock, and a little after."""
    t, lock_ns = view.telemetry, view.lock_ns()
    series = [
        (t.guide_t_ns, t.guide_x_urad, t.guide_y_urad, 'spot in the guiding camera', ORANGE, '.', 3.5),
        (t.spot_t_ns, t.spot_x_urad, t.spot_y_urad, 'spot in the tracking camera', BLUE, '.', 2.5),
    ]
    if lock_ns is None or not any(len(x) for _, x, *_ in series):
        return None
    took = number(view.manifest.tracking, 'acquire_s')
    before_s, after_s = max(2.0, min((took or 3.0) + 1.5, 60.0)), 4.0
    figure = new_figure(2.9)
    axes = figure.add_subplot()
    for stamps, x, y, name, colour, marker, size in series:
        since = (stamps - lock_ns) * 1e-9
        near = (since > -before_s) & (since < after_s)
        if len(x) and near.any():
            offset = np.hypot(x[near], y[near])
            axes.plot(since[near], np.maximum(offset, 0.1), marker, ms=size, color=colour, label=name, mew=0)
    if len(t.error_x_urad):
        since = (t.t_ns - lock_ns) * 1e-9
        near = (since > -before_s) & (since < after_s)
        error = np.hypot(t.error_x_urad[near], t.error_y_urad[near])
        if np.isfinite(error).any():
            axes.plot(since[near], np.maximum(error, 0.1), color=GREY, lw=0.9, label='true error of the line of sight')
    _shade_phases(axes, view, lock_ns)
    axes.axvline(0, color=INK, lw=0.8)
    if took is not None:
        axes.axvline(-took, color=INK, lw=0.8, ls=(0, (3, 2)))
        axes.annotate(
            'beacon enters the field',
            (-took, 0.97),
            (3, 0),
            xycoords=axes.get_xaxis_transform(),
            textcoords='offset points',
            fontsize=7.5,
            va='top',
        )
    axes.annotate(
        'lock',
        (0, 0.86),
        (3, 0),
        xycoords=axes.get_xaxis_transform(),
        textcoords='offset points',
        fontsize=7.5,
        va='top',
    )
    axes.set_yscale('log')
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
    axes.set_xlim(-before_s, after_s)
    axes.set_ylim(bottom=0.3)
    axes.set_xlabel('seconds from lock')
    axes.set_ylabel('offset, µrad')
    legend_below(figure, ncols=3, markerscale=3)
    spoken = f'{took:.2f} s' if took is not None else 'a time that was not recorded'
    return Plot(
        'acquisition',
        'Acquisition',
        figure,
        f'Distance of the spot from its reference place, from first light to lock (logarithmic). It took {spoken} from '
        'the beacon’s first presence in the guiding camera’s field to the lock on the tracking camera. Bands: '
        'phases of the tracker. The paper gives no acquisition time.',
        f'Spot offset falling to a few microradians; acquisition took {spoken}.',
    )


def _shade_phases(axes: Axes, view: SessionView, zero_ns: int) -> None:
    t = view.telemetry
    if not len(t.phase):
        return
    changes = np.flatnonzero(np.diff(t.phase)) + 1
    for first, last in zip([0, *changes], [*changes, len(t.phase)], strict=True):
        code = Phase(int(t.phase[first])) if int(t.phase[first]) in Phase.__members__.values() else None
        if code in (Phase.ACQUIRE, Phase.COARSE, Phase.LOST):
            start, end = (t.t_ns[first] - zero_ns) * 1e-9, (t.t_ns[min(last, len(t.t_ns) - 1)] - zero_ns) * 1e-9
            axes.axvspan(start, end, color=PHASES[code], alpha=0.10, lw=0)


def polarization(view: SessionView) -> Plot | None:
    """Error of the polarization angle against time."""
    t = view.telemetry
    if not np.isfinite(t.polarization_error_deg).any():
        return None
    figure = new_figure(2.5)
    axes = figure.add_subplot()
    seconds, error = broken_at_gaps(view.seconds(t.hwp_t_ns), t.polarization_error_deg, gap_s=1.0)
    axes.axhline(0, color=GREY, lw=0.7)
    axes.plot(seconds, error, color=BLUE, lw=0.8, rasterized=len(error) > 5000)
    worst = number(view.manifest.polarization, 'max_error_deg')
    if worst is not None:
        for sign in (-1, 1):
            axes.axhline(sign * worst, color=RED, lw=0.8, ls=(0, (4, 3)))
        axes.set_ylim(-1.6 * max(worst, 1e-3), 1.6 * max(worst, 1e-3))
        axes.annotate(
            f'largest {worst:.2f}°',
            (0.995, worst),
            (0, 3),
            xycoords=('axes fraction', 'data'),
            textcoords='offset points',
            ha='right',
            color=RED,
            fontsize=8,
        )
    label_time(axes)
    axes.set_ylabel('polarization error, degrees')
    open_loop = number(view.manifest.polarization, 'open_loop_error_deg')
    before = (
        f' On the elements alone, before their time error was known, it would have been {open_loop:.2f}°.'
        if open_loop is not None
        else ''
    )
    measured = view.pointing.hwp_sigma_deg if view.pointing is not None else None
    zero = (
        f' The zero of the HWP is calibrated to {2 * measured:.2f}° of this angle.'
        if measured is not None
        else ' The zero of the HWP was not calibrated: an error of it is not seen here, unless the pass is simulated.'
    )
    mean_cost = number(view.manifest.polarization, 'qber_cost')
    mean = f' Over the pass it adds {100 * mean_cost:.4f} %.' if mean_cost is not None else ''
    cost = (
        f' An error of {worst:.2f}° adds sin² = {100 * np.sin(np.deg2rad(worst)) ** 2:.3f} % to the error rate.'
        if worst is not None
        else ''
    )
    return Plot(
        'polarization',
        'Polarization',
        figure,
        'Angle at the analyser (twice the half-wave plate’s) minus the satellite’s. The largest value counts '
        f'from lock on, above {view.manifest.station.tracking.data_el_deg:g}°.{before}{cost}{mean}{zero}',
        'Polarization error against time.',
    )
