"""Place of a counterpart: the world that it belongs to, its time, and where it listens."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from qkd_gs.children import end_with_parent
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.pass_window import pass_window_nearest
from qkd_gs.scheduling import schedule_threads
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.sim.remote.bus import Bus
from qkd_gs.sim.simulation_setup import SimulationSetup

PLACE = Path('/tmp/qkd_gs-hil')  # of the pseudo-terminals, as config/devices/hil.yaml names them
CAMERAS = {'tracking_camera': '127.0.0.1', 'guiding_camera': '127.0.0.2'}
CAN_GROUP = '239.74.163.41'
TAGS_PORT, GPSD_PORT = 5510, 29471
# Real-time priorities.  A counterpart is as punctual as the loop that it serves, since what it stands for has a
# processor of its own: drives, laser and half-wave plate, which compute little, before all loops of the station; images
# behind its 100 Hz loop, before everything else.  Whole images and photons wait for all of these.
AT_ONCE, IMAGES, IN_TIME = 25, 16, 5


@dataclass(frozen=True)
class Place:
    """World and time of a counterpart; passed on as JSON.

    Attributes
    ----------
    bus : str
        File of the bus.
    began_ns : int
        When the world began, CLOCK_MONOTONIC; its station time then is `epoch_ns`, and goes as real time does.
    station, elements, site, at, scenario, lead_s, seed
        As the options of the station.
    """

    bus: str
    began_ns: int
    epoch_ns: int
    station: str
    elements: str
    site: str
    at: str
    scenario: str
    lead_s: float
    seed: int

    def to_json(self) -> str:
        """For the command line of a counterpart."""
        return json.dumps(asdict(self))

    def now_ns(self) -> int:
        """Station time."""
        return self.epoch_ns + time.monotonic_ns() - self.began_ns

    def utc_of(self, station_ns: int) -> int:
        """Time of this machine's clock, UTC ns, at a station time."""
        return station_ns - self.now_ns() + time.time_ns()

    def setup(self) -> SimulationSetup:
        """The simulated sky, the same in every process."""
        station, site = load_yaml(Path(self.station), StationSettings), load_site(self.site)
        window = pass_window_nearest(load_elements(Path(self.elements)), site, parse_utc(self.at, 'at'), station)
        return SimulationSetup(load_twin(self.scenario or None), station, site, window, self.lead_s, self.seed)

    def connect(self, setup: SimulationSetup | None = None) -> Bus:
        """End of the bus in the calling process."""
        return Bus(Path(self.bus), lambda: self.began_ns, setup)


def serving(line: str, priority: int) -> None:
    """Say that this process is ready, and serve from now on with a real-time priority, where the rights allow it.

    What it has made so far stays, so that nobody collects it in the loop.
    """
    gc.collect()
    gc.freeze()
    schedule_threads(os.SCHED_RR, priority)
    say(line)


def begun() -> tuple[Place, list[str]]:
    """Place and further arguments of this process, which ends with the one that has started it."""
    end_with_parent(signal.SIGTERM)
    place = Place(**json.loads(sys.argv[1]))
    if os.getppid() == 1:
        raise SystemExit('the world has ended')
    return place, sys.argv[2:]


def say(line: str) -> None:
    """One line for the log of the world."""
    sys.stdout.write(line + '\n')
    sys.stdout.flush()
