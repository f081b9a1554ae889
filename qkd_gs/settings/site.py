"""Site of a station: a name in config/sites, a file of one's own, or coordinates on the command line."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from qkd_gs.errors import StationError
from qkd_gs.settings.coordinates import parse_angle, parse_place
from qkd_gs.settings.loader import Section, load_yaml, reason
from qkd_gs.share import share_path

_EARTH_M = 6_371_000.0
_WEATHER = 0.2  # largest part by which the air pressure differs from the standard atmosphere's
_OTHER_UNITS = {'inches of mercury': 33.8639, 'mm of mercury': 1.33322, 'kPa': 10.0, 'Pa': 0.01, 'atmospheres': 1013.25}


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
    aerosol: Literal['continental', 'maritime'] = Field(
        default='continental', description='class of the air: its extinction thins out with altitude within 1.2 or 1 km'
    )
    visibility_km: float = Field(
        default=23.0, gt=0, le=300, description='of a night on which a pass is tried; 23: clear (visibility code)'
    )
    horizon: tuple[tuple[float, float], ...] = Field(
        default=(), description='azimuth and elevation (deg) of what hides the sky; straight between, all around'
    )
    time_zone: str = Field(default='UTC', description='of local times, e.g. Asia/Shanghai')

    @field_validator('horizon')
    @classmethod
    def _possible_horizon(cls, value: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        for az_deg, el_deg in value:
            if not (0 <= az_deg <= 360 and -5 <= el_deg <= 90):
                raise ValueError(f'azimuth {az_deg:g}, elevation {el_deg:g} is not from 0 to 360 and -5 to 90 deg')
        return value

    @field_validator('time_zone')
    @classmethod
    def _known_time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f'{value!r} is not a time zone such as Asia/Shanghai') from error
        return value

    @field_validator('latitude_deg', 'longitude_deg', mode='before')
    @classmethod
    def _angle(cls, value: Any, info: ValidationInfo) -> Any:
        """Degrees, minutes and seconds, or letters, as text in quotes."""
        return parse_angle(value, str(info.field_name).removesuffix('_deg')) if isinstance(value, str) else value

    @field_validator('pressure_mbar')
    @classmethod
    def _plausible_pressure(cls, value: float | None, info: ValidationInfo) -> float | None:
        altitude_m = info.data.get('altitude_m')
        if value is None or altitude_m is None:
            return value
        standard_mbar = standard_pressure_pa(altitude_m) / 100
        if abs(value / standard_mbar - 1) <= _WEATHER:
            return value
        meant = [unit for unit, mbar in _OTHER_UNITS.items() if abs(value * mbar / standard_mbar - 1) <= _WEATHER]
        if not meant and abs(value * 100 / standard_pressure_pa(0) - 1) <= _WEATHER:
            meant = ['reduced to sea level']
        raise ValueError(
            f'{value:g} mbar is no air pressure at {altitude_m:g} m, where it is about {standard_mbar:.0f}'
            + (f'; is it {meant[0]}?' if meant else '')
        )

    def distance_m(self, latitude_deg: float, longitude_deg: float) -> float:
        """Distance of another place along a sphere as large as the Earth, m; good to 0.6 %."""
        north, east = radians(latitude_deg - self.latitude_deg), radians(longitude_deg - self.longitude_deg)
        across = cos(radians(latitude_deg)) * cos(radians(self.latitude_deg)) * sin(east / 2) ** 2
        return 2 * _EARTH_M * asin(min(sqrt(sin(north / 2) ** 2 + across), 1.0))


def standard_pressure_pa(altitude_m: float) -> float:
    """Pressure of the ICAO standard atmosphere below 11 km."""
    return float(101325 * (1 - 2.25577e-5 * altitude_m) ** 5.25588)


def site_names() -> list[str]:
    """Names of the sites that come with the package."""
    return sorted(path.stem for path in share_path('config', 'sites').glob('*.yaml'))


def load_site(text: str) -> Site:
    """Site from a name (any case), a YAML file, or ``LAT_DEG,LON_DEG,ALT_M``.

    A text that ends in ``.yaml`` or ``.yml`` is a file, in the form of those in ``config/sites``.  Coordinates may be
    decimal, or degrees, minutes and seconds, with a sign or one of the letters N, S, E and W.

    Raises
    ------
    StationError
        Unknown name, a file that cannot be used, or numbers out of range.

    Examples
    --------
    >>> import qkd_gs
    >>> qkd_gs.load_site('Shanghai').altitude_m
    25.0
    >>> qkd_gs.load_site('31.2,121.5,10').latitude_deg
    31.2
    >>> round(qkd_gs.load_site('33 52 07.7 S, 151 12 33.5 E, 58 m').latitude_deg, 4)
    -33.8688
    """
    if Path(text).suffix.lower() in ('.yaml', '.yml'):
        return load_yaml(text, Site)
    if ',' in text:
        return _from_coordinates(text)
    known = site_names()
    if text.lower() not in known:
        raise StationError(
            f'unknown site {text!r}',
            where='--site',
            hint=f'one of {", ".join(known)}, a .yaml file, or LAT_DEG,LON_DEG,ALT_M',
        )
    return load_yaml(share_path('config', 'sites', f'{text.lower()}.yaml'), Site)


def _from_coordinates(text: str) -> Site:
    try:
        latitude_deg, longitude_deg, altitude_m = parse_place(text)
        return Site(name=text, latitude_deg=latitude_deg, longitude_deg=longitude_deg, altitude_m=altitude_m)
    except ValidationError as error:
        raise StationError(reason(error), where='--site') from error
    except ValueError as error:
        raise StationError(str(error), where='--site', hint='LAT_DEG,LON_DEG,ALT_M') from error
