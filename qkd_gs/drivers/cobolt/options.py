"""Options of the driver."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from qkd_gs.drivers.guarded_laser.options import LaserOptions


class CoboltOptions(LaserOptions):
    """Options of the driver ``beacon.cobolt``."""

    port: str = Field(min_length=1, description='serial port, e.g. /dev/ttyUSB0, or socket://HOST:PORT')
    baud: int = Field(115200, ge=1200, le=1_000_000, description='bits per second')
    series: Literal['diode', 'dpss'] = Field(
        'dpss', description='meaning of the states (gom?): diode: 06-01; dpss: 04-01, 05-01, 08-01, which warm up'
    )
    disable_autostart: bool = Field(
        False, description='switch autostart off in the laser; with autostart it would emit by itself, and is refused'
    )
    clear_interlock_fault: bool = Field(
        False, description='clear the fault that an opened interlock leaves once it is closed; else a person does it'
    )
