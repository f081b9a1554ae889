"""Tracking by elevation band, and the spectrum of its error."""

from __future__ import annotations

import numpy as np
from scipy.signal import welch

from qkd_gs.arrays import BoolArray, FloatArray, IntArray
from qkd_gs.report.style import BLUE, GREEN, GREY, legend_below, new_figure
from qkd_gs.report.tables import Table
from qkd_gs.report.text import NONE, shown
from qkd_gs.report.view import Plot, SessionView, rms

_BAND_DEG = 10
_LEAST = 20
_SEGMENT_S = 8.0


def bands_table(view: SessionView) -> Table | None:
    """RMS of line of sight and spot in bands of elevation, while locked."""
    t = view.telemetry
    if len(t.el_rad) < 2:
        return None
    lowest = int(view.manifest.station.tracking.data_el_deg // _BAND_DEG) * _BAND_DEG
    rows = []
    for low in range(lowest, 90, _BAND_DEG):
        cells = []
        count = 0
        for stamps, series in (
            (t.t_ns, (t.error_x_urad, t.error_y_urad)),
            (t.spot_t_ns, (t.spot_x_urad, t.spot_y_urad)),
        ):
            el_deg = np.rad2deg(view.elevation_at(stamps))
            inside = view.above(stamps) & (el_deg >= low) & (el_deg < low + _BAND_DEG)
            count = max(count, int(inside.sum()))
            cells += [_shown(values, inside) for values in series]
        if count >= _LEAST:
            rows.append((f'{low}–{low + _BAND_DEG}°', *cells, shown(count, 0)))
    if not rows:
        return None
    return Table(
        ('Elevation', 'line of sight x', 'y', 'spot x', 'y', 'samples'),
        rows,
        title='RMS by elevation, µrad',
        note='While locked; x is cross-elevation. The line of sight is known to a simulation only.',
        numbers=frozenset(range(1, 6)),
    )


def _shown(values: FloatArray, inside: BoolArray) -> str:
    if len(values) != len(inside) or not np.isfinite(values[inside]).any():
        return NONE
    return shown(rms(values[inside]), 2)


def spectrum(view: SessionView) -> Plot | None:
    """Power spectral density of the spot and of the line of sight, while locked."""
    t = view.telemetry
    figure = new_figure(2.9)
    axes = figure.add_subplot()
    drawn = 0
    for stamps, x, y, name, colour in (
        (t.spot_t_ns, t.spot_x_urad, t.spot_y_urad, 'spot', BLUE),
        (t.t_ns, t.error_x_urad, t.error_y_urad, 'line of sight', GREEN),
    ):
        for values, axis, dashes in ((x, 'x', '-'), (y, 'y', (0, (3, 1.5)))):
            density = _density(view, stamps, values)
            if density is None:
                continue
            axes.loglog(density[0][1:], density[1][1:], color=colour, ls=dashes, lw=1.1, label=f'{name} {axis}')
            drawn += 1
    if not drawn:
        return None
    axes.set_xlabel('frequency, Hz')
    axes.set_ylabel('µrad² / Hz')
    axes.axvline(0.3, color=GREY, lw=0.8, ls=(0, (4, 3)))
    legend_below(figure, ncols=4)
    return Plot(
        'spectrum',
        'Spectrum of the tracking error',
        figure,
        'Power spectral density while locked, above the elevation of the data (averages over 8 s). The spot moves with '
        'the turbulence, which the mount must not follow: the line of sight lies far below it. Dashed: 0.3 Hz, where '
        'the correction by the camera ends.',
        'Spectra of the spot and of the line of sight against frequency.',
    )


def _density(view: SessionView, stamps: IntArray, values: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Frequencies (Hz) and density of the longest locked run, sampled evenly; None if it is too short."""
    if len(values) != len(stamps) or len(stamps) < 2:
        return None
    use = view.above(stamps) & np.isfinite(values)
    if use.sum() < 2 * _LEAST:
        return None
    t_s, series = view.seconds(stamps[use]), values[use]
    step_s = float(np.median(np.diff(t_s)))
    breaks = np.flatnonzero(np.diff(t_s) > max(20 * step_s, 0.5)) + 1
    runs = np.split(np.arange(len(t_s)), breaks)
    longest = max(runs, key=len)
    if len(longest) * step_s < 2 * _SEGMENT_S:
        return None
    even_s = np.arange(t_s[longest[0]], t_s[longest[-1]], step_s)
    even = np.interp(even_s, t_s[longest], series[longest])
    frequency, density = welch(even, 1 / step_s, nperseg=round(_SEGMENT_S / step_s))
    return np.asarray(frequency), np.asarray(density)
