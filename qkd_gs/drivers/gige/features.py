"""Settings of a camera as GenICam features: what it can do, and how a setting is written."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log10
from typing import Any

from qkd_gs.devices.camera import CameraSettings, Roi
from qkd_gs.drivers.gige.options import DEEPEST, DEEPEST_FIRST, KEEP, GigeOptions
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.station import CameraModel

_EXPOSURES = ('ExposureTime', 'ExposureTimeAbs', 'ExposureTimeRaw')
_LATCHES = (  # command and value: SFNC 2.0 and newer, some cameras, older ones
    ('TimestampLatch', 'TimestampLatchValue'),
    ('TimestampLatch', 'GevTimestampValue'),
    ('GevTimestampControlLatch', 'GevTimestampValue'),
)
_TICK_HZ_REGISTER = 0x093C  # of the bootstrap registers of GigE Vision, 8 bytes
_TEXTS = {
    'vendor': ('DeviceVendorName',),
    'model': ('DeviceModelName',),
    'serial_number': ('DeviceSerialNumber', 'DeviceID'),
    'firmware': ('DeviceFirmwareVersion', 'DeviceVersion'),
}


@dataclass(frozen=True)
class Range:
    """Range of a feature, in its own unit."""

    least: float
    most: float
    step: int = 1


@dataclass(frozen=True)
class Abilities:
    """Features that were found out about a camera.

    Attributes
    ----------
    identity : dict
        Vendor, model, serial number, firmware.
    tick_hz : float
        Frequency of the counter of its time stamps.
    latch : (str, str), optional
        Names of the command that latches the counter and of the value.
    gain_in_db : bool
        There is a feature Gain in dB; otherwise GainRaw.
    """

    identity: dict[str, str]
    exposure_us: Range
    gain: Range
    gain_in_db: bool
    width: Range
    height: Range
    offset_step: tuple[int, int]
    tick_hz: float
    latch: tuple[str, str] | None


def look(camera: Any, errors: type[Exception]) -> Abilities:
    """Ask a camera what it can do; takes some ten exchanges.

    Parameters
    ----------
    camera : viva_genicam.Camera
    errors : type
        Base of the library's exceptions.
    """
    names = set(camera.nodes())

    def limits(name: str) -> Range:
        found = camera.feature_state(name).range
        return Range(found.min, found.max, max(int(found.inc or 1), 1)) if found else Range(-inf, inf)

    def text(options: tuple[str, ...]) -> str:
        for name in options:
            if name in names:
                try:
                    return str(camera.get(name))
                except errors:
                    continue
        return ''

    exposure = next((name for name in _EXPOSURES if name in names), None)
    if exposure is None or not {'Width', 'Height', 'PixelFormat'} <= names:
        raise DeviceFault('camera.other', 'the device has no exposure time, size or pixel format: it is no camera')
    in_db = 'Gain' in names
    none = Range(0, 0)
    latch = next((pair for pair in _LATCHES if set(pair) <= names), None)
    return Abilities(
        {key: text(options) for key, options in _TEXTS.items()},
        limits(exposure),
        limits('Gain') if in_db else limits('GainRaw') if 'GainRaw' in names else none,
        in_db,
        limits('Width'),
        limits('Height'),
        tuple(limits(name).step if name in names else 1 for name in ('OffsetX', 'OffsetY')),  # type: ignore[arg-type]
        float(int.from_bytes(camera.read_register(_TICK_HZ_REGISTER, 8), 'big')) or 1e9,
        latch,
    )


def choose_format(camera: Any, options: GigeOptions) -> None:
    """Set the pixel format that the options ask for.

    Raises
    ------
    DeviceFault
        ``camera.settings``: the camera does not have it.
    """
    if options.pixel_format == KEEP:
        return
    offered = camera.available_enum_entries('PixelFormat')
    wanted = DEEPEST_FIRST if options.pixel_format == DEEPEST else (options.pixel_format,)
    chosen = next((name for name in wanted if name in offered), None)
    if chosen is None:
        raise DeviceFault('camera.settings', f'pixel format {wanted[-1]}: the camera has {", ".join(offered)}')
    camera.set_enum('PixelFormat', chosen)


@dataclass(frozen=True)
class Native:
    """Settings in the camera's units.

    Attributes
    ----------
    region : (int, int, int, int)
        Offsets and size that the camera reads out: the asked-for region, widened to its steps.
    cut : (int, int)
        First column and row of the asked-for region in it.
    given : CameraSettings
        With the gain that the camera has.
    """

    exposure_us: float
    gain: float
    rate_hz: float
    region: tuple[int, int, int, int]
    cut: tuple[int, int]
    roi: Roi
    given: CameraSettings


def native(settings: CameraSettings, model: CameraModel, abilities: Abilities, options: GigeOptions) -> Native:
    """Settings for a camera.

    Raises
    ------
    DeviceFault
        ``camera.settings``: out of the range of the station's settings or of the camera.
    """
    roi = settings.roi or Roi(0, 0, model.width_px, model.height_px)
    exposure_us = settings.exposure_s * 1e6
    limits = (
        ('exposure_s', settings.exposure_s, model.min_exposure_s, model.max_exposure_s),
        ('exposure in us', exposure_us, abilities.exposure_us.least, abilities.exposure_us.most),
        ('gain', settings.gain, 1.0, model.max_gain),
        ('rate_hz', settings.rate_hz, 1e-3, 1 / settings.exposure_s if settings.exposure_s > 0 else 0.0),
        ('roi.width_px', roi.width_px, 1, model.width_px),
        ('roi.height_px', roi.height_px, 1, model.height_px),
        ('roi.x0_px', roi.x0_px, 0, model.width_px - roi.width_px),
        ('roi.y0_px', roi.y0_px, 0, model.height_px - roi.height_px),
    )
    for name, value, least, most in limits:
        if not least <= value <= most * (1 + 1e-9):
            raise DeviceFault('camera.settings', f'{name} = {value:g} is not within {least:g} to {most:g}')
    gain, linear = _gain(settings.gain, abilities, options)
    x0, width = _widened(roi.x0_px, roi.width_px, abilities.offset_step[0], abilities.width)
    y0, height = _widened(roi.y0_px, roi.height_px, abilities.offset_step[1], abilities.height)
    given = CameraSettings(settings.exposure_s, linear, settings.rate_hz, roi)
    return Native(
        exposure_us, gain, settings.rate_hz, (x0, y0, width, height), (roi.x0_px - x0, roi.y0_px - y0), roi, given
    )


def _gain(linear: float, abilities: Abilities, options: GigeOptions) -> tuple[float, float]:
    """Value of the gain feature for a linear gain, and the linear gain that it gives."""
    limits = abilities.gain
    if abilities.gain_in_db:
        value, got = limits.least + 20 * log10(linear), linear
    elif options.gain_db_per_unit:
        units = round(20 * log10(linear) / options.gain_db_per_unit)
        value, got = limits.least + units, 10 ** (units * options.gain_db_per_unit / 20)
    else:
        value = limits.least + round(linear - 1)
        got = 1 + value - limits.least
    if value > limits.most:
        raise DeviceFault('camera.settings', f'gain = {linear:g} is more than the camera has')
    return value, got


def _widened(first: int, size: int, step: int, sizes: Range) -> tuple[int, int]:
    """Offset and size on the steps of the camera that contain a range of pixels; the sensor may end before."""
    begin = first // step * step
    least = max(first + size - begin, round(sizes.least))
    wide = -(-least // sizes.step) * sizes.step
    over = begin + wide - round(sizes.most)
    if over > 0:
        begin -= -(-over // step) * step
    return max(begin, 0), min(wide, round(sizes.most))
