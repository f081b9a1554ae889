"""All that a view of the running station shows, at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import nan

from qkd_gs.monitoring.health import NodeHealth
from qkd_gs.monitoring.readiness import ComingPass, Level, Readiness
from qkd_gs.timing.live import CountBin
from qkd_gs.tracking.types import Phase

NOTHING_HEARD = Readiness(Level.ERROR, 'no station is heard')


class KeyStep(IntEnum):
    """States of KeyState."""

    IDLE = 0
    WORKING = 1
    DONE = 2
    FAILED = 3


@dataclass(frozen=True)
class KeyNews:
    """How far the key of a session is; lengths and rates only.

    Attributes
    ----------
    fraction : float
        Of the step that is done, 0 to 1; NaN: not known.
    sifted_bits, secret_bits : int
        -1: not known yet.
    qber, sync_rms_ns : float
        NaN: not known yet.
    """

    state: KeyStep = KeyStep.IDLE
    folder: str = ''
    simulated: bool = False
    step: str = ''
    fraction: float = nan
    sifted_bits: int = -1
    secret_bits: int = -1
    qber: float = nan
    sync_rms_ns: float = nan
    message: str = ''


@dataclass(frozen=True)
class SessionNews:
    """What the tracker is doing.

    Attributes
    ----------
    time_bias_s, cross_track_m : float
        Estimated error of the orbit; NaN: not measured.
    error_x_urad, error_y_urad : float
        Offset of a new spot on the tracking camera, cross-elevation and elevation; NaN: none in this step.
    """

    stamp_ns: int
    phase: Phase
    satellite: str = ''
    folder: str = ''
    simulated: bool = False
    time_bias_s: float = nan
    cross_track_m: float = nan
    error_x_urad: float = nan
    error_y_urad: float = nan


@dataclass(frozen=True)
class SpotFigures:
    """Offsets of the spot in the last seconds, urad; an axis' seconds are oldest first, NaN: no spot in it."""

    rms_x_urad: float = nan
    rms_y_urad: float = nan
    seconds_x_urad: tuple[float, ...] = ()
    seconds_y_urad: tuple[float, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """The station at `now_ns` (station time, UTC); None and NaN where nothing was heard.

    Attributes
    ----------
    speed : float
        Seconds of station time a second.
    el_rad, range_m : float
        Of the satellite.
    """

    now_ns: int
    speed: float = 1.0
    readiness: Readiness = NOTHING_HEARD
    session: SessionNews | None = None
    coming: ComingPass | None = None
    el_rad: float = nan
    range_m: float = nan
    spot: SpotFigures = SpotFigures()
    counts: CountBin | None = None
    key: KeyNews | None = None
    nodes: tuple[NodeHealth, ...] = ()
