"""Calibration light behind an Alpaca server: a CoverCalibrator."""

from __future__ import annotations

from math import isnan

from qkd_gs.devices.calibration_light import (
    NO_READING,
    CalibrationLight,
    CalibrationLightReading,
    Cover,
    checked_brightness,
)
from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.drivers.alpaca.session import AlpacaOptions, AlpacaSession
from qkd_gs.errors import DeviceFault

_ASKED = ('calibratorstate', 'brightness', 'coverstate', 'maxbrightness')
_OPTIONAL = frozenset({'brightness', 'coverstate', 'maxbrightness'})
_ABSENT, _OFF, _READY, _ERROR = 0, 1, 3, 5  # CalibratorStatus; 2: not ready, 4: unknown
_COVERS = {0: Cover.NONE, 1: Cover.CLOSED, 2: Cover.MOVING, 3: Cover.OPEN}  # CoverStatus; 4, 5: unknown, error
_SWITCH_OFF = 'calibratoroff'


class AlpacaCoverCalibrator:
    """Implements `CalibrationLight`; the cover is told, not moved."""

    def __init__(self, options: AlpacaOptions) -> None:
        self._session = AlpacaSession('calibration_light', options, 'covercalibrator', _ASKED, _OPTIONAL)

    def open(self) -> None:
        """Begin to connect; the first command switches the light off."""
        self._session.open()
        self._session.command(_SWITCH_OFF)

    def close(self) -> None:
        """Switch off, and disconnect."""
        self._session.urgent(_SWITCH_OFF)
        self._session.close()

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return self._session.health()

    def on(self, now_ns: int, brightness: float) -> None:
        """Shine."""
        session = self._session
        session.state.require()
        most = session.number('maxbrightness')
        if isnan(most):
            raise DeviceFault('calibration_light.silent', 'the light has not told its greatest brightness')
        session.command('calibratoron', Brightness=max(round(checked_brightness(brightness) * most), 1))

    def off(self, now_ns: int) -> None:
        """Switch off at once."""
        self._session.urgent(_SWITCH_OFF)

    def read(self, now_ns: int) -> CalibrationLightReading:
        """State of light and cover, none until they are told; silent when the server does not answer."""
        session = self._session
        if not session.step(now_ns):
            return NO_READING
        state, most = session.values['calibratorstate'].value, session.number('maxbrightness')
        if state == _ABSENT:
            raise DeviceFault('calibration_light.absent', 'this CoverCalibrator has no light')
        if state == _ERROR:
            raise DeviceFault('calibration_light.fault', 'the light reports an error')
        lit = state != _OFF  # also where it is not known
        share = session.number('brightness') / most if lit and most > 0 else 0.0
        cover = _COVERS.get(session.values['coverstate'].value, Cover.UNKNOWN)
        share = 0.0 if isnan(share) else min(share, 1.0)
        return CalibrationLightReading(session.oldest_ns(), lit, share, state == _READY, cover)


@driver(AlpacaOptions)
def alpaca_cover_calibrator(context: DriverContext[AlpacaOptions]) -> CalibrationLight:
    """Driver ``calibration_light.alpaca``."""
    return AlpacaCoverCalibrator(context.options)
