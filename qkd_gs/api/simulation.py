"""One simulated pass from the orbit to the key, by one call."""

from __future__ import annotations

import time
from pathlib import Path

from qkd_gs.api.arguments import UtcTime, site_of, utc_ns
from qkd_gs.errors import StationError
from qkd_gs.keys.folder import find_key_folder
from qkd_gs.orbit.elements import Elements, load_elements
from qkd_gs.processing.pipeline import DEFAULT_WINDOW_S
from qkd_gs.session.manifest import update_run_metrics
from qkd_gs.session.session import Session, open_session
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.simulate import Simulation, Watcher, run_simulation
from qkd_gs.station.satellite_link import make_key


def simulate_pass(
    elements: Elements | str | Path,
    site: Site | str,
    at: UtcTime,
    session: str | Path,
    *,
    seed: int = 1,
    scenario: str | None = None,
    station: StationSettings | str | Path | None = None,
    keys: str | Path | None = None,
    window_s: float = DEFAULT_WINDOW_S,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Session:
    """Calibrate, track a pass and make its key in the simulated station, in lockstep and without ROS.

    It takes one to three minutes of one core.

    Parameters
    ----------
    elements : Elements, str or Path
        Orbit data of one satellite, or a file of it.
    site : Site or str
        A site, the name of one in ``config/sites``, or ``'LAT_DEG,LON_DEG,ALT_M'``.
    at : int, str or datetime
        UTC: ns since the Unix epoch, ISO 8601 text, or a `datetime` with a time zone; the pass whose culmination is
        nearest is taken.
    session : str or Path
        Folder for the session; must not exist, or be empty.
    seed : int
        0 or more; draws every error and all noise.  The same seed and `at` give the same tracking and the same sifted
        bits.  Found from another `at`, the culmination may differ by some 10 us, and the noise is another one.
    scenario : str, optional
        From ``config/scenarios``: what goes wrong, e.g. ``'clouds'``.
    station : StationSettings, str or Path, optional
        Settings of the station, or a file of them; ``config/station.yaml`` if not given.
    keys : str or Path, optional
        Key folder; ``$QKD_GS_KEYS`` or the user's data folder if not given.  It is made on first use.
    window_s : float
        Width of the window about culmination that ``sifted_bits_window`` counts, s.
    force : bool
        Use elements more than 60 days away.
    watcher : Watcher, optional
        Told how it goes on.

    Returns
    -------
    Session
        Processed: ``session.result`` has the parts pass, tracking, polarization, timing, key and run.

    Raises
    ------
    StationError
        No such pass, one that this mount cannot track, or a folder in use.

    Examples
    --------
    >>> import qkd_gs
    >>> session = qkd_gs.simulate_pass('config/elements/micius.tle', 'Shanghai', '2018-10-03T15:56:00Z',
    ...                                'sessions/shanghai')  # doctest: +SKIP
    >>> session.result['key']['secret_bits']  # doctest: +SKIP
    """
    started_s = time.perf_counter()
    if seed < 0:
        raise StationError(f'{seed} is negative', where='seed')
    if station is None or isinstance(station, str | Path):
        station = load_yaml(Path(station) if station else share_path('config', 'station.yaml'), StationSettings)
    simulation = Simulation(
        elements=elements if isinstance(elements, Elements) else load_elements(elements),
        site=site_of(site),
        at_ns=utc_ns(at, 'at'),
        seed=seed,
        station=station,
        twin=load_twin(scenario),
        scenario=scenario,
        force=force,
    )
    key_folder = find_key_folder(Path(keys) if keys is not None else None, simulated=True)
    folder, watcher = Path(session), watcher or Watcher()
    taken = run_simulation(simulation, folder, key_folder.session_public_key, watcher)
    watcher.step('making the key')
    make_key(folder, key_folder, watcher.making_key, window_s)
    _store_speed(folder, float(taken.run['pass_s']) / (time.perf_counter() - started_s))
    return open_session(folder)


def _store_speed(folder: Path, factor: float) -> None:
    """Put the speed into the stored result."""
    update_run_metrics(folder, real_time_factor=round(factor, 2))
