"""The kinds of devices of a station, each with the Protocol that its drivers implement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from qkd_gs.devices.aircraft import AircraftReceiver
from qkd_gs.devices.beacon import Beacon
from qkd_gs.devices.calibration_light import CalibrationLight
from qkd_gs.devices.camera import Camera
from qkd_gs.devices.dome import Dome
from qkd_gs.devices.focuser import Focuser
from qkd_gs.devices.gps import Gps
from qkd_gs.devices.hwp import HwpRotator
from qkd_gs.devices.mount import Mount
from qkd_gs.devices.tdc import Tdc
from qkd_gs.devices.weather import Weather

D = TypeVar('D')


@dataclass(frozen=True)
class DeviceKind(Generic[D]):
    """A kind of device; `D` is its Protocol.

    Attributes
    ----------
    name : str
        Key of the devices file, and first part of the name of an entry point.
    protocol : type
        The Protocol, checkable at run time.
    code : str
        First part of the codes of its faults.
    optional : bool
        A station may be without one; what it is needed for is then refused or, e.g. light, not permitted.
    """

    name: str
    protocol: type
    code: str
    optional: bool = False


MOUNT: DeviceKind[Mount] = DeviceKind('mount', Mount, 'mount')
GUIDING_CAMERA: DeviceKind[Camera] = DeviceKind('guiding_camera', Camera, 'camera')
TRACKING_CAMERA: DeviceKind[Camera] = DeviceKind('tracking_camera', Camera, 'camera')
BEACON: DeviceKind[Beacon] = DeviceKind('beacon', Beacon, 'beacon')
HWP: DeviceKind[HwpRotator] = DeviceKind('hwp', HwpRotator, 'hwp')
GPS: DeviceKind[Gps] = DeviceKind('gps', Gps, 'gps')
TDC: DeviceKind[Tdc] = DeviceKind('tdc', Tdc, 'tdc')
AIRCRAFT: DeviceKind[AircraftReceiver] = DeviceKind('aircraft', AircraftReceiver, 'aircraft', optional=True)
WEATHER: DeviceKind[Weather] = DeviceKind('weather', Weather, 'weather', optional=True)
DOME: DeviceKind[Dome] = DeviceKind('dome', Dome, 'dome', optional=True)
FOCUSER: DeviceKind[Focuser] = DeviceKind('focuser', Focuser, 'focuser', optional=True)
CALIBRATION_LIGHT: DeviceKind[CalibrationLight] = DeviceKind(
    'calibration_light', CalibrationLight, 'calibration_light', optional=True
)

_ALL: tuple[DeviceKind[Any], ...] = (
    MOUNT, GUIDING_CAMERA, TRACKING_CAMERA, BEACON, HWP, GPS, TDC, AIRCRAFT, WEATHER, DOME, FOCUSER,
    CALIBRATION_LIGHT,
)  # fmt: skip
KINDS = {kind.name: kind for kind in _ALL}
