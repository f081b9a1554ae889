"""GPS node: position of the station and UTC of the last PPS pulse."""

from __future__ import annotations

from sensor_msgs.msg import NavSatFix, TimeReference

from qkd_gs.devices.gps import Gps, GpsReading
from qkd_gs.devices.gps_checks import wrong_clock, wrong_place
from qkd_gs.devices.kinds import GPS
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.context import device_of, site_of, station_of
from qkd_gs.nodes.runtime.device import DeviceNode, require_open
from qkd_gs.nodes.runtime.process import run

_POLL_S = 0.1
_CLOCK = 'gps.clock'  # fault: station time is wrong, and with it the Sun, the stars and every pass
_PLACE = 'gps.position'  # fault, as that of a driver: so they are seen from another place
_MESSAGES = 3  # one after the other; a single one may have come late


class GpsNode(DeviceNode):
    """Publishes every navigation message once."""

    name = 'gps'

    def __init__(self) -> None:
        super().__init__()
        self._gps: Gps | None = None
        self._last_ns = 0
        self._contradicted = {_CLOCK: 0, _PLACE: 0}  # messages one after the other
        self._site = site_of(self)
        self._fixes = self.publisher(NavSatFix, 'gps/fix')
        self._times = self.publisher(TimeReference, 'gps/time')

    def opened(self) -> None:
        """Connect to the receiver."""
        self._gps = device_of(self, GPS, station_of(self))
        self._gps.open()

    def started(self) -> None:
        """Read the receiver periodically."""
        self.while_active(_POLL_S, self._step)

    def closed(self) -> None:
        """Close the receiver."""
        if self._gps is not None:
            self._gps.close()
            self._gps = None

    def _step(self, now_ns: int) -> None:
        reading = require_open(self._gps).read(now_ns)
        if reading.stamp_ns in (0, self._last_ns):  # nothing yet, or nothing new; not 'older': clocks are set back
            return
        self._last_ns = reading.stamp_ns
        self._fixes.publish(messages.gps_fix(reading))
        self._times.publish(messages.gps_time(reading))
        self._compare(reading)
        self.warning = '' if reading.satellites else 'no satellites'
        self.metrics = {
            'satellites': str(reading.satellites),
            'time_accuracy_ns': f'{reading.time_accuracy_s * 1e9:.0f}',
        }

    def _compare(self, reading: GpsReading) -> None:
        """Tell when the clock or the site contradicts the receiver."""
        for code, wrong in ((_CLOCK, wrong_clock(reading)), (_PLACE, wrong_place(reading, self._site))):
            self._contradicted[code] = self._contradicted[code] + 1 if wrong else 0
            if self._contradicted[code] >= _MESSAGES:
                self.degraded(code, wrong)
            elif not wrong:
                self.recovered(code)


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(GpsNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
