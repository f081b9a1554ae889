"""Camera behind an INDI server, one exposure after the other: a slow second for the guiding camera."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf, log10

from pydantic import Field

from qkd_gs.arrays import ImageArray
from qkd_gs.devices.camera import Camera, CameraSettings, Frame, Roi
from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.drivers.indi.device import IndiDevice, IndiOptions
from qkd_gs.drivers.indi.fits import image_of
from qkd_gs.drivers.percentiles import Latencies
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.station import CameraModel

_EXPOSURE, _SECONDS, _ABORT = 'CCD_EXPOSURE', 'CCD_EXPOSURE_VALUE', 'CCD_ABORT_EXPOSURE'
_POLLING, _FRAME, _INFO, _GAIN, _FILES = 'POLLING_PERIOD', 'CCD_FRAME', 'CCD_INFO', 'CCD_GAIN', 'CCD1'


class IndiCcdOptions(IndiOptions):
    """Options of the driver ``guiding_camera.indi``."""

    gain_db_per_unit: float = Field(0.1, gt=0, le=20, description='step of its gain CCD_GAIN, from its data sheet')
    polling_s: float = Field(0.05, ge=0.01, le=10, description='period at which its INDI driver looks at the camera')
    late_s: float = Field(3.0, gt=0, le=60, description='an image that is later than this is lost')


@dataclass(frozen=True)
class _Exposure:
    settings: CameraSettings
    roi: Roi
    sent_ns: int
    begun_ns: int  # when the camera said that it had begun; 0: not yet


class IndiCcd(IndiDevice):
    """Implements `Camera`.

    An exposure begins between its order and the answer of the server; the middle of the two is taken for its begin.
    """

    def __init__(self, options: IndiCcdOptions, model: CameraModel) -> None:
        super().__init__('camera', options, (_EXPOSURE, _FRAME, _INFO))
        self._ccd, self._model = options, model
        self._settings: CameraSettings | None = None

    def open(self) -> None:
        """Connect; no exposure begins.

        Raises
        ------
        DeviceFault
            ``camera.silent``; ``camera.other``: a sensor of another size than the station's settings have.
        """
        super().open()
        self._settings = None
        self._under_way: _Exposure | None = None
        self._written: tuple[Roi, float] | None = None
        self._due_ns = self._newest_ns = 0
        self._begin_ms, self._arrival_ms = Latencies(), Latencies()
        self.wait(lambda: self.prop(_INFO).number('CCD_MAX_X') > 0)
        info, model = self.prop(_INFO), self._model
        size = round(info.number('CCD_MAX_X')), round(info.number('CCD_MAX_Y'))
        if size != (model.width_px, model.height_px):
            self.close()
            wanted = f'{model.width_px} x {model.height_px} in the settings of the station'
            raise DeviceFault('camera.other', f'{self._options.device} has {size[0]} x {size[1]} pixels, {wanted}')
        self._client.send(_POLLING, {'PERIOD_MS': self._ccd.polling_s * 1e3}, needed=False)
        self._client.ask_for_files(_FILES)

    def configure(self, now_ns: int, settings: CameraSettings) -> None:
        """Settings for the next exposures; starts them.

        Raises
        ------
        DeviceFault
            ``camera.settings``: the camera, or the station's settings of it, do not allow them.
        """
        self._state.require()
        self._check(settings)
        if self._settings is None:
            self._due_ns = now_ns
        self._settings = settings

    def _check(self, settings: CameraSettings) -> None:
        model, roi = self._model, self._roi(settings)
        least_s, most_s = self.prop(_EXPOSURE).limits.get(_SECONDS, (0.0, inf))
        if not max(model.min_exposure_s, least_s) <= settings.exposure_s <= min(model.max_exposure_s, most_s):
            raise DeviceFault('camera.settings', f'an exposure of {settings.exposure_s:g} s')
        if not 1 <= settings.gain <= min(model.max_gain, self._most_gain()):
            raise DeviceFault('camera.settings', f'a gain of {settings.gain:g}')
        if not 0 < settings.rate_hz <= model.max_rate_hz:
            raise DeviceFault('camera.settings', f'{settings.rate_hz:g} images a second')
        inside = 0 <= roi.x0_px <= model.width_px - roi.width_px and 0 <= roi.y0_px <= model.height_px - roi.height_px
        if not inside or roi.width_px < 1 or roi.height_px < 1:
            raise DeviceFault('camera.settings', f'a region {roi}')

    def _most_gain(self) -> float:
        """Greatest gain of the camera, linear; 1 if it has no gain to set."""
        gain = self._client.properties.get(_GAIN)
        return self._linear(gain.limits.get('GAIN', (0.0, inf))[1]) if gain is not None else 1.0

    def _linear(self, units: float) -> float:
        return float(min(10 ** (min(units, 1e4) * self._ccd.gain_db_per_unit / 20), 1e300))

    def _roi(self, settings: CameraSettings) -> Roi:
        return settings.roi or Roi(0, 0, self._model.width_px, self._model.height_px)

    def poll(self, now_ns: int) -> list[Frame]:
        """The image that has arrived, if one has; begins the next exposure when it is due.

        Raises
        ------
        DeviceFault
            ``camera.silent``: the server or the camera does not answer, or an image does not come;
            ``camera.refused``: the camera refuses an exposure; ``camera.images``: it sends no image in FITS.
        """
        if not self.step(now_ns):
            raise DeviceFault('camera.silent', f'{self._options.device} was disconnected')
        frames = self._arrived(now_ns)
        if self._settings is not None and self._under_way is None and now_ns >= self._due_ns:
            self._begin(now_ns, self._settings)
        return frames

    def _arrived(self, now_ns: int) -> list[Frame]:
        files, self._client.blobs = self._client.blobs, []
        one, asked = self._under_way, self.prop(_EXPOSURE)
        if one is None:
            return []
        if not one.begun_ns and asked.stamp_ns > one.sent_ns:
            one = self._under_way = replace(one, begun_ns=min(asked.stamp_ns, now_ns))
            self._begin_ms.add((one.begun_ns - one.sent_ns) * 1e-9)
        for file in files:
            try:
                image = image_of(file.data)
            except ValueError as error:
                raise DeviceFault('camera.images', f'{self._options.device}: {error}') from error
            if image.shape == (one.roi.height_px, one.roi.width_px):
                self._under_way = None
                return [self._frame(now_ns, one, image)]
        if asked.state == 'Alert':
            why = self._client.said or 'no reason is told'
            raise DeviceFault('camera.refused', f'{self._options.device} refuses an exposure: {why}')
        if now_ns - one.sent_ns > (one.settings.exposure_s + self._ccd.late_s) * 1e9:
            raise DeviceFault('camera.silent', f'{self._options.device} sends no image for {self._ccd.late_s:g} s')
        return []

    def _frame(self, now_ns: int, one: _Exposure, image: ImageArray) -> Frame:
        settings = one.settings
        begin_ns = (one.sent_ns + (one.begun_ns or one.sent_ns)) // 2
        stamp_ns = max(min(begin_ns + round(settings.exposure_s * 5e8), now_ns), self._newest_ns + 1)
        self._newest_ns = stamp_ns
        self._arrival_ms.add(max(now_ns - begin_ns - settings.exposure_s * 1e9, 0.0) * 1e-9)
        return Frame(stamp_ns, settings.exposure_s, settings.gain, image, one.roi)

    def _begin(self, now_ns: int, settings: CameraSettings) -> None:
        roi = self._roi(settings)
        if self._written != (roi, settings.gain):
            self._written = roi, settings.gain
            region = {'X': roi.x0_px, 'Y': roi.y0_px, 'WIDTH': roi.width_px, 'HEIGHT': roi.height_px}
            self._client.send(_FRAME, region)
            units = 20 * log10(settings.gain) / self._ccd.gain_db_per_unit
            self._client.send(_GAIN, {'GAIN': round(units, 2)}, needed=False)
        self._client.send(_EXPOSURE, {_SECONDS: settings.exposure_s})
        self._under_way = _Exposure(settings, roi, now_ns, 0)
        self._due_ns = max(self._due_ns + round(1e9 / settings.rate_hz), now_ns)

    def stop(self, now_ns: int) -> None:
        """Abort the exposure; no more begins."""
        self._settings = None
        if self._state.is_open and self._under_way is not None:
            self._under_way = None
            if _ABORT in self._client.properties:
                with suppress(DeviceFault):  # the connection is broken: `poll` tells it
                    self._client.switch(_ABORT, 'ABORT')

    def close(self) -> None:
        """Abort the exposure and disconnect."""
        self.stop(0)
        super().close()

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return super().health() | {'begin_ms': str(self._begin_ms), 'arrival_ms': str(self._arrival_ms)}


@driver(IndiCcdOptions)
def indi_ccd(context: DriverContext[IndiCcdOptions]) -> Camera:
    """Driver ``guiding_camera.indi``."""
    return IndiCcd(context.options, context.station.guiding_camera)
