"""Simulated station for one well-known pass, for the demo and for benchmarks of the graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.pass_window import pass_window_nearest
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.photons.polarized_light import measure_hwp_zero
from qkd_gs.sim.simulate import calibrate_before_pass, stored_pointing
from qkd_gs.sim.simulation_setup import SimulationSetup
from qkd_gs.station.graph import Process, station_graph
from qkd_gs.station.processes import StationProcesses
from qkd_gs.station.usage import usage_of

SITE, AT = 'shanghai', '2018-10-03T15:56:42Z'
LEAD_S = 40.0


@dataclass(frozen=True)
class DemoStation:
    """Setup of a simulated station for the demo pass.

    Attributes
    ----------
    from_el_deg : float
        Elevation of start and end.
    speed : float
        Seconds of station time a second; 0: as fast as every loop keeps its period.
    seed : int
        Of everything random in the twin.
    devices : str
        Devices of the station.
    site, at : str
        Where, and a UTC near the culmination of the pass.
    """

    from_el_deg: float
    speed: float = 0.0
    seed: int = 1
    devices: str = 'sim'
    site: str = SITE
    at: str = AT

    def prepare(self, directory: Path, sessions: Path) -> list[Process]:
        """Calibrate in lockstep on the evening before, and build the graph of a station for this pass.

        Parameters
        ----------
        directory : Path
            Folder for its settings and its pointing.
        sessions : Path
            Folder for the session.
        """
        settings = directory / 'station.yaml'
        calibrated(write_settings(settings, self.from_el_deg), self.seed, self.site, self.at).save(directory / 'state')
        return station_graph(
            {
                'devices': self.devices,
                'station': str(settings),
                'elements': str(_elements()),
                'sessions_dir': str(sessions),
                'state_dir': str(directory / 'state'),
                'speed': self.speed,
                'seed': self.seed,
                'site': self.site,
                'at': self.at,
                'lead_s': LEAD_S,
            }
        )


def write_settings(path: Path, from_el_deg: float) -> StationSettings:
    """Write a station.yaml that tracks the pass only above an elevation."""
    text = yaml.safe_load(share_path('config', 'station.yaml').read_text(encoding='utf-8'))
    data_el_deg = max(text['tracking']['data_el_deg'], from_el_deg)
    text['tracking'] |= {'start_el_deg': from_el_deg, 'end_el_deg': from_el_deg, 'data_el_deg': data_el_deg}
    path.write_text(yaml.safe_dump(text), encoding='utf-8')
    return load_yaml(path, StationSettings)


def calibrated(station: StationSettings, seed: int, site_name: str = SITE, at: str = AT) -> StoredPointing:
    """Pointing calibrated on the evening before."""
    orbit, site = load_elements(_elements()), load_site(site_name)
    window = pass_window_nearest(orbit, site, parse_utc(at, 'at'), station)
    setup = SimulationSetup(load_twin(), station, site, window, LEAD_S, seed)
    hwp = measure_hwp_zero(setup.settings, station, seed)
    return stored_pointing(calibrate_before_pass(setup, lambda now_ns, outputs: None), hwp, station)


def _elements() -> Path:
    return share_path('config', 'elements', 'micius.tle')


def costs(station: StationProcesses) -> dict[str, dict[str, float]]:
    """Processor time and memory of every node so far, as reported by the kernel."""
    found = {}
    for name, pid in station.pids().items():
        try:
            usage = usage_of(pid)
        except OSError:  # it has just died
            continue
        found[name] = {
            'cpu_percent': round(100 * usage.cpu_s / max(usage.up_s, 0.1), 1),
            'memory_mb': round(usage.memory_mb),
            'shared_mb': round(usage.shared_mb),
        }
    return found
