"""Neighbouring images of one camera as one field, joined by the encoders."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, degrees, pi, radians, sin

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.calibration.plate_solving.detection import StarsSeen
from qkd_gs.calibration.plate_solving.solver import Sighting
from qkd_gs.orbit.vectors import enu_from_azel, horizon_rotation
from qkd_gs.pointing.camera_geometry import CameraGeometry
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.settings.site import Site

_SAME_RAD = 60e-6  # nearer stars of two images are one


@dataclass(frozen=True)
class Exposed:
    """Stars of one image, and where the axes stood in the middle of its exposure."""

    t_ns: int
    enc_az_rad: float
    enc_el_rad: float
    stars: StarsSeen


def sighting_of(
    images: list[Exposed],
    centre: FloatArray,
    model: MountModel,
    camera: CameraGeometry,
    site: Site,
    size_rad: tuple[float, float],
) -> Sighting:
    """Stars of all images in one tangent plane.

    Parameters
    ----------
    centre : ndarray, (3,)
        Celestial direction of the centre by `model`.
    model : MountModel
        What is known of the mount.  By the model the sky turns between the images about another pole than it does:
        with an azimuth that is wrong by 10 deg stars move by 13 urad a second against each other.
    size_rad : (float, float)
        Width and height of the field.
    """
    vectors, brightness = [], []
    for image in images:
        x, y = camera.angles(image.stars.x_px, image.stars.y_px)
        az, el = model.apparent(np.full(len(x), image.enc_az_rad), np.full(len(x), image.enc_el_rad), x, y)
        vectors.append(enu_from_azel(az, el) @ horizon_rotation(site, image.t_ns))
        brightness.append(image.stars.counts)
    x, y = _in_plane(np.concatenate(vectors), centre)
    return _once(Sighting(x, y, np.concatenate(brightness), *size_rad))


def celestial(model: MountModel, site: Site, t_ns: int, enc_az_rad: float, enc_el_rad: float) -> FloatArray:
    """Celestial direction of the line of sight by a model, (3,)."""
    direction: FloatArray = enu_from_azel(*model.apparent(enc_az_rad, enc_el_rad)) @ horizon_rotation(site, t_ns)
    return direction


def ra_dec_deg(direction: FloatArray) -> tuple[float, float]:
    """Right ascension and declination of a celestial direction."""
    return degrees(np.arctan2(direction[1], direction[0])) % 360, degrees(np.arcsin(np.clip(direction[2], -1, 1)))


def direction_of(ra_deg: float, dec_deg: float) -> FloatArray:
    """Celestial direction, (3,)."""
    ra, dec = radians(ra_deg), radians(dec_deg)
    return np.array([cos(dec) * cos(ra), cos(dec) * sin(ra), sin(dec)])


def _in_plane(vectors: FloatArray, centre: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Gnomonic coordinates about a centre, as seen looking at the sky: east is left, north up."""
    east = np.cross([0.0, 0.0, 1.0], centre)
    east /= np.linalg.norm(east)
    depth = vectors @ centre
    return -(vectors @ east) / depth, (vectors @ np.cross(centre, east)) / depth


def _once(sighting: Sighting) -> Sighting:
    """Each star once, where images overlap; the brighter measurement stays."""
    order = np.argsort(-sighting.brightness)
    x, y = sighting.x_rad[order], sighting.y_rad[order]
    apart = np.hypot(x[:, None] - x, y[:, None] - y) > _SAME_RAD
    kept = order[np.all(apart | ~np.tri(len(order), k=-1, dtype=bool), axis=1)]
    return Sighting(
        sighting.x_rad[kept], sighting.y_rad[kept], sighting.brightness[kept], sighting.width_rad, sighting.height_rad
    )


def places(count: int, step_rad: tuple[float, float]) -> list[tuple[float, float]]:
    """Offsets (x, y) of the images of a square mosaic from its centre, row by row, to and fro."""
    across = [k - (count - 1) / 2 for k in range(count)]
    rows = ((y, across if row % 2 == 0 else across[::-1]) for row, y in enumerate(across))
    return [(x * step_rad[0], y * step_rad[1]) for y, row in rows for x in row]


def normal_turn(angle_rad: float) -> float:
    """Angle in (-pi, pi]."""
    return pi - (pi - angle_rad) % (2 * pi)
