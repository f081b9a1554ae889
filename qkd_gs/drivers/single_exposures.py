"""Cameras that take one exposure after the other: settings, order, middle of the exposure, an image that is late."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

from qkd_gs.arrays import ImageArray
from qkd_gs.devices.camera import CameraSettings, Frame, Roi
from qkd_gs.devices.open_state import OpenState
from qkd_gs.drivers.percentiles import Latencies
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.station import CameraModel

_TEST_S = 0.01  # exposure of the self-test


@dataclass(frozen=True)
class Exposure:
    """An exposure under way.

    Attributes
    ----------
    settings : CameraSettings
        With the gain that the camera takes.
    sent_ns : int
        When it was ordered.
    begin_ns : int
        Middle of the times between which it began; 0: not known yet.
    """

    settings: CameraSettings
    roi: Roi
    sent_ns: int
    begin_ns: int = 0


class SingleExposures(ABC):
    """`configure`, `poll` and `stop` of a `Camera` that takes one exposure after the other.

    An exposure begins between its order and the answer of the server; the middle of the two is taken for its begin.

    Parameters
    ----------
    name : str
        Of the camera, for messages.
    state : OpenState
        Of the device.
    late_s : float
        An image that comes later than this after the end of its exposure is lost.
    """

    def __init__(self, name: str, state: OpenState, model: CameraModel, late_s: float) -> None:
        self._camera_name, self._camera_state, self._model, self._late_s = name, state, model, late_s
        self._forget()

    def _forget(self) -> None:
        """Restart, as after opening."""
        self._settings: CameraSettings | None = None
        self._under_way: Exposure | None = None
        self._due_ns = self._newest_ns = 0
        self._begin_ms, self._arrival_ms = Latencies(), Latencies()

    def _check_size(self, width_px: int, height_px: int) -> None:
        """Refuse a sensor of another size than the station's settings have; raises ``camera.other``."""
        model = self._model
        if (width_px, height_px) != (model.width_px, model.height_px):
            wanted = f'{model.width_px} x {model.height_px} in the settings of the station'
            raise DeviceFault('camera.other', f'{self._camera_name} has {width_px} x {height_px} pixels, {wanted}')

    # --- differing by camera ---

    @abstractmethod
    def _take_step(self, now_ns: int) -> None:
        """Take what has arrived; raises ``camera.silent``."""

    @abstractmethod
    def _exposure_limits(self) -> tuple[float, float]:
        """Shortest and longest exposure of the camera, s."""

    @abstractmethod
    def _gain(self, gain: float) -> float | None:
        """Linear gain that the camera takes where `gain` is asked for; None: it has none that is so high."""

    def _may_begin(self) -> bool:
        """Whether the camera takes an order now."""
        return True

    @abstractmethod
    def _order(self, one: Exposure) -> None:
        """Begin an exposure."""

    @abstractmethod
    def _begun(self, one: Exposure) -> tuple[int, int] | None:
        """Times between which the exposure began, UTC ns; None: the camera has not told yet that it has."""

    @abstractmethod
    def _images(self, one: Exposure) -> list[ImageArray]:
        """Images that have arrived since the last call; raises ``camera.images``, ``camera.refused``."""

    @abstractmethod
    def _abort(self) -> None:
        """Abort the exposure."""

    # --- of the Protocol ---

    def configure(self, now_ns: int, settings: CameraSettings) -> None:
        """Settings for the next exposures; starts them.

        Raises
        ------
        DeviceFault
            ``camera.settings``: the camera, or the station's settings of it, do not allow them.
        """
        self._camera_state.require()
        self._check(settings)
        if self._settings is None:
            self._due_ns = now_ns
        self._settings = settings

    def _check(self, settings: CameraSettings) -> None:
        model, roi = self._model, self._roi(settings)
        least_s, most_s = self._exposure_limits()
        if not max(model.min_exposure_s, least_s) <= settings.exposure_s <= min(model.max_exposure_s, most_s):
            raise DeviceFault('camera.settings', f'an exposure of {settings.exposure_s:g} s')
        if not 1 <= settings.gain <= model.max_gain or self._gain(settings.gain) is None:
            raise DeviceFault('camera.settings', f'a gain of {settings.gain:g}')
        if not 0 < settings.rate_hz <= model.max_rate_hz:
            raise DeviceFault('camera.settings', f'{settings.rate_hz:g} images a second')
        inside = 0 <= roi.x0_px <= model.width_px - roi.width_px and 0 <= roi.y0_px <= model.height_px - roi.height_px
        if not inside or roi.width_px < 1 or roi.height_px < 1:
            raise DeviceFault('camera.settings', f'a region {roi}')

    def _roi(self, settings: CameraSettings) -> Roi:
        return settings.roi or Roi(0, 0, self._model.width_px, self._model.height_px)

    def poll(self, now_ns: int) -> list[Frame]:
        """The image that has arrived, if one has; begins the next exposure when it is due.

        Raises
        ------
        DeviceFault
            ``camera.silent``: the server or the camera does not answer, or an image does not come;
            ``camera.refused``: the camera refuses an exposure; ``camera.images``: it sends something else.
        """
        self._take_step(now_ns)
        frames = self._arrived(now_ns)
        settings = self._settings
        due = settings is not None and self._under_way is None and now_ns >= self._due_ns
        if settings is not None and due and self._may_begin():
            settings = replace(settings, gain=self._gain(settings.gain) or settings.gain)
            self._under_way = Exposure(settings, self._roi(settings), now_ns)
            self._order(self._under_way)
            self._due_ns = max(self._due_ns + round(1e9 / settings.rate_hz), now_ns)
        return frames

    def _arrived(self, now_ns: int) -> list[Frame]:
        one = self._under_way
        if one is None:
            return []
        if not one.begin_ns and (times := self._begun(one)) is not None:
            self._begin_ms.add((min(times[1], now_ns) - times[0]) * 1e-9)
            one = self._under_way = replace(one, begin_ns=(times[0] + min(times[1], now_ns)) // 2)
        for image in self._images(one):
            if image.shape == (one.roi.height_px, one.roi.width_px):  # another one is of an exposure that was aborted
                self._under_way = None
                return [self._frame(now_ns, one, image)]
        if now_ns - one.sent_ns > (one.settings.exposure_s + self._late_s) * 1e9:
            raise DeviceFault('camera.silent', f'{self._camera_name} sends no image for {self._late_s:g} s')
        return []

    def _frame(self, now_ns: int, one: Exposure, image: ImageArray) -> Frame:
        settings = one.settings
        begin_ns = one.begin_ns or one.sent_ns
        stamp_ns = max(min(begin_ns + round(settings.exposure_s * 5e8), now_ns), self._newest_ns + 1)
        self._newest_ns = stamp_ns
        self._arrival_ms.add(max(now_ns - begin_ns - settings.exposure_s * 1e9, 0.0) * 1e-9)
        return Frame(stamp_ns, settings.exposure_s, settings.gain, image, one.roi)

    def stop(self, now_ns: int) -> None:
        """Abort the exposure; no more begins."""
        self._settings = None
        if self._camera_state.is_open and self._under_way is not None:
            self._under_way = None
            self._abort()

    def self_test(self) -> str:
        """One image of the whole sensor; a camera that sends none is reported by `poll`."""
        exposure_s = min(
            max(_TEST_S, self._model.min_exposure_s, self._exposure_limits()[0]), self._model.max_exposure_s
        )
        self.configure(time.time_ns(), CameraSettings(exposure_s, 1.0, self._model.max_rate_hz))
        while not (frames := self.poll(time.time_ns())):
            time.sleep(0.02)
        self.stop(time.time_ns())
        image = frames[0].image
        return f'{self._camera_name}: an image of {image.shape[1]} x {image.shape[0]}, mean {image.mean():.0f}'

    def _latencies(self) -> dict[str, str]:
        """From order to begin, and from the end of an exposure to its image; for the diagnostics."""
        return {'begin_ms': str(self._begin_ms), 'arrival_ms': str(self._arrival_ms)}
