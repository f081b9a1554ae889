"""Limits of our beacon in direction and time: keep-out sectors, permitted times, and both along a whole pass."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import asin, copysign, cos, degrees, pi, radians, sin
from zoneinfo import ZoneInfo

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.settings.laser_safety import KeepOutSector, LaserSafetySettings, daily_span, single_span

# beginnings of the codes of what does not depend on the direction of the beam or on the hour
STANDING = (
    'laser.times_undecided', 'laser.keep_out_undecided', 'laser.aircraft_unknown', 'laser.aircraft_quiet',
    'weather.', 'dome.unknown',
)  # fmt: skip
_S = 10**9
_TURN = 2 * pi


@dataclass(frozen=True)
class LightLimit:
    """A reason not to shine: a stable code and words for the operator."""

    code: str
    words: str


def in_sector(sector: KeepOutSector, az_rad: float, el_rad: float, margin_rad: float) -> bool:
    """Whether any direction within `margin_rad` of a direction may lie in a sector (never False if one does)."""
    if not radians(sector.min_el_deg) - margin_rad <= el_rad <= radians(sector.max_el_deg) + margin_rad:
        return False
    if abs(el_rad) + margin_rad >= pi / 2:  # the cap reaches the zenith: every azimuth
        return True
    # a cap of radius m about elevation e spans asin(sin m / cos e) of azimuth to either side
    reach = asin(min(1.0, sin(margin_rad) / cos(el_rad)))
    width = radians(sector.to_az_deg - sector.from_az_deg) % _TURN or _TURN
    behind = (az_rad - radians(sector.from_az_deg) + reach) % _TURN
    return behind <= width + 2 * reach


class PermittedTimes:
    """The times of the settings, in the time zone of the site."""

    def __init__(self, settings: LaserSafetySettings, time_zone: str) -> None:
        self._texts = settings.permitted_times
        self._zone = ZoneInfo(time_zone)

    def permit(self, now_ns: int) -> bool:
        """Whether light is permitted at a time."""
        if self._texts is None:
            return False
        if self._texts == 'any':
            return True
        now = datetime.fromtimestamp(now_ns // _S, UTC)
        return any(self._within(text, now) for text in self._texts)

    def _within(self, text: str, now: datetime) -> bool:
        daily = daily_span(text)
        if daily is None:
            begin, end = single_span(text)
            return begin <= now < end
        clock = now.astimezone(self._zone).time()
        first, last = daily
        return first <= clock < last if first < last else clock >= first or clock < last


class LightLimits:
    """Sectors and times of a station.

    Parameters
    ----------
    settings : LaserSafetySettings
    time_zone : str
        Of the site.
    margin_rad : float
        Half-width of the beam, added to the margin of the settings.
    """

    def __init__(self, settings: LaserSafetySettings, time_zone: str, margin_rad: float = 0.0) -> None:
        self._settings = settings
        self._margin_rad = radians(settings.keep_out_margin_deg) + margin_rad
        self._times = PermittedTimes(settings, time_zone)

    def at(self, now_ns: int, az_rad: float, el_rad: float, uncertainty_rad: float = 0.0) -> list[LightLimit]:
        """Reasons against light at a time in an apparent direction, known to `uncertainty_rad`; empty: none."""
        if abs(el_rad) > pi / 2:  # over the top
            az_rad, el_rad = az_rad + pi, copysign(pi, el_rad) - el_rad
        found = []
        if self._settings.permitted_times is None:
            found.append(LightLimit('laser.times_undecided', 'laser_safety.permitted_times is not set'))
        elif not self._times.permit(now_ns):
            found.append(LightLimit('laser.time', f'{format_utc(now_ns, 0)} is outside the permitted times'))
        if self._settings.keep_out is None:
            found.append(LightLimit('laser.keep_out_undecided', 'laser_safety.keep_out is not set'))
        return found + self._sectors(az_rad, el_rad, self._margin_rad + uncertainty_rad)

    def _sectors(self, az_rad: float, el_rad: float, margin_rad: float) -> list[LightLimit]:
        sectors = self._settings.keep_out
        if sectors is None or sectors == 'none':
            return []
        return [
            LightLimit('laser.keep_out', f'the beam is in the keep-out sector {sector.name!r}')
            for sector in sectors
            if in_sector(sector, az_rad, el_rad, margin_rad)
        ]

    def along(self, t_ns: IntArray, az_rad: FloatArray, el_rad: FloatArray) -> tuple[str, ...]:
        """Spans of a pass without light, in words.

        Parameters
        ----------
        t_ns : ndarray of int64, (n,)
            UTC; about a second apart.
        az_rad, el_rad : ndarray, (n,)
            Apparent direction of the satellite.
        """
        spans: dict[str, list[list[int]]] = {}
        for k, (now_ns, az, el) in enumerate(zip(t_ns.tolist(), az_rad.tolist(), el_rad.tolist(), strict=True)):
            for words in {_lasting(limit) for limit in self.at(now_ns, az, el)}:
                runs = spans.setdefault(words, [])
                if runs and runs[-1][1] == k - 1:
                    runs[-1][1] = k
                else:
                    runs.append([k, k])
        return tuple(
            f'no light from {format_utc(int(t_ns[first]), 0)} to {format_utc(int(t_ns[last]), 0)}'
            f' (up to {degrees(float(el_rad[first : last + 1].max())):.0f} deg): {words}'
            for words, runs in spans.items()
            for first, last in runs
        )


def _lasting(limit: LightLimit) -> str:
    """Words that are the same all along a span."""
    return 'outside the permitted times' if limit.code == 'laser.time' else limit.words.replace('the beam is in ', '')
