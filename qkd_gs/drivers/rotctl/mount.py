"""Mount behind Hamlib's rotctld: positions alone, a few set-points a second; for coarse work."""

from __future__ import annotations

from pydantic import Field, field_validator

from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.devices.mount import Mount
from qkd_gs.drivers.connection import checked_host
from qkd_gs.drivers.rotctl.link import RotctlLink
from qkd_gs.drivers.rotctl.probe import probe
from qkd_gs.drivers.slewed_mount import SlewedMount, SlewedOptions, capability_of


class RotctlOptions(SlewedOptions):
    """Options of the driver ``mount.rotctl``."""

    host: str = Field('127.0.0.1', description='IP address of rotctld')
    port: int = Field(4533, ge=1, le=65535, description='its TCP port')
    timeout_s: float = Field(1.0, gt=0, le=10, description='longest time without an answer (mount.silent)')

    @field_validator('host')
    @classmethod
    def _host(cls, value: str) -> str:
        return checked_host(value)


@driver(RotctlOptions, probe, capability_of)
def rotctl(context: DriverContext[RotctlOptions]) -> Mount:
    """Driver ``mount.rotctl``."""
    options = context.options
    return SlewedMount(RotctlLink(options.host, options.port, options.timeout_s), options, context.station.mount)
