"""Begin an observation of a kind."""

from __future__ import annotations

from collections.abc import Callable

from qkd_gs.calibration.observing.check import CheckObservation
from qkd_gs.calibration.observing.dark import DarkObservation
from qkd_gs.calibration.observing.delays import DelayObservation
from qkd_gs.calibration.observing.find import FindItself
from qkd_gs.calibration.observing.focus import FocusObservation
from qkd_gs.calibration.observing.light import LightObservation
from qkd_gs.calibration.observing.observation import Observation, ObservationKind, Place
from qkd_gs.calibration.observing.polarization import PolarizationObservation
from qkd_gs.calibration.plate_solving.solver import PlateSolver
from qkd_gs.errors import StationError


def begin_observation(kind: ObservationKind, place: Place, solver: PlateSolver, now_ns: int) -> Observation:
    """An observation of a kind that begins now.

    Raises
    ------
    StationError
        The pointing is not calibrated, or no star can be used.
    """
    if kind is ObservationKind.FIND:
        return FindItself(place, solver)
    behind_the_shutter: dict[ObservationKind, Callable[[Place], Observation]] = {
        ObservationKind.DARK: DarkObservation,
        ObservationKind.POLARIZATION: PolarizationObservation,
        ObservationKind.DELAYS: DelayObservation,
    }
    if kind in behind_the_shutter:
        return behind_the_shutter[kind](place)
    if place.pointing.coarse:
        raise StationError('the pointing is not calibrated', hint='run `qkd-gs calibrate`')
    if kind is ObservationKind.CHECK:
        return CheckObservation(place, now_ns)
    if kind is ObservationKind.FOCUS:
        return FocusObservation(place)
    return LightObservation(kind, place)
