"""From identified strips to the zero points of the mount, and to what is wrong with its encoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import degrees, pi, radians, remainder

from qkd_gs.calibration.finding.strip import Tile
from qkd_gs.calibration.plate_solving.solver import PlateSolution
from qkd_gs.calibration.stars import Star, star_azel
from qkd_gs.errors import StationError
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.settings.site import Site

_AGREE_RAD = radians(2.0)  # two fields differ by less: tilt and flexure of a mount set up by hand
_ZENITH_RAD = radians(12.0)  # zero point that a zenith distance may have
_NEAR_RAD = radians(15.0)  # beyond it the compass was misread


@dataclass(frozen=True)
class Field:
    """An identified strip."""

    place: tuple[float, float]  # azimuth and elevation that were asked for
    sense: tuple[int, int]  # in which the axes followed the sky
    az_rad: float  # apparent direction of the line of sight at the strip's middle image,
    el_rad: float
    enc_az_rad: float  # and its encoder angles
    enc_el_rad: float
    stars: int


@dataclass(frozen=True)
class Found:
    """Orientation found."""

    model: MountModel  # zero points, good to the mount's tilt
    direction: tuple[float, float]  # where they hold: azimuth, elevation
    summary: str


def locate(solution: PlateSolution, tile: Tile, site: Site) -> Field:
    """Apparent direction of the line of sight of an identified strip's middle image."""
    star = Star(0, '', solution.ra_deg % 360, solution.dec_deg, 0.0, 0.0, 0.0, 0.0)
    az, el = (float(angle[0]) for angle in star_azel([star], site, tile.t_ns))
    return Field(tile.place, tile.sense, az, el, tile.enc_az_rad, tile.enc_el_rad, solution.matches)


def conclusion(fields: Sequence[Field], compass: MountModel) -> Found:
    """Zero points from two fields at different azimuths.

    Raises
    ------
    StationError
        An encoder that counts backwards, a zenith distance, or fields that contradict each other.
    """
    one, two = fields
    rise, lift = two.el_rad - one.el_rad, two.enc_el_rad - one.enc_el_rad
    if abs(lift - rise) > _AGREE_RAD:
        if abs(lift + rise) > _AGREE_RAD:
            raise StationError(
                f'the elevation encoder moved by {degrees(lift):.1f} deg, and the line of sight by {degrees(rise):.1f}',
                hint='the encoder slips, or its scale is wrong',
            )
        if abs(one.enc_el_rad + one.el_rad - pi / 2) < _ZENITH_RAD:
            raise StationError(
                'the elevation encoder gives a zenith distance',
                hint='the driver must give 90 deg minus it: elevation runs from the horizon up',
            )
        raise StationError(
            'the elevation encoder counts backwards',
            hint='reverse it in the driver: elevation runs from the horizon up',
        )
    turned, moved = two.az_rad - one.az_rad, two.enc_az_rad - one.enc_az_rad
    if abs(remainder(moved - turned, 2 * pi)) > _AGREE_RAD:
        if abs(remainder(moved + turned, 2 * pi)) < _AGREE_RAD:
            raise StationError(
                'the azimuth encoder counts backwards',
                hint='reverse it in the driver: azimuth runs from north through east',
            )
        raise StationError(
            f'the azimuth encoder moved by {degrees(moved):.1f} deg, and the line of sight by {degrees(turned):.1f}',
            hint='the encoder slips, or its scale is wrong',
        )
    ia, ie = remainder(one.enc_az_rad - one.az_rad, 2 * pi), one.enc_el_rad - one.el_rad
    off_deg = degrees(remainder(ia - compass['IA'], 2 * pi))
    said = f'the telescope has found itself on {one.stars} and {two.stars} stars: azimuth zero {degrees(ia):.2f} deg, '
    said += f'elevation zero {degrees(ie):.2f} deg'
    if abs(off_deg) > degrees(_NEAR_RAD):
        said += f'; the compass was misread by {off_deg:.0f} deg'
    return Found(MountModel(IA=ia, IE=ie), (one.az_rad, one.el_rad), said)
