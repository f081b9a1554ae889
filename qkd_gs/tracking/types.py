"""What crosses the seams of the tracking loop."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.devices.camera import CameraSettings
from qkd_gs.devices.mount import MountCommand, MountReading


class CameraRole(IntEnum):
    """Which camera."""

    GUIDING = 0
    TRACKING = 1


class Phase(IntEnum):
    """Phases of a pass, in order; LOST goes back to ACQUIRE."""

    IDLE = 0
    SLEW = 1  # to the first point of the plan
    WAIT = 2  # there, waiting for the satellite to rise
    ACQUIRE = 3  # following the prediction, searching with our beacon, looking for theirs
    COARSE = 4  # centred by the guiding camera
    FINE = 5  # held by the tracking camera: locked
    LOST = 6  # the beacon faded: following the corrected prediction
    END = 7  # the pass is over
    PARK = 8


@dataclass(frozen=True)
class SpotMeasurement:
    """What a camera process says of one frame."""

    camera: CameraRole
    stamp_ns: int  # mid-exposure
    found: bool
    x_px: float  # full-sensor pixels, centre of (0, 0) is 0, 0; NaN if not found
    y_px: float
    snr: float
    flux: float  # photo-electrons


@dataclass(frozen=True)
class TrackerInputs:
    """Everything new since the last step."""

    mount: MountReading
    beacon: BeaconReading
    spots: tuple[SpotMeasurement, ...] = ()  # oldest first


@dataclass(frozen=True)
class TrackerOutputs:
    """What the tracker wants done, and what it knows."""

    phase: Phase
    mount: MountCommand | None  # None: do not move
    beacon_on: bool
    frame_rad: float  # polarization frame from measured axis angles and estimated time bias
    frame_rate_rad_s: float
    guiding: CameraSettings | None  # wanted settings, None: no change
    tracking: CameraSettings | None
    time_bias_s: float  # estimated: positive if the satellite runs ahead of its elements
    cross_track_m: float  # estimated, along the orbit normal
    error_x_urad: float  # last measured offset on the tracking camera, cross-elevation; NaN if none
    error_y_urad: float  # elevation
