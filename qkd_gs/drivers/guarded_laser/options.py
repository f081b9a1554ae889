"""Options of every such laser."""

from __future__ import annotations

from pydantic import Field

from qkd_gs.settings.loader import Section


class LaserOptions(Section):
    """Options that all drivers of such lasers have; a driver adds its own."""

    serial_number: str | None = Field(None, min_length=1, description='another laser is refused')
    rated_power_w: float = Field(
        gt=0, le=10, description="[W] largest power of the laser; the station's must not exceed it"
    )
    start_power_w: float = Field(0.05, gt=0, le=10, description='[W] power with which the ramp begins')
    ramp_s: float = Field(0.5, ge=0, le=60, description='[s] from the start power to full power')
    watchdog_s: float = Field(0.25, ge=0.1, le=1, description='[s] off when on() has not been repeated for so long')
    timeout_s: float = Field(0.2, ge=0.05, le=1, description='[s] longest time until an answer')
