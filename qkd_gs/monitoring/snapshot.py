"""Snapshot of a running station for a view."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import nan

from qkd_gs.monitoring.health import EVENING, NodeHealth
from qkd_gs.monitoring.readiness import ComingPass, Level, Readiness
from qkd_gs.timing.live import CountBin
from qkd_gs.tracking.types import Phase

NO_STATION = Readiness(Level.ERROR, 'no station found')


class KeyStep(IntEnum):
    """States of KeyState."""

    IDLE = 0
    WORKING = 1
    DONE = 2
    FAILED = 3


@dataclass(frozen=True)
class KeyProgress:
    """Progress of the key of a session; lengths and rates only.

    Attributes
    ----------
    fraction : float
        Progress of the step, 0 to 1; NaN: unknown.
    sifted_bits, secret_bits : int
        -1: unknown.
    qber, sync_rms_ns : float
        NaN: unknown.
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
class SessionStatus:
    """Status of the tracker.

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
class SpotStatistics:
    """Offsets of the spot in the last seconds, urad; RMS of each second, oldest first, NaN: no spot in it."""

    rms_x_urad: float = nan
    rms_y_urad: float = nan
    seconds_x_urad: tuple[float, ...] = ()
    seconds_y_urad: tuple[float, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """The station at `now_ns` (station time, UTC); None and NaN where nothing is known.

    Attributes
    ----------
    speed : float
        Seconds of station time per second.
    coming : ComingPass or None
        The pass that comes next; None: not known, or none within a day if it is `planned`.
    planned : bool
        Whether the planner has told it.
    el_rad, range_m : float
        Of the satellite.
    """

    now_ns: int
    speed: float = 1.0
    readiness: Readiness = NO_STATION
    session: SessionStatus | None = None
    coming: ComingPass | None = None
    planned: bool = False
    el_rad: float = nan
    range_m: float = nan
    spot: SpotStatistics = SpotStatistics()
    counts: CountBin | None = None
    key: KeyProgress | None = None
    nodes: tuple[NodeHealth, ...] = ()

    @property
    def evening(self) -> str:
        """Sentence on the evening's step and its wait; empty: no evening is under way, or its node is silent."""
        return next((node.doing for node in self.nodes if node.name == EVENING and not node.silent), '')
