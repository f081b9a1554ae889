"""Counts of the four detectors of the twin without the satellite: a star in the field, the sky, and the dark."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import erfc, inf, sqrt

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.calibration.light.survey import LightBin
from qkd_gs.calibration.stars import load_stars
from qkd_gs.downlink.background import background_rate
from qkd_gs.downlink.budget import air_mass
from qkd_gs.downlink.extinction import zenith_loss_db
from qkd_gs.downlink.starlight import star_rate
from qkd_gs.orbit.refraction import dispersion_rad
from qkd_gs.pointing.sky_offsets import offset_between
from qkd_gs.settings.site import Site
from qkd_gs.settings.twin_photonics import PhotonicsSettings
from qkd_gs.sim.imaging.catalogue_stars import NamedStars
from qkd_gs.sim.physics.plant import Interval
from qkd_gs.timing.tags import QUANTUM

_STREAM = 0x57A2
_MAGNITUDE = 0.05  # error of a star's I magnitude in the catalogue
_NEAR_RAD = 1e-3
_BIN_NS = 10**9
_FAR_M = 1e9  # of a satellite that is not there


@dataclass(frozen=True)
class View:
    """True view of the telescope at one time: its direction, and what it looks through."""

    t_ns: int
    az_rad: float
    el_rad: float
    tilt_x_rad: float  # apparent minus undisturbed direction of the light
    tilt_y_rad: float
    fade: float  # transmission of clouds, 1 = clear


class LightRates:
    """Counts a second of the four detectors.

    Parameters
    ----------
    closed : bool
        Shutter or cover closed: only the detectors' own counts.
    """

    def __init__(self, settings: PhotonicsSettings, site: Site, seed: int, start_ns: int, closed: bool = False) -> None:
        self._settings, self._site, self._closed = settings, site, closed
        drawn = np.random.default_rng(np.random.SeedSequence([seed, _STREAM]))
        stars = [replace(star, mag=star.i_mag + _MAGNITUDE * drawn.standard_normal()) for star in load_stars()]
        self._stars = NamedStars(site, start_ns, stars)
        self._zenith_loss_db = zenith_loss_db(site)
        self._relative = np.array([settings.spads.relative_efficiency[channel.name] for channel in QUANTUM])

    def at(self, view: View | None) -> FloatArray:
        """Rates towards a direction, without dead time; None: nothing is known, so those of the dark."""
        dark = np.full(4, self._settings.noise.dark_cps / 4)
        if self._closed or view is None:
            return dark
        t_ns, az, el = np.array([view.t_ns]), np.array([view.az_rad]), np.array([view.el_rad])
        noise, link = self._settings.noise, self._settings.link
        sky = background_rate(noise, link, self._site, t_ns, az, el, np.array([_FAR_M])).item()
        return np.asarray(np.full(4, sky / 4) + self._star_cps(view) / 4 * self._relative)

    def _star_cps(self, view: View) -> float:
        """Clicks a second of the light of stars in the field."""
        link, az, el = self._settings.link, view.az_rad, view.el_rad
        near = self._stars.near(view.t_ns, az, el, _NEAR_RAD, inf)
        if not len(near.az_rad):
            return 0.0
        x, y = offset_between(np.array(az), np.array(el), near.az_rad, near.el_rad)
        y = y - dispersion_rad(el, self._site)  # 850 nm arrives lower than 532 nm
        off = np.hypot(x + view.tilt_x_rad, y + view.tilt_y_rad)
        inside = [0.5 * erfc((one * 1e6 - link.field_urad / 2) / link.image_sigma_urad / sqrt(2)) for one in off]
        air = 10 ** (-0.1 * self._zenith_loss_db * float(air_mass(el))) * view.fade
        return float(np.sum(star_rate(link, near.magnitude) * inside)) * air * link.system_efficiency


class LightMeter:
    """Counts in bins of a second, from the true state of the world; parameters as of `LightRates`."""

    def __init__(self, settings: PhotonicsSettings, site: Site, seed: int, start_ns: int, closed: bool = False) -> None:
        self._rates, self._dead_s = LightRates(settings, site, seed, start_ns, closed), dead_time_s(settings)
        self._rng = np.random.default_rng(np.random.SeedSequence([seed, _STREAM, start_ns % 2**32]))
        self._mean, self._begin_ns, self._last_ns = np.zeros(4), start_ns, start_ns

    def observe(self, now_ns: int, interval: Interval) -> list[LightBin]:
        """The state of the world up to `now_ns`; bins that are full."""
        self._mean += self._rates.at(_last(interval)) * (now_ns - self._last_ns) * 1e-9
        self._last_ns = now_ns
        if now_ns - self._begin_ns < _BIN_NS:
            return []
        seconds = (now_ns - self._begin_ns) * 1e-9
        alive = 1 / (1 + self._mean / seconds * self._dead_s)
        drawn: list[int] = self._rng.poisson(self._mean * alive).tolist()
        full = LightBin(self._begin_ns, now_ns, (drawn[0], drawn[1], drawn[2], drawn[3]))
        self._mean, self._begin_ns = np.zeros(4), now_ns
        return [full]


def dead_time_s(settings: PhotonicsSettings) -> float:
    """Of a single-photon detector."""
    return settings.spads.dead_time_ns * 1e-9


def _last(interval: Interval) -> View | None:
    if not len(interval.t_ns):
        return None
    names = ('az_rad', 'el_rad', 'tilt_x_rad', 'tilt_y_rad', 'fade')
    return View(int(interval.t_ns[-1]), *(float(getattr(interval, name)[-1]) for name in names))
