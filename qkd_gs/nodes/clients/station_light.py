"""The calibration light of the station, if it has one, and the half-wave plate that turns in it."""

from __future__ import annotations

from math import nan

import qkd_gs.msg as m
from qkd_gs.devices.calibration_light import CalibrationLight, CalibrationLightReading
from qkd_gs.devices.kinds import CALIBRATION_LIGHT
from qkd_gs.errors import DeviceFault
from qkd_gs.nodes.clients.station_device import StationDevice
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.base import StationMixin
from qkd_gs.pointing.polarization import polarization_angle_at
from qkd_gs.settings.station import HwpSettings, StationSettings
from qkd_gs.station.loop_timing import Due

_ORDER_NS = 50_000_000  # between two orders to the half-wave plate, which stops without them


class StationLight(StationDevice[CalibrationLight, CalibrationLightReading]):
    """Keeps the light open and dark: one that shines although nobody has ordered it is switched off."""

    def __init__(self, node: StationMixin, station: StationSettings) -> None:
        super().__init__(node, CALIBRATION_LIGHT, station)
        self._ordered = 0.0

    def shine(self, now_ns: int, brightness: float) -> None:
        """Order a share of the full brightness, once; 0: off."""
        device = self._device
        if device is None or brightness == self._ordered:
            return
        self._ordered = brightness
        try:
            if brightness:
                device.on(now_ns, brightness)
            else:
                device.off(now_ns)
        except DeviceFault as fault:  # the measurement finds that it does not come on
            self._node.warning = str(fault)

    def close(self) -> None:
        """Switch off and close."""
        self._ordered = 0.0
        super().close()

    def _look(self, device: CalibrationLight, now_ns: int) -> None:
        reading = device.read(now_ns)
        self.seen = reading if reading.stamp_ns else None
        if reading.lit and not self._ordered:
            device.off(now_ns)

    def _lost(self, why: str) -> None:
        """Opened again it is off, and stays so until it is ordered again."""
        super()._lost(why)
        self._ordered = 0.0


class StationHwp:
    """Has the half-wave plate turn to an angle of its own scale, by the polarization angle that it follows.

    Only the tracker commands it otherwise, during a pass; the calibrator measures between two.
    """

    def __init__(self, node: StationMixin) -> None:
        self._angles = node.publisher(m.PolarizationAngle, 'hwp/polarization_angle')
        self._follows = False
        self._due = Due(_ORDER_NS)

    def turn(self, now_ns: int, hwp_rad: float | None, hwp: HwpSettings) -> None:
        """Order an angle; None: it stops.

        Parameters
        ----------
        hwp : HwpSettings
            With the zero as the node of the HWP knows it.
        """
        if hwp_rad is None:
            if self._follows:
                self._follows = False
                self._angles.publish(messages.polarization_angle(nan, nan, now_ns, follow=False))
            return
        self._follows = True
        if self._due.now(now_ns):
            angle_rad = polarization_angle_at(hwp_rad, hwp)
            self._angles.publish(messages.polarization_angle(angle_rad, 0.0, now_ns, follow=True))
