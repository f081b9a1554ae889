"""Options of the driver."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from qkd_gs.settings.loader import Section


class CoboltOptions(Section):
    """Options of the driver ``beacon.cobolt``."""

    port: str = Field(min_length=1, description='serial port, e.g. /dev/ttyUSB0, or socket://HOST:PORT')
    baud: int = Field(115200, ge=1200, le=1_000_000, description='bits per second')
    serial_number: str | None = Field(None, min_length=1, description='another laser is refused')
    series: Literal['diode', 'dpss'] = Field(
        'dpss', description='meaning of the states (gom?): diode: 06-01; dpss: 04-01, 05-01, 08-01, which warm up'
    )
    rated_power_w: float = Field(
        gt=0, le=10, description="[W] largest power of the laser; the station's must not exceed it"
    )
    start_power_w: float = Field(0.05, gt=0, le=10, description='[W] power with which the ramp begins')
    ramp_s: float = Field(0.5, ge=0, le=60, description='[s] from the start power to full power')
    watchdog_s: float = Field(0.25, ge=0.1, le=1, description='[s] off when on() has not been repeated for so long')
    timeout_s: float = Field(0.2, ge=0.05, le=1, description='[s] longest time until an answer')
    disable_autostart: bool = Field(
        False, description='switch autostart off in the laser; with autostart it would emit by itself, and is refused'
    )
    clear_interlock_fault: bool = Field(
        False, description='clear the fault that an opened interlock leaves once it is closed; else a person does it'
    )
