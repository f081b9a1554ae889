"""Passes over a site, and the apparent direction of the satellite through one of them."""

from __future__ import annotations

from collections.abc import Sequence

from qkd_gs.api.arguments import UtcTime, site_of, utc_ns
from qkd_gs.errors import StationError
from qkd_gs.forecast import forecast
from qkd_gs.forecast.forecast import Forecast
from qkd_gs.orbit import passes as orbit_passes
from qkd_gs.orbit.elements import Elements
from qkd_gs.orbit.passes import Limits, Pass
from qkd_gs.orbit.propagate import Orbit
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.settings.downlink import load_downlink
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path


def find_passes(
    elements: Elements | Orbit,
    site: Site | str,
    start: UtcTime,
    end: UtcTime,
    min_elevation_deg: float | Sequence[float] = 5.0,
    limits: Limits | None = None,
    force: bool = False,
    in_progress: bool = False,
    processes: int | None = 1,
) -> list[Pass]:
    """Passes that culminate from `start` to `end`, in the order of culmination.

    Parameters
    ----------
    elements : Elements or Orbit
        From `load_elements`; of several element sets each is used for the times nearest to it.
    site : Site or str
        A site, the name of one in ``config/sites``, or ``'LAT_DEG,LON_DEG,ALT_M'``.
    start, end : int, str or datetime
        UTC: ns since the Unix epoch, ISO 8601 text, or a `datetime` with a time zone; the end is excluded.
    min_elevation_deg : float or sequence of float
        Geometric elevation (without refraction) at rise and set; of several the lowest, the others in `Pass.above`.
    limits : Limits, optional
        Limits of a usable pass: elevation of the Sun, culmination, angle to the Sun.
    force : bool
        Use elements more than 60 days away.
    in_progress : bool
        List passes under way at the start that have culminated, too.
    processes : int, optional
        Divide the satellites among at most so many; None: as many as there are processors, for a search that takes
        seconds.  The passes are the same.  A program with threads of its own stays one process.

    Returns
    -------
    list of Pass
        Times are UTC ns since the Unix epoch; `Pass.to_dict` gives them as text.

    Raises
    ------
    StationError
        End not after start, elements too old, or an unknown site.

    Examples
    --------
    >>> import qkd_gs
    >>> micius = qkd_gs.load_elements('config/elements/micius.tle')
    >>> found = qkd_gs.find_passes(micius, 'Shanghai', '2018-10-03', '2018-10-04')
    >>> for one in found:
    ...     print(qkd_gs.format_utc(one.culmination_ns, 0), f'{one.max_elevation_deg:.1f} deg', one.usable)
    2018-10-03T02:50:21Z 24.4 deg False
    2018-10-03T04:23:54Z 13.1 deg False
    2018-10-03T15:56:42Z 72.0 deg True
    """
    span = utc_ns(start, 'start'), utc_ns(end, 'end')
    where = site_of(site)
    return orbit_passes.find_passes(elements, where, *span, min_elevation_deg, limits, force, in_progress, processes)


def forecast_pass(
    found: Pass, site: Site | str, station: StationSettings | None = None, window_s: float | None = None
) -> Forecast | None:
    """Expected sifted bits, error rate and secret key of a pass, each with the limits that one pass in ten exceeds.

    Parameters
    ----------
    found : Pass
        From `find_passes`.
    site : Site or str
        As in `find_passes`; its altitude, visibility, aerosol, humidity and city light count.
    station : StationSettings, optional
        ``config/station.yaml`` if not given.
    window_s : float, optional
        Width of a window about culmination, s; the pass above ``tracking.data_el_deg`` if not given.

    Returns
    -------
    Forecast or None
        None if the satellite stays below that elevation.

    Examples
    --------
    >>> import qkd_gs
    >>> micius = qkd_gs.load_elements('config/elements/micius.tle')
    >>> one = qkd_gs.find_passes(micius, 'Shanghai', '2018-10-03T12:00Z', '2018-10-04')[0]
    >>> forecast = qkd_gs.forecast_pass(one, 'Shanghai')
    >>> forecast.sifted_bits.low < 636_000 < forecast.sifted_bits.high
    True
    """
    settings = station or load_yaml(share_path('config', 'station.yaml'), StationSettings)
    return forecast.forecast_pass(found, site_of(site), settings, load_downlink(), window_s)


def trajectory(
    source: Pass | Elements | Orbit,
    site: Site | str,
    start: UtcTime | None = None,
    end: UtcTime | None = None,
    *,
    along_track_s: float = 0.0,
    cross_track_m: float = 0.0,
    force: bool = False,
) -> Trajectory:
    """Apparent direction, range and polarization angle of a satellite over a time span of up to a few hours.

    Parameters
    ----------
    source : Pass, Elements or Orbit
        A pass from `find_passes`, or elements of one satellite; of several sets the one nearest to the middle.
    site : Site or str
        As in `find_passes`.
    start, end : int, str or datetime, optional
        UTC as in `find_passes`; for a pass its rise and its set if not given.
    along_track_s : float
        Positive: the satellite runs ahead of its elements by so many seconds.
    cross_track_m : float
        Offset along the orbit normal r x v.
    force : bool
        Use elements more than 60 days away.

    Returns
    -------
    Trajectory
        ``at(t_ns)`` and, for int64 arrays (n,), ``table(t_ns)`` give a `TargetState`: angles in rad (light-time,
        diurnal aberration and refraction at 532 nm included), rates in rad/s, range in m.

    Raises
    ------
    StationError
        Start or end missing, end not after start, several satellites, or elements too old.

    Examples
    --------
    >>> import numpy as np, qkd_gs
    >>> micius = qkd_gs.load_elements('config/elements/micius.tle')
    >>> one = qkd_gs.find_passes(micius, 'Shanghai', '2018-10-03T12:00Z', '2018-10-04')[0]
    >>> path = qkd_gs.trajectory(one, 'Shanghai')
    >>> t_ns = np.arange(path.start_ns, path.end_ns, 60 * 10**9)
    >>> np.degrees(path.table(t_ns).el_rad).round(1)
    array([ 5.2, 10.7, 18.7, 32.4, 58.9, 61.7, 33.9, 19.5, 11.2,  5.5])
    """
    site = site_of(site)
    if isinstance(source, Pass):
        start_ns = source.rise_ns if start is None else utc_ns(start, 'start')
        end_ns = source.set_ns if end is None else utc_ns(end, 'end')
        orbit = source.orbit
    elif start is None or end is None:
        raise StationError('elements have no time span of their own', where='trajectory', hint='give start and end')
    else:
        start_ns, end_ns = utc_ns(start, 'start'), utc_ns(end, 'end')
        orbit = source.nearest((start_ns + end_ns) // 2, force) if isinstance(source, Elements) else source
    return Trajectory.predict(orbit, site, start_ns, end_ns, cross_track_m=cross_track_m, along_track_s=along_track_s)
