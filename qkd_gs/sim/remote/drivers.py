"""Drivers of the simulated devices, as the registry finds them; each imports its device when it is made."""

from __future__ import annotations

from qkd_gs.devices.aircraft import AircraftReceiver
from qkd_gs.devices.beacon import Beacon
from qkd_gs.devices.calibration_light import CalibrationLight
from qkd_gs.devices.camera import Camera
from qkd_gs.devices.dome import Dome
from qkd_gs.devices.driver import DriverContext, NoOptions, driver
from qkd_gs.devices.focuser import Focuser
from qkd_gs.devices.gps import Gps
from qkd_gs.devices.hwp import HwpRotator
from qkd_gs.devices.mount import Mount
from qkd_gs.devices.tdc import Tdc
from qkd_gs.devices.weather import Weather


@driver(NoOptions)
def mount(context: DriverContext[NoOptions]) -> Mount:
    """Driver ``mount.sim``."""
    from qkd_gs.sim.remote.actuators import RemoteMount

    return RemoteMount(context.station.mount, context.link)


@driver(NoOptions)
def beacon(context: DriverContext[NoOptions]) -> Beacon:
    """Driver ``beacon.sim``."""
    from qkd_gs.sim.remote.actuators import RemoteBeacon

    return RemoteBeacon(context.link)


@driver(NoOptions)
def hwp(context: DriverContext[NoOptions]) -> HwpRotator:
    """Driver ``hwp.sim``."""
    from qkd_gs.sim.remote.actuators import RemoteHwp

    return RemoteHwp(context.link)


@driver(NoOptions)
def guiding_camera(context: DriverContext[NoOptions]) -> Camera:
    """Driver ``guiding_camera.sim``."""
    from qkd_gs.sim.remote.sensors import RemoteCamera
    from qkd_gs.tracking.types import CameraRole

    return RemoteCamera(CameraRole.GUIDING, context.link.setup, context.link)


@driver(NoOptions)
def tracking_camera(context: DriverContext[NoOptions]) -> Camera:
    """Driver ``tracking_camera.sim``."""
    from qkd_gs.sim.remote.sensors import RemoteCamera
    from qkd_gs.tracking.types import CameraRole

    return RemoteCamera(CameraRole.TRACKING, context.link.setup, context.link)


@driver(NoOptions)
def tdc(context: DriverContext[NoOptions]) -> Tdc:
    """Driver ``tdc.sim``."""
    from qkd_gs.sim.remote.sensors import RemoteTdc

    return RemoteTdc(context.link.setup, context.link)


@driver(NoOptions)
def gps(context: DriverContext[NoOptions]) -> Gps:
    """Driver ``gps.sim``; independent of the world."""
    from qkd_gs.sim.photons.tdc_gps import SimGps

    return SimGps(context.link.setup.settings.photonics, context.site)


@driver(NoOptions)
def aircraft(context: DriverContext[NoOptions]) -> AircraftReceiver:
    """Driver ``aircraft.sim``; independent of the world."""
    from qkd_gs.sim.traffic import SimAircraft

    return SimAircraft(context.link.setup)


@driver(NoOptions)
def weather(context: DriverContext[NoOptions]) -> Weather:
    """Driver ``weather.sim``; independent of the world."""
    from qkd_gs.sim.enclosure import SimWeather

    return SimWeather(context.link.setup)


@driver(NoOptions)
def dome(context: DriverContext[NoOptions]) -> Dome:
    """Driver ``dome.sim``; independent of the world."""
    from qkd_gs.sim.remote.sensors import RemoteDome

    return RemoteDome(context.link.setup, context.link)


@driver(NoOptions)
def focuser(context: DriverContext[NoOptions]) -> Focuser:
    """Driver ``focuser.sim``."""
    from qkd_gs.sim.remote.actuators import RemoteFocuser

    return RemoteFocuser(context.link)


@driver(NoOptions)
def calibration_light(context: DriverContext[NoOptions]) -> CalibrationLight:
    """Driver ``calibration_light.sim``."""
    from qkd_gs.sim.remote.calibration_light import RemoteCalibrationLight

    return RemoteCalibrationLight(context.link)
