"""Options of the driver ``gige``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from qkd_gs.settings.loader import Section

KEEP, DEEPEST = 'keep', 'deepest'
DEEPEST_FIRST = (
    'Mono16', 'Mono14p', 'Mono14', 'Mono12p', 'Mono12Packed', 'Mono12', 'Mono10p', 'Mono10Packed', 'Mono10', 'Mono8',
)  # fmt: skip


class GigeOptions(Section):
    """Options of the drivers ``guiding_camera.gige`` and ``tracking_camera.gige``."""

    address: str = Field(pattern=r'^\d+\.\d+\.\d+\.\d+$', description='IPv4 address of the camera')
    interface: str | None = Field(
        None, description='network interface of this machine that the camera is on, its name or address; None: any'
    )
    serial_number: str | None = Field(None, description='another camera is refused')
    pixel_format: str = Field(
        DEEPEST, description=f"GenICam name, e.g. Mono12p; '{DEEPEST}': monochrome with most bits; '{KEEP}': as it is"
    )
    packet_size: int | None = Field(
        None, ge=576, le=65000, description='[bytes] of the stream, 9000 with jumbo frames; None: as the camera has it'
    )
    clock: Literal['latch', 'ptp', 'arrival'] = Field(
        'latch',
        description='how time stamps of the camera become station time: by latching its counter; '
        'its clock is that of this machine (IEEE 1588); by the arrival of its images, less latency_s',
    )
    ptp_ahead_s: float = Field(
        0.0, ge=-100, le=100, description='[s] clock of the camera minus UTC, with clock: ptp; 37 for TAI'
    )
    latency_s: float = Field(
        0.0, ge=0, le=1, description='[s] least time from time stamp to arrival, with clock: arrival; to be measured'
    )
    stamp_at: Literal['start', 'end'] = Field('start', description='part of the exposure that the time stamp tells')
    stamp_offset_s: float = Field(
        0.0, ge=-0.1, le=0.1, description='[s] time stamp minus that part of the exposure, from the data sheet'
    )
    gain_db_per_unit: float = Field(
        0.0, ge=0, le=10, description='[dB] of one unit of GainRaw, where Gain is missing; 0: the gain is 1 + GainRaw'
    )
    pipeline_frames: int = Field(
        0, ge=0, le=5, description='images after a change of exposure or gain that still have the settings before'
    )
    timeout_s: float = Field(
        1.0, ge=0.2, le=1.5, description='[s] longest time without an image beyond its period, or without an answer'
    )
    late_s: float = Field(
        0.1, ge=0.005, le=1, description='[s] an image that arrives later after its exposure counts as late'
    )
    most_lost: float = Field(
        0.05, ge=0, le=1, description='share of lost, damaged and late images of the last two seconds that is reported'
    )
