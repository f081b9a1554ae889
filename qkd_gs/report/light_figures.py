"""Figures of the star test and of the noise map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from qkd_gs.calibration.light.history import LightHistory
from qkd_gs.calibration.light.noise_map import NoiseMap
from qkd_gs.calibration.light.star_test import StarTest
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.report.style import BLUE, DETECTORS, GREY, RED, house_style, new_figure, save_figure

_HOUR_NS = 3600 * 10**9


def draw_star_test(result: StarTest, history: LightHistory, site: str, path: Path) -> None:
    """Efficiency of each star against air mass, and the efficiency over the nights, into a file.

    Raises
    ------
    StationError
        The file cannot be written, or has an ending that is not known.
    """
    with house_style():
        figure = new_figure(2.9)
        stars, nights = figure.subplots(1, 2, width_ratios=(3, 2))
        for one in result.stars:
            colour = RED if one.rejected else BLUE
            stars.plot(one.air_mass, 100 * one.efficiency, 'x' if one.rejected else 'o', color=colour)
            name = one.star.name or f'HIP {one.star.hip}'
            stars.annotate(name, (one.air_mass, 100 * one.efficiency), fontsize=6.5, xytext=(3, 3),
                           textcoords='offset points')  # fmt: skip
        stars.axhline(100 * result.stated, color=GREY, linestyle=':', label='stated')
        band = 100 * (result.efficiency - result.sigma), 100 * (result.efficiency + result.sigma)
        stars.axhspan(*band, color=BLUE, alpha=0.2, linewidth=0, label='mean and its error')
        stars.set_ylim(0, max(100 * result.stated * 1.4, band[1] * 1.2))
        stars.set_xlabel('air mass')
        stars.set_ylabel('counted part of the light, %')
        stars.legend(loc='lower left')
        _draw_nights(nights, history, site, 'efficiency', 100.0, 'efficiency, %')
        save_figure(figure, path)


def draw_noise_map(result: NoiseMap, history: LightHistory, site: str, path: Path) -> None:
    """The sky in counts a second, the detectors' shares against elevation, and the noise over the nights."""
    with house_style():
        figure = new_figure(3.2, 9.5)
        grid = figure.add_gridspec(1, 3, width_ratios=(5, 4, 3))
        _draw_sky(figure, grid[0], result)
        shares = figure.add_subplot(grid[1])
        el = np.linspace(result.el_rad[0], result.el_rad[-1], 60)
        ring = [result.at(result.az_rad, np.full(len(result.az_rad), one)).mean(axis=0) for one in el]
        for k, (name, colour) in enumerate(DETECTORS.items()):
            shares.semilogy(np.degrees(el), np.array(ring)[:, k], color=colour, label=name)
            if np.isfinite(result.dark_cps[k]):
                shares.axhline(max(result.dark_cps[k], 0.1), color=colour, linestyle=':', linewidth=0.8)
        shares.set_xlabel('elevation, deg')
        shares.set_ylabel('counts/s of a detector; dotted: dark')
        shares.legend(ncols=2)
        nights = figure.add_subplot(grid[2])
        _draw_nights(nights, history, site, 'noise', 1.0, 'counts/s at the highest elevation')
        save_figure(figure, path)


def _draw_sky(figure: Figure, place: SubplotSpec, result: NoiseMap) -> None:
    axes = figure.add_subplot(place, projection='polar')  # type: ignore[call-overload]
    axes.grid(False)
    az = np.radians(np.arange(0, 361, 5))
    el = np.linspace(result.el_rad[0], result.el_rad[-1], 40)
    whole_az, whole_el = (one.ravel() for one in np.meshgrid(az, el))
    rate = result.at(whole_az, whole_el).sum(axis=1).reshape(len(el), len(az))
    mesh = axes.pcolormesh(az, 90 - np.degrees(el), np.log10(rate), shading='gouraud', cmap='cividis', rasterized=True)
    axes.set_theta_zero_location('N')  # type: ignore[attr-defined]
    axes.set_rlim(0, 90 - np.degrees(el[0]))  # type: ignore[attr-defined]
    axes.set_rticks([30, 60], ['60°', '30°'], fontsize=7)  # type: ignore[attr-defined]
    axes.set_xticks(np.radians(np.arange(0, 360, 90)), ['N', 'E', 'S', 'W'])
    bar = figure.colorbar(mesh, ax=axes, shrink=0.8, pad=0.1)
    ticks = [one for one in (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000) if rate.min() <= one <= rate.max()]
    bar.set_ticks(np.log10(ticks).tolist(), labels=[str(one) for one in ticks])
    bar.set_label('counts/s, four detectors')


def _draw_nights(axes: Axes, history: LightHistory, site: str, kind: str, factor: float, label: str) -> None:
    nights = [one for one in history.nights if (one.site, one.kind) == (site, kind)]
    last_ns = max((parse_utc(one.utc, 'utc') for one in nights), default=0)
    days = [(parse_utc(one.utc, 'utc') - last_ns) / (24 * _HOUR_NS) for one in nights]
    values, errors = [factor * one.value for one in nights], [factor * one.sigma for one in nights]
    axes.errorbar(days, values, errors, fmt='o', color=BLUE, markersize=4)
    axes.set_ylim(0, 1.4 * max(values, default=1.0))
    axes.set_xlim(min(days, default=0.0) - 1, 1)
    axes.set_xlabel('days before the last test')
    axes.set_ylabel(label)
