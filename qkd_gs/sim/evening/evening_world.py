"""The twin of an evening: its settings, its world, its weather, and where things are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from qkd_gs.calibration.stars import Star, load_stars
from qkd_gs.pointing.pass_window import pass_window_nearest
from qkd_gs.settings.twin import TwinSettings, under_real_stars
from qkd_gs.sim.enclosure import SimWeather
from qkd_gs.sim.imaging.catalogue_stars import NamedStars
from qkd_gs.sim.physics.focus import SimFocuser
from qkd_gs.sim.simulate import Simulation, Watcher
from qkd_gs.sim.simulation_setup import SimulationSetup
from qkd_gs.sim.world import World

_PIECE_NS = 10 * 10**9


@dataclass(frozen=True)
class EveningSimulation:
    """Parameters of a simulated evening.

    Attributes
    ----------
    simulation : Simulation
        ``at_ns``: UTC of the beginning.
    state_dir, sessions_dir : Path
        Folder of calibration and journal, and of the passes' sessions.
    compass_error_rad : float
        Added to the error of the compass, which is within 10 deg: one that was misread.
    stars_file : Path or None
        List of stars of the station; None: config/stars.csv. The sky shows all stars in any case.
    sealing_key, make_key, write_report : callables
        Session id to public key; session folder to its result; session folder to its report.
    """

    simulation: Simulation
    state_dir: Path
    sessions_dir: Path
    sealing_key: Callable[[str], bytes]
    make_key: Callable[[Path], dict[str, Any]]
    write_report: Callable[[Path], object]
    watcher: Watcher
    compass_error_rad: float = 0.0
    stars_file: Path | None = None

    def stars(self) -> tuple[Star, ...]:
        """List of stars of the station.

        Raises
        ------
        StationError
            As `load_stars`.
        """
        return load_stars(self.stars_file)


class EveningWorld:
    """The world of an evening between two passes, made when it is needed: telescope parked, nothing calibrated."""

    def __init__(self, given: Simulation) -> None:
        self.given = given
        self._world: World | None = None

    @cached_property
    def settings(self) -> TwinSettings:
        """Of the twin, with the stars of a catalogue in the sky: random ones cannot be identified."""
        return under_real_stars(self.given.twin)

    @cached_property
    def setup(self) -> SimulationSetup:
        """Of the pass nearest to the beginning, to which clouds and showers refer."""
        given = self.given
        window = pass_window_nearest(given.elements, given.site, given.at_ns + _AHEAD_NS, given.station, given.force)
        return SimulationSetup(self.settings, given.station, given.site, window, 0.0, given.seed)

    def at(self, now_ns: int) -> World:
        """The world, which has been advanced to `now_ns`."""
        if self._world is None or self._world.now_ns > now_ns:
            stars = NamedStars(self.given.site, now_ns)
            setup = self.setup
            self._world = World(
                self.settings, self.given.station, setup.truth, self.given.site, self.given.seed, now_ns, (stars,)
            )
            self._world.tracking_camera.blur_px = self.focuser.blur_px
        for until_ns in range(self._world.now_ns, now_ns, _PIECE_NS):  # the state of an hour would fill the memory
            self._world.advance(until_ns)
        self._world.advance(now_ns)
        return self._world

    def hold(self, now_ns: int) -> None:
        """Stop the mount where it is, and both cameras: a step that was broken off has not stopped them."""
        if self._world is not None:
            world = self.at(now_ns)
            for device in (world.mount, world.guiding_camera, world.tracking_camera):
                device.stop(now_ns)

    def leave(self) -> None:
        """A pass has its own world; afterwards another one begins with the telescope parked."""
        self._world = None

    @cached_property
    def focuser(self) -> SimFocuser:
        """Focuser of the telescope, with a tube as warm as the site's air."""
        focuser = SimFocuser(self.given.twin.surroundings.focus, self.given.site.temperature_c)
        focuser.open()
        return focuser

    @cached_property
    def _weather(self) -> SimWeather:
        weather = SimWeather(self.setup)
        weather.open()
        return weather

    def bad_weather(self, now_ns: int) -> str:
        """Reason why nothing is done under the sky; empty: the weather is good."""
        reading = self._weather.read(now_ns)
        return f'it rains, {reading.rain_mm_h:.0f} mm/h' if reading.rain_mm_h > 0 else ''


_AHEAD_NS = 75 * 60 * 10**9  # of the beginning: the pass that an evening of this length is for
