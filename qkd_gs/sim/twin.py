"""The whole twin of one pass: the physical world, the photons, and what the satellite remembers of them."""

from __future__ import annotations

from math import radians

import numpy as np

from qkd_gs.orbit.propagate import Orbit
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.pointing.polarization import frame_error
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import TwinSettings
from qkd_gs.sim.body import Interval
from qkd_gs.sim.clocks import DriftingClock
from qkd_gs.sim.light import SimGps, SimTdc
from qkd_gs.sim.photons import PhotonSource, Sky
from qkd_gs.sim.satellite_record import SatelliteRecord
from qkd_gs.sim.starfield import Stars
from qkd_gs.sim.truth import draw_orbit_error
from qkd_gs.sim.world import World

_MARGIN_NS = 120 * 10**9
_STREAM = 0x11C7  # keeps the photons' draws apart from the world's


def true_trajectory(
    settings: TwinSettings, orbit: Orbit, site: Site, start_ns: int, end_ns: int, seed: int
) -> Trajectory:
    """Where the satellite really is: the orbit with the errors that the seed draws."""
    time_bias_s, cross_track_m = draw_orbit_error(settings.body.orbit, seed)
    return Trajectory.predict(
        orbit,
        site,
        start_ns - _MARGIN_NS,
        end_ns + _MARGIN_NS,
        cross_track_m=cross_track_m,
        along_track_s=time_bias_s,
    )


class Twin:
    """World, converter and GPS receiver, advanced together.

    Parameters
    ----------
    truth : Trajectory
        From `true_trajectory`.
    start_ns : int
        UTC at which the world begins, the mount parked.
    seed : int
        Draws everything that the station does not know.
    stars : tuple of Stars
        Named stars, for calibration.
    """

    def __init__(
        self,
        settings: TwinSettings,
        station: StationSettings,
        truth: Trajectory,
        site: Site,
        start_ns: int,
        seed: int,
        stars: tuple[Stars, ...] = (),
    ) -> None:
        self.truth = truth
        self.world = World(settings, station, truth, site, seed, start_ns, stars)
        rng = np.random.default_rng(np.random.SeedSequence([seed, _STREAM]))
        clock = DriftingClock.drawn(0, settings.light.satellite_clock, rng)
        self.record = SatelliteRecord(
            seed=seed,
            source=station.source,
            beacon=settings.light.beacon,
            epoch_utc_ns=self.truth.epoch_ns,
            clock_offset_ps=clock.offset_ps,
            clock_rate=clock.rate,
            clock_drift_per_s=clock.drift_per_s,
        )
        source = PhotonSource(settings.light, station.detectors, self.record.transmitter(), truth, site.glow_cps, rng)
        self.tdc = SimTdc(settings.light, station.detectors, source, self.truth.epoch_ns, int(rng.integers(1 << 62)))
        self.gps = SimGps(settings.light, site)
        self._zero_rad, self._parity = radians(station.hwp.zero_deg), station.hwp.parity

    def advance(self, now_ns: int) -> Interval:
        """Let time go by; the true state over it, for sim/ alone."""
        self.world.advance(now_ns)
        interval = self.world.interval()
        if len(interval.t_ns) and np.isfinite(interval.target_el_rad[0]):
            self.tdc.observe(
                Sky(
                    t_ns=interval.t_ns,
                    offset_rad=np.hypot(
                        interval.tilt_x_rad - interval.offset_x_rad,
                        interval.tilt_y_rad - interval.offset_y_rad - interval.dispersion_rad,
                    ),
                    frame_error_rad=self.frame_error_rad(interval),
                    lit=interval.lit,
                    fade=interval.fade,
                )
            )
        return interval

    def frame_error_rad(self, interval: Interval) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Frame angle left uncorrected by the plate, (n,)."""
        return frame_error(interval.hwp_true_rad, self._zero_rad, interval.frame_true_rad, self._parity)


def pointing_error_rad(interval: Interval) -> tuple[float, float]:
    """Line of sight minus apparent direction of the 850 nm light, at the end of an interval: x, y.

    The photons come lower than the 532 nm beacon by the dispersion, and the line of sight is where the photons
    are caught: so the tracking figures are taken with this dispersion out.
    """
    return float(interval.offset_x_rad[-1]), float(interval.offset_y_rad[-1] + interval.dispersion_rad[-1])
