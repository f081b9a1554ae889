"""Camera behind an INDI server, one exposure after the other: a slow second for the guiding camera."""

from __future__ import annotations

from contextlib import suppress
from math import inf, log10

from pydantic import Field

from qkd_gs.arrays import ImageArray
from qkd_gs.devices.camera import Camera, Roi
from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.drivers.indi.device import IndiDevice, IndiOptions
from qkd_gs.drivers.indi.fits import image_of
from qkd_gs.drivers.single_exposures import Exposure, SingleExposures
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.station import CameraModel

_EXPOSURE, _SECONDS, _ABORT = 'CCD_EXPOSURE', 'CCD_EXPOSURE_VALUE', 'CCD_ABORT_EXPOSURE'
_POLLING, _FRAME, _INFO, _GAIN, _FILES = 'POLLING_PERIOD', 'CCD_FRAME', 'CCD_INFO', 'CCD_GAIN', 'CCD1'


class IndiCcdOptions(IndiOptions):
    """Options of the driver ``guiding_camera.indi``."""

    gain_db_per_unit: float = Field(0.1, gt=0, le=20, description='step of its gain CCD_GAIN, from its data sheet')
    polling_s: float = Field(0.05, ge=0.01, le=10, description='period at which its INDI driver looks at the camera')
    late_s: float = Field(3.0, gt=0, le=60, description='an image that is later than this is lost')


class IndiCcd(SingleExposures, IndiDevice):
    """Implements `Camera`."""

    def __init__(self, options: IndiCcdOptions, model: CameraModel) -> None:
        IndiDevice.__init__(self, 'camera', options, (_EXPOSURE, _FRAME, _INFO))
        SingleExposures.__init__(self, options.device, self._state, model, options.late_s)
        self._ccd = options

    def open(self) -> None:
        """Connect; no exposure begins.

        Raises
        ------
        DeviceFault
            ``camera.silent``; ``camera.other``: a sensor of another size than the station's settings have.
        """
        super().open()
        self._forget()
        self._written: tuple[Roi, float] | None = None
        self.wait(lambda: self.prop(_INFO).number('CCD_MAX_X') > 0)
        info = self.prop(_INFO)
        try:
            self._check_size(round(info.number('CCD_MAX_X')), round(info.number('CCD_MAX_Y')))
        except DeviceFault:
            self.close()
            raise
        self._client.send(_POLLING, {'PERIOD_MS': self._ccd.polling_s * 1e3}, needed=False)
        self._client.ask_for_files(_FILES)

    def _take_step(self, now_ns: int) -> None:
        if not self.step(now_ns):
            raise DeviceFault('camera.silent', f'{self._options.device} was disconnected')

    def _exposure_limits(self) -> tuple[float, float]:
        return self.prop(_EXPOSURE).limits.get(_SECONDS, (0.0, inf))

    def _gain(self, gain: float) -> float | None:
        """Any up to the greatest gain of the camera; 1 alone if it has no gain to set."""
        known = self._client.properties.get(_GAIN)
        most = self._linear(known.limits.get('GAIN', (0.0, inf))[1]) if known is not None else 1.0
        return gain if gain <= most else None

    def _linear(self, units: float) -> float:
        return float(min(10 ** (min(units, 1e4) * self._ccd.gain_db_per_unit / 20), 1e300))

    def _begun(self, one: Exposure) -> tuple[int, int] | None:
        asked = self.prop(_EXPOSURE)
        return (one.sent_ns, asked.stamp_ns) if asked.stamp_ns > one.sent_ns else None

    def _images(self, one: Exposure) -> list[ImageArray]:
        files, self._client.blobs = self._client.blobs, []
        try:
            images = [image_of(file.data) for file in files]
        except ValueError as error:
            raise DeviceFault('camera.images', f'{self._options.device}: {error}') from error
        if not images and self.prop(_EXPOSURE).state == 'Alert':
            why = self._client.said or 'no reason is told'
            raise DeviceFault('camera.refused', f'{self._options.device} refuses an exposure: {why}')
        return images

    def _order(self, one: Exposure) -> None:
        roi, gain = one.roi, one.settings.gain
        self._client.blobs = []  # of an exposure that was aborted
        if self._written != (roi, gain):
            self._written = roi, gain
            region = {'X': roi.x0_px, 'Y': roi.y0_px, 'WIDTH': roi.width_px, 'HEIGHT': roi.height_px}
            self._client.send(_FRAME, region)
            self._client.send(_GAIN, {'GAIN': round(20 * log10(gain) / self._ccd.gain_db_per_unit, 2)}, needed=False)
        self._client.send(_EXPOSURE, {_SECONDS: one.settings.exposure_s})

    def _abort(self) -> None:
        if _ABORT in self._client.properties:
            with suppress(DeviceFault):  # the connection is broken: `poll` tells it
                self._client.switch(_ABORT, 'ABORT')

    def close(self) -> None:
        """Abort the exposure and disconnect."""
        self.stop(0)
        super().close()

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return super().health() | self._latencies()


@driver(IndiCcdOptions)
def indi_ccd(context: DriverContext[IndiCcdOptions]) -> Camera:
    """Driver ``guiding_camera.indi``."""
    return IndiCcd(context.options, context.station.guiding_camera)
