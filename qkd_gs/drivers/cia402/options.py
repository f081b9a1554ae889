"""Options of the driver."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from qkd_gs.settings.loader import Section


class DriveOptions(Section):
    """One drive and its encoder."""

    node_id: int = Field(ge=1, le=126, description='CANopen node id')
    counts_per_turn: int = Field(
        2**26, ge=1000, le=2**30, description='position units of the drive per turn of the axis'
    )
    zero_counts: int = Field(0, ge=-(2**31), le=2**31 - 1, description='position of the drive at encoder angle 0')
    sign: Literal[1, -1] = Field(1, description='-1: counts grow against the angle')
    serial_number: int | None = Field(None, ge=0, description='object 1018:4; another drive is refused')
    following_error_deg: float = Field(0.5, gt=0, le=10, description='[deg] the drive faults beyond it')


class Cia402Options(Section):
    """Options of the driver ``mount.cia402``."""

    interface: str = Field('socketcan', min_length=1, description='interface of python-can')
    channel: str = Field('can0', min_length=1, description='channel of that interface')
    bus: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description='further arguments of python-can, e.g. {bitrate: 1000000}'
    )
    azimuth: DriveOptions
    elevation: DriveOptions
    mode: Literal['position', 'velocity'] = Field(
        'position', description='cyclic synchronous position (the drive closes the position loop), or velocity'
    )
    position_gain_per_s: float = Field(
        5.0, gt=0, le=50, description="[1/s] gain of the driver's position loop; mode velocity only"
    )
    cycle_s: float = Field(0.01, ge=0.001, le=0.1, description='[s] period of the set-points')
    guard_s: float = Field(
        0.1, ge=0.03, le=0.3, description='[s] the drives quick-stop when the driver has not worked for so long'
    )
    timeout_s: float = Field(0.2, ge=0.05, le=1, description='[s] longest silence of a drive')
    master_id: int = Field(127, ge=1, le=127, description='node id of the driver, for its heartbeat')
