"""Base of every observation: its task, its inputs, and its outputs.

Each of them wraps a core that is stepped, and keeps its result in the state folder.  What it waits for at the
beginning, an image or a count, is waited for without a limit: whoever has asked says when it is too late.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, ClassVar

from qkd_gs.calibration.light.survey import LightBin
from qkd_gs.calibration.measured_delays import DelaysTold
from qkd_gs.calibration.star_focus import FocuserSeen
from qkd_gs.devices.calibration_light import CalibrationLightReading
from qkd_gs.devices.camera import Frame
from qkd_gs.devices.hwp import HwpReading
from qkd_gs.devices.mount import MountReading
from qkd_gs.pointing.mount_model import AxisMotion
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.tracking.types import CameraRequest, CameraRole, MountTask, SpotMeasurement

CLOSING_S = 180.0  # longest wait for a closed shutter


class ObservationKind(IntEnum):
    """Tasks of the action `observe`."""

    FIND = 1
    STAR_TEST = 2
    NOISE_MAP = 3
    FOCUS = 4
    DARK = 5
    CHECK = 6
    POLARIZATION = 7
    DELAYS = 8


class ObservationState(Enum):
    """States of an observation."""

    RUNNING = 'running'
    DONE = 'done'  # `Observation.keep` gives its result
    FAILED = 'failed'


@dataclass(frozen=True)
class Sensed:
    """Measurements of the station since the last step, oldest first.

    Attributes
    ----------
    dome : str or None
        Code of the supervisor's reason for a shutter that is not open (`qkd_gs.safety.enclosure`); empty: it is open,
        or there is none; None: not known yet.
    hwp, light : reading or None
        The newest of the half-wave plate and of the calibration light; None: none yet.
    beacon_lit : bool or None
        Whether our beacon emits; None: not known yet.
    delays : DelaysTold or None
        The last that the detector process has told; None: none yet.
    """

    mount: MountReading
    guiding: tuple[SpotMeasurement, ...] = ()
    tracking: tuple[SpotMeasurement, ...] = ()
    frames: tuple[Frame, ...] = ()  # full images of the camera of `Observation.images`
    bins: tuple[LightBin, ...] = ()
    focuser: FocuserSeen | None = None
    dome: str | None = ''
    hwp: HwpReading | None = None
    light: CalibrationLightReading | None = None
    beacon_lit: bool | None = None
    delays: DelaysTold | None = None


@dataclass(frozen=True)
class Observed:
    """Command and progress.

    Attributes
    ----------
    axes : AxisMotion or None
        None: stop.
    work : callable or None
        Seconds of computing; whoever steps has it done elsewhere, once, and gives the result to `Observation.finish`.
    focus_to : int or None
        Position that the focuser shall have; None: the present one.
    hwp_to : float or None
        Angle on the rotator's own scale to which the half-wave plate shall turn, rad; None: it stands.
    light : float
        Brightness of the calibration light, share of its full one; 0: off.
    """

    state: ObservationState
    axes: AxisMotion[float] | None
    message: str
    work: Callable[[], Any] | None = None
    focus_to: int | None = None
    hwp_to: float | None = None
    light: float = 0.0


@dataclass(frozen=True)
class Place:
    """Station, site and state folder of an observation."""

    site: Site
    station: StationSettings  # as the settings have it
    pointing: StoredPointing
    folder: Path

    @property
    def refined(self) -> StationSettings:
        """The settings as calibrated."""
        return self.pointing.refine(self.station)


class Observation(ABC):
    """One observation; `step` until it is over, then `keep`."""

    task: MountTask  # it may change meanwhile
    requests: Mapping[CameraRole, CameraRequest]
    images: ClassVar[CameraRole | None] = None  # camera of which it needs the images

    def __init__(self, place: Place) -> None:
        self._place = place
        self._failed = ''

    def step(self, now_ns: int, sensed: Sensed) -> Observed:
        """Take what was measured since the last step."""
        if self._failed:
            return Observed(ObservationState.FAILED, None, self._failed)
        return self._go_on(now_ns, sensed)

    @abstractmethod
    def _go_on(self, now_ns: int, sensed: Sensed) -> Observed:
        """A step of an observation that has not failed."""

    def finish(self, now_ns: int, result: Any) -> None:  # noqa: B027  most compute nothing elsewhere
        """Take the result of `Observed.work`."""

    def abort(self, why: str = 'aborted by the operator') -> None:
        """Stop; nothing is kept."""
        self._failed = self._failed or why

    @abstractmethod
    def keep(self, now_ns: int) -> str:
        """Keep the result; one sentence."""
