"""Figures of the link: efficiency and noise against elevation, and the stars of the calibration."""

from __future__ import annotations

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.downlink.budget import transmission
from qkd_gs.report.style import BLUE, FAINT, GREEN, GREY, INK, ORANGE, legend_below, new_figure, scatter_axes
from qkd_gs.report.view import Plot, SessionView, number
from qkd_gs.settings.downlink import load_downlink

_PAPER_STARS_URAD = 56.36


def link_efficiency(view: SessionView) -> Plot | None:
    """Detected over sent photons against elevation, beside the stated link, and the noise that was expected."""
    t, site = view.telemetry, view.manifest.site
    if site is None or t.counts.shape[1] < 3:
        return None
    downlink, source = load_downlink(), view.manifest.station.source
    width_s = float(np.median(np.diff(t.count_t_ns))) * 1e-9
    middle_ns = t.count_t_ns + round(width_s * 5e8)
    el_rad = view.elevation_at(middle_ns)
    locked = view.locked(middle_ns) & np.isfinite(el_rad)
    if locked.sum() < 3:
        return None
    photons = source.p_signal * source.mu_signal + source.p_decoy * source.mu_decoy + source.p_vacuum * source.mu_vacuum
    noise = downlink.noise
    grid = np.linspace(max(float(np.nanmin(el_rad[locked])), np.deg2rad(5)), float(np.nanmax(el_rad[locked])), 80)
    beyond_deg = np.maximum(np.rad2deg(grid) - noise.glow_floor_deg, 0.0)
    city = site.glow_cps * np.exp(-beyond_deg / noise.glow_scale_deg)
    background = np.interp(el_rad, grid, noise.dark_cps + noise.sky_cps + city)
    efficiency = (t.counts.sum(axis=0) / width_s - background) / (source.pulse_rate_hz * photons)
    figure = new_figure(4.6)
    panels = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    culmination_ns = view.manifest.culmination_ns
    for rising, colour, name in ((True, BLUE, 'rising'), (False, GREEN, 'setting')):
        use = locked & ((middle_ns < culmination_ns) == rising) & (efficiency > 0)
        panels[0].plot(
            np.rad2deg(el_rad[use]), 10 * np.log10(efficiency[use]), '.', ms=4, mew=0, color=colour, label=name
        )
    range_m = _range_m(view, grid)
    if range_m is not None:
        expected = transmission(downlink.link, site, range_m, grid, 0.0)
        panels[0].plot(np.rad2deg(grid), 10 * np.log10(expected), color=INK, lw=1.1, label='stated link')
        for sign in (-1, 1):
            panels[0].plot(
                np.rad2deg(grid),
                10 * np.log10(expected) + sign * downlink.spread.link_db,
                color=GREY,
                lw=0.8,
                ls=(0, (4, 3)),
                label='± the spread of published passes' if sign > 0 else None,
            )
    panels[0].set_ylabel('efficiency, dB')
    panels[0].legend(loc='lower right')
    parts = (np.full(len(grid), noise.dark_cps), np.full(len(grid), noise.sky_cps), city)
    panels[1].stackplot(
        np.rad2deg(grid), parts, colors=(GREY, BLUE, ORANGE), labels=('detectors', 'night sky', 'city'), alpha=0.8
    )
    panels[1].set_ylabel('noise, counts/s')
    panels[1].set_ylim(0, 1.3 * float(np.sum(parts, axis=0).max()))  # room for the legend
    panels[1].set_xlabel('elevation, degrees')
    panels[1].legend(loc='upper right', ncols=3)
    return Plot(
        'link_efficiency',
        'Link and noise against elevation',
        figure,
        'Above: detected photons over those that left the satellite, from the count rates less the expected noise, and '
        'the link that is stated for this site. Below: the noise that is expected, without Moon and sunlight.',
        'Link efficiency in decibels and expected noise against elevation.',
    )


def _range_m(view: SessionView, el_rad: FloatArray) -> FloatArray | None:
    """Distance at elevations, for a circular orbit through the highest point of the pass."""
    nearest_km, highest_deg = (number(view.manifest.pass_info, key) for key in ('min_range_km', 'max_elevation_deg'))
    if nearest_km is None or highest_deg is None:
        return None
    earth_m, near_m, top = 6.371e6, nearest_km * 1e3, np.deg2rad(highest_deg)
    orbit_m2 = earth_m**2 + near_m**2 + 2 * earth_m * near_m * np.sin(top)
    range_m: FloatArray = np.sqrt(orbit_m2 - (earth_m * np.cos(el_rad)) ** 2) - earth_m * np.sin(el_rad)
    return range_m


def calibration_stars(view: SessionView) -> Plot | None:
    """Residuals of the stars of the pointing calibration, as the paper's Fig. 4."""
    if view.pointing is None or len(view.pointing.star_residuals_urad) < 3:
        return None
    x, y = np.array(view.pointing.star_residuals_urad).T
    radial = float(np.sqrt(np.mean(x**2 + y**2)))
    reach = 1.15 * max(float(np.hypot(x, y).max()), _PAPER_STARS_URAD)
    figure = new_figure(4.4, 4.4)
    axes = figure.add_subplot()
    axes.axhline(0, color=FAINT, lw=0.8)
    axes.axvline(0, color=FAINT, lw=0.8)
    axes.plot(x, y, 'o', ms=4, mew=0, color=BLUE, label='stars')
    paper = (_PAPER_STARS_URAD, f'paper {_PAPER_STARS_URAD} µrad')
    scatter_axes(axes, reach, (radial, f'RMS {radial:.1f} µrad'), paper)
    legend_below(figure, ncols=3)
    return Plot(
        'calibration_stars',
        'Stars of the calibration',
        figure,
        f'{len(x)} stars minus the fitted pointing model ({view.pointing.summary}). The paper’s Fig. 4 has '
        '78 stars that were not in its fit.',
        f'Scatter of {len(x)} stars, radial RMS {radial:.1f} microradians.',
        square=True,
    )
