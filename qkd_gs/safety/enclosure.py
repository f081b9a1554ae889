"""Weather and shutter: light and passes only below an open shutter in good weather; bad weather closes it.

So does the Sun when it comes close to a telescope that nobody moves.

A device that is silent counts as bad weather (no light at once, the shutter closes after ten seconds), or as a shutter
that is not open.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf, isfinite

from qkd_gs.devices.dome import DomeReading, Shutter
from qkd_gs.devices.weather import WeatherReading
from qkd_gs.pointing.light_limits import LightLimit
from qkd_gs.settings.enclosure import EnclosureSettings

DOME = 'dome.'  # begins the codes of a shutter that is not open, or not known to be
DOME_CLOSED = 'dome.closed'
_UNKNOWN = 'weather.unknown'
_GRACE_NS = 10_000_000_000  # weather that is not known: no light at once, shutter and pass after this
_SHUTTER_STALE_NS = 5_000_000_000
_SUN_S = 300.0  # a shutter needs less
_ORDER_NS = 2_000_000_000  # an order is repeated so often until it is followed


class ShutterOrder(Enum):
    """Order to the shutter."""

    OPEN = 'open'
    CLOSE = 'close'


@dataclass(frozen=True)
class Demand:
    """Activity of the station, under way or about to begin.

    Attributes
    ----------
    in_pass : bool
        A pass is tracked, from the slew to the parked mount.
    calibrating : bool
    next_start_ns : int or None
        Start of the next pass.
    at_park : bool
        The mount rests at its park position; false also if that is not known.
    sun_s : float
        Time until the Sun is too close to a telescope that nobody moves and that is not parked; inf: it is not.
    known : bool
        All of this was told.  Until then, as after a restart in mid-pass, only bad weather and the Sun move the
        shutter.
    """

    in_pass: bool = False
    calibrating: bool = False
    next_start_ns: int | None = None
    at_park: bool = True
    sun_s: float = inf
    known: bool = True


@dataclass(frozen=True)
class EnclosureStatus:
    """Result of a step.

    Attributes
    ----------
    limits : tuple of LightLimit
        Reason why light is not permitted; empty: it is.
    break_off : str
        Reason why a pass must be broken off and the mount parked, in words; empty: it need not.
    order : ShutterOrder or None
        To be sent now.
    """

    limits: tuple[LightLimit, ...] = ()
    break_off: str = ''
    order: ShutterOrder | None = None


class Enclosure:
    """Decides from readings of weather station and dome."""

    def __init__(self, settings: EnclosureSettings) -> None:
        self._settings = settings
        self._weather: WeatherReading | None = None
        self._dome: DomeReading | None = None
        self._lost = {'weather': 'no weather station', 'dome': 'no dome or shutter'}
        self._bad_ns: int | None = None  # when the weather was bad last
        self._unknown_ns: int | None = None  # since when the weather is not known
        self._ordered: tuple[ShutterOrder, int] | None = None

    def weather(self, reading: WeatherReading) -> None:
        """Take a reading of the weather station."""
        self._weather = reading

    def dome(self, reading: DomeReading) -> None:
        """Take a reading of the dome."""
        self._dome = reading

    def lost(self, kind: str, why: str) -> None:
        """A device (``'weather'`` or ``'dome'``) has a fault, in words."""
        self._lost[kind] = why
        if kind == 'weather':
            self._weather = None
        else:
            self._dome = None

    def step(self, now_ns: int, demand: Demand) -> EnclosureStatus:
        """Status at a time."""
        bad = self._bad_weather(now_ns) if self._settings.weather.watch else []
        serious = self._serious(now_ns, bad)
        if serious:
            self._bad_ns = now_ns
        shut = self._shut(now_ns) if self._settings.shutter.watch else []
        return EnclosureStatus(
            limits=tuple(bad + shut),
            break_off=', '.join(limit.words for limit in bad) if serious and demand.in_pass else '',
            order=self._order(now_ns, demand, bool(bad), serious) if self._settings.shutter.watch else None,
        )

    def _serious(self, now_ns: int, bad: list[LightLimit]) -> bool:
        """Whether the shutter must close; for weather that is not known, as after a restart, only if that lasts."""
        if not bad or any(limit.code != _UNKNOWN for limit in bad):
            self._unknown_ns = None
            return bool(bad)
        self._unknown_ns = now_ns if self._unknown_ns is None else self._unknown_ns
        return not 0 <= now_ns - self._unknown_ns < _GRACE_NS

    def _bad_weather(self, now_ns: int) -> list[LightLimit]:
        reading, limits = self._weather, self._settings.weather
        if reading is None:
            return [LightLimit(_UNKNOWN, f'the weather is not known: {self._lost["weather"]}')]
        if abs(now_ns - reading.stamp_ns) > limits.stale_s * 1e9:
            return [LightLimit(_UNKNOWN, 'the weather is not known: the last reading is old')]
        found = []
        if reading.safe is False:
            found.append(LightLimit('weather.unsafe', 'the weather station says that it is not safe'))
        if isfinite(reading.rain_mm_h) and reading.rain_mm_h > 0:
            found.append(LightLimit('weather.rain', f'it rains, {reading.rain_mm_h:.1f} mm/h'))
        for code, words, value, limit in (
            ('weather.wind', 'wind of {:.0f} m/s', reading.wind_m_s, limits.max_wind_m_s),
            ('weather.wind', 'gusts of {:.0f} m/s', reading.gust_m_s, limits.max_gust_m_s),
            ('weather.humidity', 'humidity of {:.0%}', reading.humidity, limits.max_humidity),
            ('weather.cloud', 'clouds over {:.0%} of the sky', reading.cloud, limits.max_cloud),
        ):
            if isfinite(value) and value > limit:
                found.append(LightLimit(code, words.format(value)))
        measured = (reading.rain_mm_h, reading.wind_m_s, reading.gust_m_s, reading.humidity, reading.cloud)
        if reading.safe is None and not any(map(isfinite, measured)):
            found.append(LightLimit(_UNKNOWN, 'the weather is not known: the station measures nothing'))
        return found

    def _shut(self, now_ns: int) -> list[LightLimit]:
        reading = self._dome
        if reading is None:
            return [LightLimit('dome.unknown', f'the shutter is not known to be open: {self._lost["dome"]}')]
        if abs(now_ns - reading.stamp_ns) > _SHUTTER_STALE_NS:
            return [LightLimit('dome.unknown', 'the shutter is not known to be open: the last reading is old')]
        if reading.shutter is Shutter.CLOSED:
            return [LightLimit(DOME_CLOSED, 'the shutter is closed')]
        if reading.shutter is not Shutter.OPEN:
            state = 'in an unknown state' if reading.shutter is Shutter.UNKNOWN else reading.shutter.name.lower()
            return [LightLimit('dome.shut', f'the shutter is {state}')]
        return []

    def _order(self, now_ns: int, demand: Demand, bad: bool, serious: bool) -> ShutterOrder | None:
        wanted = self._wanted(now_ns, demand, bad, serious)
        done = self._dome is not None and self._dome.shutter is {
            ShutterOrder.OPEN: Shutter.OPEN,
            ShutterOrder.CLOSE: Shutter.CLOSED,
            None: self._dome.shutter,
        }.get(wanted)
        if wanted is None or done:
            self._ordered = None
            return None
        if self._ordered is not None and self._ordered[0] is wanted and 0 <= now_ns - self._ordered[1] < _ORDER_NS:
            return None
        self._ordered = wanted, now_ns
        return wanted

    def _wanted(self, now_ns: int, demand: Demand, bad: bool, serious: bool) -> ShutterOrder | None:
        busy = demand.in_pass or demand.calibrating
        waits = self._settings.shutter.close_after_park and (demand.in_pass or not demand.at_park)
        threatened = serious or demand.sun_s < _SUN_S
        if not demand.known and not threatened:
            return None
        if threatened or self._dome is None:
            return None if waits else ShutterOrder.CLOSE
        soon = demand.next_start_ns is not None and (
            -900 * 10**9 < demand.next_start_ns - now_ns < self._settings.shutter.open_before_s * 1e9
        )
        if not busy and not soon:
            return None if waits else ShutterOrder.CLOSE
        good_s = (now_ns - self._bad_ns) * 1e-9 if self._bad_ns is not None else None
        settled = good_s is None or good_s >= self._settings.weather.settle_s
        return ShutterOrder.OPEN if settled and not bad else None
