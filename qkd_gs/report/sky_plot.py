"""Picture of passes on the sky of a site: zenith in the middle, north up, east to the left as one looks up."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from qkd_gs.orbit.horizon import horizon_rad
from qkd_gs.orbit.passes import Pass
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.orbit.vectors import azel_from_enu, enu_rotation, site_itrs_m
from qkd_gs.report.style import save_figure
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import MountSettings, StationSettings
from qkd_gs.share import share_path

_SAMPLES = 200
_NAMED = 12  # passes with a line in the legend


def draw_sky(passes: Sequence[Pass], site: Site, min_elevation_deg: float, path: str | Path) -> None:
    """Draw passes, the site's horizon and the limits of the mount into a file; its ending chooses the format.

    Raises
    ------
    StationError
        The file cannot be written, or has an ending that is not known.
    """
    save_figure(sky_figure(passes, site, min_elevation_deg), path)


def sky_figure(passes: Sequence[Pass], site: Site, min_elevation_deg: float) -> Figure:
    """The picture: radius is the angle from the zenith."""
    figure = Figure(figsize=(8, 7), layout='constrained')
    axes = figure.add_subplot(projection='polar')
    axes.set_theta_zero_location('N')  # type: ignore[attr-defined]
    axes.set_rlim(0, 90)  # type: ignore[attr-defined]
    axes.set_rticks([0, 30, 60, 90], ['90°', '60°', '30°', '0°'])  # type: ignore[attr-defined]
    axes.set_xticks(np.radians(np.arange(0, 360, 45)), ['N', 'NE', 'E', 'SE', 'S', 'SW', 'W', 'NW'])
    _draw_limits(axes, site, min_elevation_deg, load_yaml(share_path('config', 'station.yaml'), StationSettings).mount)
    for k, one in enumerate(passes):
        t_ns = np.linspace(one.rise_ns, one.set_ns, _SAMPLES).astype(np.int64)
        enu = (one.orbit.itrs_m(t_ns) - site_itrs_m(site)) @ enu_rotation(site).T
        az, el = azel_from_enu(enu)
        label = f'{one.satellite}  {format_utc(one.culmination_ns, 0)}  {one.max_elevation_deg:.0f}°'
        style = '-' if one.usable else ':'
        (line,) = axes.plot(az, 90 - np.degrees(el), style, label=label if k < _NAMED else None)
        axes.plot(az[0], 90 - np.degrees(el[0]), 'o', color=line.get_color(), markersize=4)
        if k < _NAMED:
            middle = _SAMPLES // 2
            axes.annotate(f'{k + 1}', (az[middle], 90 - np.degrees(el[middle])), color=line.get_color())
    axes.set_title(f'Passes over {site.name} (dot: rise; dotted: not usable)')
    axes.legend(loc='upper left', bbox_to_anchor=(1.02, 1.0), fontsize='small', title='culmination, UTC')
    return figure


def _draw_limits(axes: object, site: Site, min_elevation_deg: float, mount: MountSettings) -> None:
    """Shade what the site's horizon and the mount's elevation limits shut out; a ring at the smallest elevation."""
    az = np.linspace(0, 2 * pi, 721)
    full = np.full_like(az, 90.0)
    axes.plot(az, np.full_like(az, 90 - min_elevation_deg), '--', color='0.6', linewidth=0.8)  # type: ignore[attr-defined]
    if site.horizon:
        edge = 90 - np.degrees(horizon_rad(site, az))
        axes.fill_between(az, edge, full, color='0.8', label='horizon of the site')  # type: ignore[attr-defined]
    if mount.elevation.min_deg > 0:
        low = np.full_like(az, 90 - mount.elevation.min_deg)
        axes.fill_between(az, low, full, color='tab:red', alpha=0.2, label='below the mount')  # type: ignore[attr-defined]
    if mount.elevation.max_deg < 90:
        high = np.full_like(az, 90 - mount.elevation.max_deg)
        axes.fill_between(az, 0 * az, high, color='tab:red', alpha=0.2, label='above the mount')  # type: ignore[attr-defined]
