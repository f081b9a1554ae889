"""What the four detectors of the twin count without the satellite: a star in the field, the sky, and the dark."""

from __future__ import annotations

from dataclasses import replace
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


class LightMeter:
    """Counts in bins of a second, from the true state of the world.

    Parameters
    ----------
    closed : bool
        Shutter or cover closed: only the detectors' own counts.
    """

    def __init__(self, settings: PhotonicsSettings, site: Site, seed: int, start_ns: int, closed: bool = False) -> None:
        self._settings, self._site, self._closed = settings, site, closed
        self._rng = np.random.default_rng(np.random.SeedSequence([seed, _STREAM, start_ns % 2**32]))
        drawn = np.random.default_rng(np.random.SeedSequence([seed, _STREAM]))
        stars = [replace(star, mag=star.i_mag + _MAGNITUDE * drawn.standard_normal()) for star in load_stars()]
        self._stars = NamedStars(site, start_ns, stars)
        self._zenith_loss_db = zenith_loss_db(site)
        self._relative = np.array([settings.spads.relative_efficiency[channel.name] for channel in QUANTUM])
        self._mean, self._begin_ns, self._last_ns = np.zeros(4), start_ns, start_ns

    def observe(self, now_ns: int, interval: Interval) -> list[LightBin]:
        """The state of the world up to `now_ns`; bins that are full."""
        self._mean += self._rates(interval) * (now_ns - self._last_ns) * 1e-9
        self._last_ns = now_ns
        if now_ns - self._begin_ns < _BIN_NS:
            return []
        seconds = (now_ns - self._begin_ns) * 1e-9
        alive = 1 / (1 + self._mean / seconds * self._settings.spads.dead_time_ns * 1e-9)
        drawn: list[int] = self._rng.poisson(self._mean * alive).tolist()
        full = LightBin(self._begin_ns, now_ns, (drawn[0], drawn[1], drawn[2], drawn[3]))
        self._mean, self._begin_ns = np.zeros(4), now_ns
        return [full]

    def _rates(self, interval: Interval) -> FloatArray:
        """Counts a second of the four detectors, without dead time."""
        dark = np.full(4, self._settings.noise.dark_cps / 4)
        if self._closed or not len(interval.t_ns):
            return dark
        last = slice(len(interval.t_ns) - 1, len(interval.t_ns))
        az, el = interval.az_rad[last], interval.el_rad[last]
        sky = background_rate(
            self._settings.noise, self._settings.link, self._site, interval.t_ns[last], az, el, np.array([_FAR_M])
        ).item()
        return np.asarray(np.full(4, sky / 4) + self._star_cps(interval) / 4 * self._relative)

    def _star_cps(self, interval: Interval) -> float:
        """Clicks a second of the light of stars in the field."""
        link = self._settings.link
        t_ns, az, el = int(interval.t_ns[-1]), float(interval.az_rad[-1]), float(interval.el_rad[-1])
        near = self._stars.near(t_ns, az, el, _NEAR_RAD, inf)
        if not len(near.az_rad):
            return 0.0
        x, y = offset_between(np.array(az), np.array(el), near.az_rad, near.el_rad)
        y = y - dispersion_rad(el, self._site)  # 850 nm arrives lower than 532 nm
        off = np.hypot(x + interval.tilt_x_rad[-1], y + interval.tilt_y_rad[-1])
        inside = [0.5 * erfc((one * 1e6 - link.field_urad / 2) / link.image_sigma_urad / sqrt(2)) for one in off]
        air = 10 ** (-0.1 * self._zenith_loss_db * float(air_mass(el))) * float(interval.fade[-1])
        return float(np.sum(star_rate(link, near.magnitude) * inside)) * air * link.system_efficiency
