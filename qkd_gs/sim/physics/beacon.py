"""Simulated 671 nm beacon: watchdog, interlock chain, true emission.  Beacon Protocol."""

from __future__ import annotations

import numpy as np

from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.station import BeaconSettings
from qkd_gs.settings.twin_plant import BeaconPlantSettings
from qkd_gs.sim.physics.true_errors import within_disc


class SimBeacon:
    """A laser that follows simulated time.

    Attributes
    ----------
    alignment_rad : (float, float)
        True direction of the beam from the telescope's line of sight: x to the right, y up in the tube.
    """

    def __init__(
        self, plant: BeaconPlantSettings, station: BeaconSettings, start_ns: int, rng: np.random.Generator
    ) -> None:
        self._watchdog_ns = round(plant.watchdog_s * 1e9)
        self._rise_ns = round(plant.rise_s * 1e9)
        self._interlock = plant.interlock
        self._full_w = station.power_w
        self.divergence_rad = station.divergence_mrad * 1e-3
        self.alignment_rad = within_disc(plant.alignment_error_mrad * 1e-3, rng)
        self._open_ns: tuple[tuple[int, int], ...] = ()
        self._since_ns: int | None = None  # start of emission
        self._heard_ns = start_ns
        self._now_ns = start_ns

    def open(self) -> None: ...

    def on(self, now_ns: int) -> None:
        """Emit until the watchdog expires; see the Protocol.

        Raises
        ------
        DeviceFault
            ``beacon.interlock``: the interlock chain is open.
        """
        if not self._closed(now_ns):
            raise DeviceFault('beacon.interlock', 'the interlock chain is open')
        if self._since_ns is None:
            self._since_ns = now_ns
        self._heard_ns = now_ns

    def off(self, now_ns: int) -> None:
        """Turn off at once."""
        self._since_ns = None

    def read(self, now_ns: int) -> BeaconReading:
        """Reading of the laser."""
        power_w = self.emission_w()
        return BeaconReading(self._now_ns, self._since_ns is not None, power_w, self._closed(now_ns))

    def close(self) -> None:
        """Turn off."""
        self._since_ns = None

    # ---- simulation side ----

    def schedule(self, rise_ns: int) -> None:
        """Schedule the interlock openings of the scenario."""
        self._open_ns = tuple(
            (rise_ns + round(o.start_s * 1e9), rise_ns + round((o.start_s + o.duration_s) * 1e9))
            for o in self._interlock
        )

    def advance(self, now_ns: int) -> None:
        """Advance to `now_ns`; watchdog and interlock turn the light off."""
        self._now_ns = now_ns
        if now_ns - self._heard_ns > self._watchdog_ns or not self._closed(now_ns):
            self._since_ns = None

    def emission_w(self) -> float:
        """Power emitted now."""
        if self._since_ns is None:
            return 0.0
        lit_ns = self._now_ns - self._since_ns
        return self._full_w * (min(max(lit_ns / self._rise_ns, 0.0), 1.0) if self._rise_ns else 1.0)

    def _closed(self, now_ns: int) -> bool:
        return not any(start <= now_ns < end for start, end in self._open_ns)
