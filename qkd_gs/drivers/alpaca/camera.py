"""Camera behind an Alpaca server, one exposure after the other: a slow second for the guiding camera."""

from __future__ import annotations

from math import inf, isnan, log10

from pydantic import Field, field_validator

from qkd_gs.arrays import ImageArray
from qkd_gs.devices.camera import Camera, Roi
from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.drivers.alpaca.image import IMAGE_BYTES, image_of
from qkd_gs.drivers.alpaca.session import AlpacaOptions, AlpacaSession
from qkd_gs.drivers.single_exposures import Exposure, SingleExposures
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.station import CameraModel

_SIZE = ('cameraxsize', 'cameraysize')
_LIMITS = ('exposuremin', 'exposuremax')
_GAINS = ('gain', 'gains', 'gainmin', 'gainmax')
_STATE, _READY, _IMAGE = 'camerastate', 'imageready', 'imagearray'
_IDLE, _FAILED = 0, 5


class AlpacaCameraOptions(AlpacaOptions):
    """Options of the driver ``guiding_camera.alpaca``."""

    gain_db_per_unit: float = Field(0.1, gt=0, le=20, description='step of a gain that is a number; 0 is gain 1')
    gains: tuple[float, ...] = Field(
        (), description='linear gain of each entry, where the camera has a list of gains; 1 is the lowest'
    )
    late_s: float = Field(3.0, gt=0, le=60, description='an image that is later than this is lost')

    @field_validator('gains')
    @classmethod
    def _from_one(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if value and min(value) != 1:
            raise ValueError(f'the lowest of the gains is {min(value):g}, not 1')
        return value


class AlpacaCamera(SingleExposures):
    """Implements `Camera`."""

    def __init__(self, options: AlpacaCameraOptions, model: CameraModel) -> None:
        optional = (*_LIMITS, *_GAINS, 'canabortexposure', 'name', 'driverversion')
        known = (*_SIZE, *optional, _STATE)
        self._session = AlpacaSession('camera', options, 'camera', known, frozenset(optional))
        name = f'camera {options.number} at {options.host}:{options.port}'
        super().__init__(name, self._session.state, model, options.late_s)
        self._options, self._known = options, known

    def open(self) -> None:
        """Connect; no exposure begins.

        Raises
        ------
        DeviceFault
            ``camera.silent``; ``camera.other``: a sensor of another size than the station's settings have, or gains
            that do not agree with the options.
        """
        session = self._session
        session.ask_in_turn(*self._known)
        session.open()
        self._forget()
        self._written: tuple[Roi, float] | None = None
        self._fetching = False
        session.wait()
        self._can_abort = session.values['canabortexposure'].value is True
        try:
            self._check_size(*(round(session.number(name)) for name in _SIZE))
            self._check_gains()
        except DeviceFault:
            session.close()
            raise
        session.ask_in_turn(_READY, _STATE)

    def _check_gains(self) -> None:
        listed = self._session.values['gains'].value
        count = len(listed) if isinstance(listed, list) else 0
        if count != len(self._options.gains):
            raise DeviceFault(
                'camera.other',
                f'{self._camera_name} has {count} gains in a list, and the option gains has {len(self._options.gains)}',
            )

    def _take_step(self, now_ns: int) -> None:
        self._session.step(now_ns)

    def _exposure_limits(self) -> tuple[float, float]:
        least_s, most_s = (self._session.number(name) for name in _LIMITS)
        return 0.0 if isnan(least_s) else least_s, inf if isnan(most_s) else most_s

    def _gain(self, gain: float) -> float | None:
        """Next lower one of a list; any between the limits of a number; 1 alone if it has no gain to set."""
        if gains := self._options.gains:
            return max(one for one in gains if one <= gain) if gain <= max(gains) else None
        most = self._session.number('gainmax')
        if isnan(most):
            return gain if gain == 1 else None
        return gain if self._session.number('gainmin') <= self._units(gain) <= most else None

    def _units(self, gain: float) -> int:
        """A linear gain as the camera counts it."""
        if self._options.gains:
            return self._options.gains.index(gain)
        return round(20 * log10(gain) / self._options.gain_db_per_unit)

    def _may_begin(self) -> bool:
        """A camera whose exposures cannot be aborted is waited for."""
        state = self._session.values[_STATE]
        return self._can_abort or (self._is_new(state.stamp_ns) and state.value == _IDLE)

    def _is_new(self, stamp_ns: int) -> bool:
        """Whether a value was asked for after the last command was answered."""
        return not self._session.busy and stamp_ns >= self._session.commanded_ns

    def _order(self, one: Exposure) -> None:
        session, roi, gain = self._session, one.roi, one.settings.gain
        if self._written is None:
            if self._can_abort:
                session.command('abortexposure')  # an exposure of another client, or of before
            session.command('binx', BinX=1)
            session.command('biny', BinY=1)
        if self._written != (roi, gain):
            self._written = roi, gain
            session.command('startx', StartX=roi.x0_px)
            session.command('starty', StartY=roi.y0_px)
            session.command('numx', NumX=roi.width_px)
            session.command('numy', NumY=roi.height_px)
            if session.values['gain'].value is not None:
                session.command('gain', Gain=self._units(gain))
        session.command('startexposure', Duration=one.settings.exposure_s, Light=True)
        self._fetching = False
        session.values.pop(_IMAGE, None)

    def _begun(self, one: Exposure) -> tuple[int, int] | None:
        session = self._session
        return None if session.busy else (session.command_sent_ns, session.commanded_ns)

    def _images(self, one: Exposure) -> list[ImageArray]:
        session = self._session
        told = session.values.pop(_IMAGE, None)
        if not one.begin_ns:
            return []  # what comes before is of an exposure that was aborted
        if told is not None:
            self._fetching = False
            try:
                return [image_of(told.value.content_type, told.value.body)]
            except ValueError as error:
                raise DeviceFault('camera.images', f'{self._camera_name}: {error}') from error
        if self._fetching:
            return []
        state, ready = session.values[_STATE], session.values.get(_READY)
        if self._is_new(state.stamp_ns) and state.value == _FAILED:
            raise DeviceFault('camera.refused', f'{self._camera_name} tells that an exposure has failed')
        if ready is not None and self._is_new(ready.stamp_ns) and ready.value is True:
            session.values.pop(_READY)
            session.fetch(_IMAGE, IMAGE_BYTES)
            self._fetching = True
        return []

    def _abort(self) -> None:
        if self._can_abort:
            self._session.command('abortexposure')

    def close(self) -> None:
        """Abort the exposure and disconnect."""
        if self._under_way is not None and self._can_abort:
            self._session.urgent('abortexposure')
        self.stop(0)
        self._session.close()

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return self._session.health() | self._latencies()


@driver(AlpacaCameraOptions)
def alpaca_camera(context: DriverContext[AlpacaCameraOptions]) -> Camera:
    """Driver ``guiding_camera.alpaca``."""
    return AlpacaCamera(context.options, context.station.guiding_camera)
