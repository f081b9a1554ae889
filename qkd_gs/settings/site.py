"""Site of a station: config/sites/NAME.yaml, or LAT_DEG,LON_DEG,ALT_M on the command line."""

from __future__ import annotations

from pydantic import Field, ValidationError

from qkd_gs.errors import StationError
from qkd_gs.settings.loader import Section, load_yaml, reason
from qkd_gs.share import share_path


class Site(Section):
    """Position of the station, its atmosphere and sky."""

    name: str
    latitude_deg: float = Field(ge=-90, le=90, description='WGS-84 geodetic latitude, north positive')
    longitude_deg: float = Field(ge=-180, le=180, description='east positive')
    altitude_m: float = Field(ge=-500, le=9000, description='above the ellipsoid')
    pressure_mbar: float | None = Field(
        default=None, gt=0, le=1100, description='air pressure; not given: standard atmosphere at the altitude'
    )
    temperature_c: float = Field(default=15.0, ge=-60, le=60, description='air temperature')
    glow_cps: float = Field(
        default=0.0,
        ge=0,
        le=1e6,
        description='noise from city light at low elevation, four detectors together',
    )
    humidity: float = Field(default=0.5, ge=0, le=1, description='relative humidity')


def site_names() -> list[str]:
    """Names of the sites that come with the package."""
    return sorted(path.stem for path in share_path('config', 'sites').glob('*.yaml'))


def load_site(text: str) -> Site:
    """Site from a name (any case) or from ``LAT_DEG,LON_DEG,ALT_M``.

    Raises
    ------
    StationError
        Unknown name, or numbers out of range.

    Examples
    --------
    >>> import qkd_gs
    >>> qkd_gs.load_site('Shanghai').altitude_m
    25.0
    >>> qkd_gs.load_site('31.2,121.5,10').latitude_deg
    31.2
    """
    if ',' in text:
        return _from_coordinates(text)
    known = site_names()
    if text.lower() not in known:
        raise StationError(
            f'unknown site {text!r}', where='--site', hint=f'one of {", ".join(known)}, or LAT_DEG,LON_DEG,ALT_M'
        )
    return load_yaml(share_path('config', 'sites', f'{text.lower()}.yaml'), Site)


def _from_coordinates(text: str) -> Site:
    parts = text.split(',')
    try:
        latitude_deg, longitude_deg, altitude_m = (float(part) for part in parts)
        return Site(name=text, latitude_deg=latitude_deg, longitude_deg=longitude_deg, altitude_m=altitude_m)
    except ValidationError as error:
        raise StationError(reason(error), where='--site') from error
    except ValueError as error:
        raise StationError(f'{text!r} is not LAT_DEG,LON_DEG,ALT_M', where='--site') from error
