"""Data types of the tracking loop."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.devices.camera import Roi
from qkd_gs.devices.mount import MountCommand, MountReading


class CameraRole(IntEnum):
    """One of the two cameras."""

    GUIDING = 0
    TRACKING = 1


class Phase(IntEnum):
    """Phases of a pass, in order; LOST goes back to ACQUIRE."""

    IDLE = 0
    SLEW = 1  # to the first point of the plan
    WAIT = 2  # there, waiting for the satellite to rise
    ACQUIRE = 3  # following the prediction, searching with our beacon, waiting for the satellite's
    COARSE = 4  # centred by the guiding camera
    FINE = 5  # centred by the tracking camera: locked
    LOST = 6  # the beacon is not seen: following the corrected prediction
    END = 7  # the pass is over
    PARK = 8


OVER = (Phase.END, Phase.PARK)
RECORDED = (Phase.SLEW, Phase.WAIT, Phase.ACQUIRE, Phase.COARSE, Phase.FINE, Phase.LOST)  # with tags of the TDC


class MountTask(IntEnum):
    """Task that moves the mount between passes, as `calibrator/busy` tells it."""

    NONE = 0
    CALIBRATING = 1
    PARKING = 2
    FINDING = 3  # the telescope finds its orientation
    MEASURING = 4  # photons of stars or of the sky are counted
    FOCUSING = 5  # on a star
    COUNTING_DARK = 6  # with the shutter closed
    CHECKING = 7  # of a calibration, on three stars
    POLARIZED_LIGHT = 8  # the calibration light is on, or about to be, behind the closed shutter
    MEASURING_DELAYS = 9  # the same; the detector process measures its delays

    @property
    def noun(self) -> str:
        """For people."""
        return _NOUNS[self]

    @property
    def under_the_sky(self) -> bool:
        """Whether it needs an open shutter."""
        return self not in (MountTask.NONE, MountTask.PARKING, MountTask.COUNTING_DARK, *CALIBRATION_LIGHT)


CALIBRATION_LIGHT = (MountTask.POLARIZED_LIGHT, MountTask.MEASURING_DELAYS)
# the detectors count meanwhile, and keep no tag
COUNTED = (MountTask.MEASURING, MountTask.COUNTING_DARK, *CALIBRATION_LIGHT)

_NOUNS = {
    MountTask.NONE: 'nothing',
    MountTask.CALIBRATING: 'a calibration',
    MountTask.PARKING: 'the way to the park position',
    MountTask.FINDING: 'the search for the orientation',
    MountTask.MEASURING: 'a measurement of light',
    MountTask.FOCUSING: 'an autofocus',
    MountTask.COUNTING_DARK: 'a count of the dark',
    MountTask.CHECKING: 'a check of the calibration',
    MountTask.POLARIZED_LIGHT: 'a measurement with the calibration light',
    MountTask.MEASURING_DELAYS: "a measurement of the detectors' delays",
}


@dataclass(frozen=True)
class SpotMeasurement:
    """Result of one image of a camera."""

    camera: CameraRole
    stamp_ns: int  # mid-exposure
    found: bool
    x_px: float  # full-sensor pixels, centre of (0, 0) is 0, 0; NaN if not found
    y_px: float
    snr: float
    flux: float  # photo-electrons


@dataclass(frozen=True)
class CameraRequest:
    """Request of the tracker to a camera; exposure and gain are left to the camera process.

    The camera process combines it with its exposure control into one `CameraSettings`; the exposure is never longer
    than one period of the requested rate.
    """

    rate_hz: float
    roi: Roi | None = None  # None: the full sensor
    stars: bool = False  # faint and at rest: expose as long as the rate allows


@dataclass(frozen=True)
class TrackerInputs:
    """Inputs since the last step."""

    mount: MountReading
    beacon: BeaconReading
    spots: tuple[SpotMeasurement, ...] = ()  # oldest first


@dataclass(frozen=True)
class TrackerOutputs:
    """Commands and estimates of the tracker."""

    phase: Phase
    mount: MountCommand | None  # None: do not move
    beacon_on: bool
    # as TargetState.polarization_angle_rad, but in the tube, from the measured axis angles, the mount model's roll and
    # the estimated time bias; holds at the stamp of the mount reading
    polarization_angle_rad: float
    polarization_rate_rad_s: float
    guiding: CameraRequest | None  # current request, repeated in every step; None: the camera may idle
    tracking: CameraRequest | None
    time_bias_s: float  # estimated: positive if the satellite runs ahead of its elements
    cross_track_m: float  # estimated, along the orbit normal
    error_x_urad: float  # newest accepted spot on the tracking camera minus its commanded position (the reference
    error_y_urad: float  #   shifted by the dispersion), cross-elevation and elevation; NaN if none in this step
