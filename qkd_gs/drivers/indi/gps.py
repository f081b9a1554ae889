"""GPS receiver behind an INDI server: position, and the time to a second; no number of satellites, no pulse."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import Field

from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.devices.gps import Gps, GpsReading
from qkd_gs.drivers.gnss.fix import Fix, FixChecks, GnssLimits
from qkd_gs.drivers.indi.device import IndiDevice, IndiOptions
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.site import Site

_PLACE, _TIME, _REFRESH = 'GEOGRAPHIC_COORD', 'TIME_UTC', 'GPS_REFRESH'
_SOME = 1  # satellites of a fix: how many there are is not told


class IndiGpsOptions(IndiOptions):
    """Options of the driver ``gps.indi``."""

    refresh_s: float = Field(0.25, ge=0.05, le=3600, description='period at which the receiver is read')
    accuracy_s: float = Field(1.0, gt=0, le=60, description='of the time that INDI gives, one sigma')
    max_offset_s: float = Field(
        5.0, ge=2, le=3600, description='[s] largest difference between the time of the receiver and station time'
    )
    max_distance_m: float = Field(
        500.0, ge=10, le=3e7, description='[m] largest distance from the site of the station, in the horizontal'
    )


class IndiGps(IndiDevice):
    """Implements `Gps`.

    A time that is told to a second, some time after it, shows no jump of one second; one that is beyond the largest
    difference is a fault, and so is a place that is not the site.
    """

    def __init__(self, options: IndiGpsOptions, site: Site) -> None:
        super().__init__('gps', options, (_PLACE, _TIME))
        self._gps, self._site = options, site
        self._lost: DeviceFault | None = None
        self._limits = GnssLimits(
            max_offset_s=options.max_offset_s, max_jump_s=options.max_offset_s, max_distance_m=options.max_distance_m
        )

    def open(self) -> None:
        """Begin to connect."""
        super().open()
        self._refreshed_ns = self._checked_ns = 0
        self._checks, self._lost = FixChecks(self._limits, self._site), None
        self._fix = GpsReading(0, 0, 0.0, 0.0, 0.0, 0, self._gps.accuracy_s)

    def read(self, now_ns: int) -> GpsReading:
        """Newest fix; without satellites until there is one.

        Raises
        ------
        DeviceFault
            ``gps.silent``: the server or the receiver does not answer; ``gps.time_offset``, ``gps.time_jump``,
            ``gps.position``: the receiver is not to be believed, until it is opened again.
        """
        self._state.require()
        if self._lost is not None:
            raise self._lost
        if not self.step(now_ns):
            return self._fix
        if now_ns - self._refreshed_ns >= self._gps.refresh_s * 1e9:
            self._refreshed_ns = now_ns
            if _REFRESH in self._client.properties:
                self._client.switch(_REFRESH, 'REFRESH')
        place, time = self.prop(_PLACE), self.prop(_TIME)
        fixed = place.state == 'Ok' and time.state == 'Ok'
        longitude_deg = place.number('LONG')
        self._fix = GpsReading(
            stamp_ns=min(time.stamp_ns, now_ns),  # the place of the same second may have come before it began
            pps_utc_ns=utc_ns(time.values.get('UTC', '')) if fixed else self._fix.pps_utc_ns,
            latitude_deg=place.number('LAT'),
            longitude_deg=longitude_deg - 360 if longitude_deg > 180 else longitude_deg,
            altitude_m=place.number('ELEV'),
            satellites=_SOME if fixed else 0,
            time_accuracy_s=self._gps.accuracy_s,
        )
        if fixed:
            self._check(time.stamp_ns)
        return self._fix

    def _check(self, heard_ns: int) -> None:
        """Check the newest fix, once."""
        if heard_ns == self._checked_ns:
            return
        self._checked_ns, told = heard_ns, self._fix
        place = told.latitude_deg, told.longitude_deg, told.altitude_m
        try:
            self._checks.check(heard_ns, Fix(told.pps_utc_ns, *place, told.satellites, told.time_accuracy_s))
        except DeviceFault as fault:
            self._lost = fault
            raise


def utc_ns(text: str) -> int:
    """Time of INDI (ISO 8601, UTC) in ns since the Unix epoch.

    Raises
    ------
    DeviceFault
        ``gps.time``: no such time.
    """
    try:
        return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9
    except (ValueError, OverflowError, OSError) as error:
        raise DeviceFault('gps.time', f'{text!r} is no time of INDI') from error


@driver(IndiGpsOptions)
def indi_gps(context: DriverContext[IndiGpsOptions]) -> Gps:
    """Driver ``gps.indi``."""
    return IndiGps(context.options, context.site)
