"""One pass of a satellite over a site, and the limits within which the station can use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from qkd_gs.orbit.propagate import Orbit
from qkd_gs.orbit.timescale import format_utc


@dataclass(frozen=True)
class Limits:
    """Limits for a usable pass."""

    sun_elevation_deg: float = -6.0  # civil twilight: above it the sky's light drowns the single photons
    culmination_deg: float = 20.0  # below it no key is made at all
    sun_separation_deg: float = 15.0  # of the line of sight from the Sun while it is up: stray light, and danger


class Pass(NamedTuple):
    """One pass; elevations are geometric (no refraction, no light-time), as catalogues of passes give them."""

    satellite: str
    rise_ns: int  # UTC; where the search begins if the satellite is up then
    culmination_ns: int
    set_ns: int
    max_elevation_deg: float
    min_range_km: float
    sun_elevation_deg: float  # geometric, at culmination
    satellite_sunlit: bool  # at culmination
    orbit: Orbit
    rise_az_deg: float
    culmination_az_deg: float
    set_az_deg: float
    sun_separation_deg: float  # smallest angle of the line of sight to the Sun while it is up; 180: it is not
    moon_separation_deg: float  # the same to the Moon
    moon_elevation_deg: float  # geometric, at culmination
    limits: Limits
    remarks: tuple[str, ...] = ()  # how the pass is cut, or hidden by the site's horizon
    above: tuple[tuple[float, int, int], ...] = ()  # (elevation deg, UTC rise, UTC set) for further elevations

    @property
    def reasons(self) -> tuple[str, ...]:
        """Reason why it cannot be used; empty if it can."""
        reasons = []
        limits = self.limits
        if self.sun_elevation_deg > limits.sun_elevation_deg:
            reasons.append(f'Sun at {self.sun_elevation_deg:.1f} deg, above {limits.sun_elevation_deg:g}')
        if self.max_elevation_deg < limits.culmination_deg:
            reasons.append(f'culminates at {self.max_elevation_deg:.1f} deg, below {limits.culmination_deg:g}')
        if self.sun_separation_deg < limits.sun_separation_deg:
            off_deg = self.sun_separation_deg
            reasons.append(f'passes {off_deg:.0f} deg from the Sun, within {limits.sun_separation_deg:g}')
        return (*reasons, *self.remarks)

    @property
    def usable(self) -> bool:
        """Whether there are no reasons against it."""
        return not self.reasons

    def to_dict(self) -> dict[str, Any]:
        """The pass for JSON: times as ISO 8601 UTC with milliseconds."""
        return {
            'satellite': self.satellite,
            'rise': format_utc(self.rise_ns),
            'culmination': format_utc(self.culmination_ns),
            'set': format_utc(self.set_ns),
            'max_elevation_deg': round(self.max_elevation_deg, 4),
            'min_range_km': round(self.min_range_km, 3),
            'sun_elevation_deg': round(self.sun_elevation_deg, 3),
            'satellite_sunlit': self.satellite_sunlit,
            'usable': self.usable,
            'reasons': list(self.reasons),
            'rise_az_deg': round(self.rise_az_deg, 4),
            'culmination_az_deg': round(self.culmination_az_deg, 4),
            'set_az_deg': round(self.set_az_deg, 4),
            'sun_separation_deg': round(self.sun_separation_deg, 3) if self.sun_separation_deg < 180 else None,
            'moon_separation_deg': round(self.moon_separation_deg, 3) if self.moon_separation_deg < 180 else None,
            'moon_elevation_deg': round(self.moon_elevation_deg, 3),
            'above': [
                {'elevation_deg': el, 'rise': format_utc(rise), 'set': format_utc(set_)}
                for el, rise, set_ in self.above
            ],
        }
