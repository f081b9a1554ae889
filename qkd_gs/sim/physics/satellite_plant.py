"""Simulated satellite: answers our beacon with its own."""

from __future__ import annotations

from math import exp

from qkd_gs.settings.twin_plant import SatellitePlantSettings
from qkd_gs.sim.physics.photometry import beam_irradiance


class SatellitePlant:
    """Turns its 532 nm beacon on after ours has covered it for some time, and off some time after losing it.

    Its beam starts with an initial pointing error, which decays exponentially while it sees our beacon.
    """

    def __init__(self, plant: SatellitePlantSettings) -> None:
        self._plant = plant
        self._covered_s = 0.0
        self._lost_s = 0.0
        self._error_rad = 0.0
        self.lit = False

    def advance(self, elapsed_s: float, uplink_w_m2: float) -> None:
        """Advance with this irradiance of our beacon at the satellite."""
        seen = uplink_w_m2 >= self._plant.threshold_w_m2
        self._covered_s = self._covered_s + elapsed_s if seen else 0.0
        self._lost_s = 0.0 if seen else self._lost_s + elapsed_s
        if not self.lit:
            if self._covered_s >= self._plant.cover_s and seen:
                self.lit = True
                self._error_rad = self._plant.initial_error_mrad * 1e-3
        elif self._lost_s >= self._plant.hold_s:
            self.lit = False
        elif seen:
            self._error_rad *= exp(-elapsed_s / self._plant.pointing_s)

    def downlink_w_m2(self, range_m: float) -> float:
        """Irradiance of its beacon at the station without air."""
        if not self.lit:
            return 0.0
        divergence_rad = self._plant.beacon_divergence_mrad * 1e-3
        return beam_irradiance(self._plant.beacon_w, divergence_rad, range_m, self._error_rad)
