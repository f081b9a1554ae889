"""Polarized trusted light of the twin: what the four detectors count while the half-wave plate turns."""

from __future__ import annotations

from math import pi, radians

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.calibration.hwp_zero import HwpZero, fit_hwp_zero
from qkd_gs.qkd.sifting.states import PulseStates
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import TwinSettings
from qkd_gs.sim.photons.calibration_photons import mounting_error_rad
from qkd_gs.sim.photons.detectors import BB84Module
from qkd_gs.timing.tags import QUANTUM

_ANGLES = 24  # over half a turn
_PHOTONS = 100_000  # at each: some seconds of a dimmed lamp
_LEVEL_DEG = 0.05  # of the polarizer: a good bubble level
_STREAM = 0x48575A


def measure_hwp_zero(settings: TwinSettings, station: StationSettings, seed: int) -> HwpZero:
    """Calibrate the zero of the half-wave plate as an operator does when the station is set up.

    A polarizer in front of the telescope, level within 0.05 deg, lets horizontal light through.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, _STREAM]))
    level_rad = radians(_LEVEL_DEG) * rng.uniform(-1, 1)
    zero_rad, parity = radians(station.hwp.zero_deg), station.hwp.parity
    mounting_rad = mounting_error_rad(settings, seed)
    hwp_rad = pi * np.arange(_ANGLES) / _ANGLES
    ahead_rad = level_rad - 2 * parity * (hwp_rad + mounting_rad - zero_rad)
    counts = np.stack([_counts(settings, angle, rng) for angle in ahead_rad.tolist()])
    return fit_hwp_zero(hwp_rad, counts, 0.0, zero_rad, parity)


def _counts(settings: TwinSettings, ahead_rad: float, rng: np.random.Generator) -> IntArray:
    """Clicks of H, V, D, A for light whose polarization is ahead of the analyser's H axis."""
    module = BB84Module(settings.photonics.spads, settings.photonics.polarization)
    nothing = np.zeros(_PHOTONS, np.uint8)
    angle: FloatArray = np.full(_PHOTONS, ahead_rad)
    channel = module.measure(PulseStates(nothing, nothing, nothing), angle, rng)
    return np.bincount(channel, minlength=len(QUANTUM) + 1)[1:].astype(np.int64)
