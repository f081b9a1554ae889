"""Errors drawn at the start of a session: pointing errors of the mount and errors of the orbit."""

from __future__ import annotations

from math import cos, hypot, pi, radians, remainder, sin

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.jit import njit
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.settings.twin_plant import OrbitTruthSettings, PointingErrorSettings

_ARCSEC = pi / 180 / 3600
_LEAST_COS = 0.02  # closer to the zenith, cross-elevation errors are not scaled up further
_ORBIT_STREAM = 0x0B17  # keeps the orbit's draw apart from the streams that a world spawns from the same seed


def draw_orbit_error(settings: OrbitTruthSettings, seed: int) -> tuple[float, float]:
    """Along-track error (s, positive: ahead of its elements) and cross-track error (m), uniform.

    They go into ``Trajectory.predict(..., along_track_s=..., cross_track_m=...)`` to make the true trajectory.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, _ORBIT_STREAM]))
    time_bias, cross = rng.uniform(-1, 1, 2)
    return float(time_bias * settings.time_bias_s), float(cross * settings.cross_track_m)


class TruePointing:
    """True pointing: a mount model with drawn terms, plus a smooth residual beyond any model.

    Parameters
    ----------
    settings : PointingErrorSettings
        Sizes of the terms; signs and phases are drawn.
    """

    def __init__(self, settings: PointingErrorSettings, rng: np.random.Generator) -> None:
        sign = rng.choice([-1.0, 1.0], 5)
        lean, az_phase, el_phase = rng.uniform(0, 2 * pi, 3)
        tilt, scale = radians(settings.tilt_deg), settings.eccentricity_arcsec * _ARCSEC
        self.model = MountModel(
            IA=sign[0] * radians(settings.zero_azimuth_deg),
            IE=sign[1] * radians(settings.zero_elevation_deg),
            AN=tilt * cos(lean),
            AW=tilt * sin(lean),
            NPAE=sign[2] * settings.nonperpendicularity_arcsec * _ARCSEC,
            CA=sign[3] * settings.collimation_mrad * 1e-3,
            TF=sign[4] * settings.flexure_arcsec * _ARCSEC,
            ACES=scale * cos(az_phase),
            ACEC=scale * sin(az_phase),
            ECES=scale * cos(el_phase),
            ECEC=scale * sin(el_phase),
        )
        self._residual = Residual(settings, rng)

    def line_of_sight(self, enc_az_rad: float, enc_el_rad: float) -> tuple[float, float, float]:
        """Apparent direction (az, el) of the field centre for error-free encoder angles, and roll of the tube, rad.

        Roll: turn of the tube's horizontal against the sky's, counter-clockwise seen against the light.
        """
        az, el, roll = self.model.line_of_sight(enc_az_rad, enc_el_rad)
        x, y = self._residual.at(enc_az_rad, enc_el_rad)
        flat = cos(el)
        flat = max(abs(flat), _LEAST_COS) * (1 if flat >= 0 else -1)
        return az + x / flat, el + y, roll

    def axes_at(self, az_rad: float, el_rad: float) -> tuple[float, float]:
        """Error-free encoder angles that put the field centre on an apparent direction: reverse of `line_of_sight`."""
        enc_az, enc_el = self.model.encoder(az_rad, el_rad)
        for _ in range(3):  # the residual changes by 1e-4 of a step: each pass gains four digits
            seen_az, seen_el, _ = self.line_of_sight(enc_az, enc_el)
            enc_az += remainder(az_rad - seen_az, 2 * pi)
            enc_el += el_rad - seen_el
        return enc_az, enc_el


class Residual:
    """Smooth displacement of the line of sight over the sky that no mount model describes.

    A sum of harmonics of azimuth from the third on, each with its own dependence on elevation; the terms of a
    mount model are of the first and second.
    """

    def __init__(self, settings: PointingErrorSettings, rng: np.random.Generator) -> None:
        self._waves = np.array(
            [
                (axis, order, rng.uniform(0, 2 * pi), pitch, rng.uniform(0, 2 * pi))
                for order in range(3, settings.residual_order + 1)
                for pitch in (2, 3)
                for axis in (0, 1)
            ]
        ).reshape(-1, 5)
        weights = rng.standard_normal(len(self._waves))
        az, el = (grid.ravel() for grid in np.meshgrid(np.linspace(0, 2 * pi, 72), np.radians(np.arange(5, 90, 5))))
        area = np.cos(el)
        self._weights: FloatArray = weights
        x, y = np.array([self.at(float(a), float(e)) for a, e in zip(az, el, strict=True)]).T
        rms = np.sqrt(np.average(x**2 + y**2, weights=area))
        self._weights = weights * settings.residual_urad * 1e-6 / rms

    def at(self, az_rad: float, el_rad: float) -> tuple[float, float]:
        """Displacement in cross-elevation and elevation, rad."""
        x, y = _sum(self._weights, self._waves, az_rad, el_rad)
        return x, y


@njit(cache=True)
def _sum(weights, waves, az, el):  # type: ignore[no-untyped-def]
    """Waves are rows of axis (0 or 1), order and phase in azimuth, order and phase in elevation."""
    x, y = 0.0, 0.0
    for i in range(len(waves)):
        wave = weights[i] * cos(waves[i, 1] * az + waves[i, 2]) * cos(waves[i, 3] * el + waves[i, 4])
        if waves[i, 0] == 0:
            x += wave
        else:
            y += wave
    return x, y


def within_disc(radius: float, rng: np.random.Generator) -> tuple[float, float]:
    """A point drawn uniformly from a disc."""
    while True:
        x, y = rng.uniform(-radius, radius, 2)
        if hypot(x, y) <= radius:
            return float(x), float(y)
