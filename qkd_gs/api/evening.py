"""One simulated evening, from unpacking to the key, by one call."""

from __future__ import annotations

from collections.abc import Sequence
from math import radians
from pathlib import Path
from typing import Any

from qkd_gs.api.arguments import UtcTime, site_of, utc_ns
from qkd_gs.errors import StationError
from qkd_gs.evening.choice import LEAST_BITS
from qkd_gs.evening.dawn import next_dawn_ns
from qkd_gs.evening.journal import Journal
from qkd_gs.evening.steps import State, Step, steps_of
from qkd_gs.keys.folder import find_key_folder
from qkd_gs.orbit.elements import Elements, load_elements
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.report import write_report
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.evening.evening_world import EveningSimulation
from qkd_gs.sim.evening.run import run_evening
from qkd_gs.sim.simulate import Simulation, Watcher
from qkd_gs.station.satellite_link import make_key


def simulate_evening(
    elements: Elements | str | Path,
    site: Site | str,
    start: UtcTime,
    state: str | Path,
    *,
    until: UtcTime | None = None,
    seed: int = 1,
    scenario: str | None = None,
    skip: Sequence[str] = (),
    repeat: Sequence[str] = (),
    least_bits: int = LEAST_BITS,
    compass_error_deg: float = 0.0,
    stars: str | Path | None = None,
    station: StationSettings | None = None,
    keys: str | Path | None = None,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Journal:
    """Run an evening in the simulated station, in lockstep and without ROS, or go on with one that was interrupted.

    Parameters
    ----------
    elements : Elements, str or Path
        Orbit data of one satellite, or a file of it.
    site : Site or str
        As in `simulate_pass`.
    start : int, str or datetime
        UTC at which the evening begins, with a telescope that knows nothing of its orientation.
    state : str or Path
        Folder of the calibration, the journal (``evenings/``) and the sessions (``sessions/``).
    until : int, str or datetime, optional
        UTC of its end; the next dawn (Sun at -6 deg) if not given.
    seed : int
        0 or more; draws every error and all noise.
    skip, repeat : sequence of str
        Steps to be left out or done again, see `qkd_gs.evening.steps`.
    least_bits : int
        Expected secret bits of a pass that is worth it.
    compass_error_deg : float
        Error of a compass that was misread, in addition to its own of up to 10 deg.
    stars : str or Path, optional
        List of the stars that the station calibrates on; config/stars.csv if not given.

    Returns
    -------
    Journal
        Every step with its state, its result in a sentence, and its figures.

    Raises
    ------
    StationError
        An unknown step, an end that is not after the start, or a damaged journal.
    """
    if seed < 0:
        raise StationError(f'{seed} is negative', where='seed')
    place, start_ns, folder = site_of(site), utc_ns(start, 'start'), Path(state)
    until_ns = utc_ns(until, 'until') if until is not None else next_dawn_ns(place, start_ns)
    if until_ns <= start_ns:
        raise StationError(f'{format_utc(until_ns, 0)} is not after the start', where='until')
    settings = station or load_yaml(share_path('config', 'station.yaml'), StationSettings)
    loaded = elements if isinstance(elements, Elements) else load_elements(elements)
    simulation = Simulation(loaded, place, start_ns, seed, settings, load_twin(scenario), scenario, force)
    key_folder, watcher = find_key_folder(Path(keys) if keys else None, simulated=True), watcher or Watcher()

    def key_of(session: Path) -> dict[str, Any]:
        return make_key(session, key_folder, watcher.making_key)

    given = EveningSimulation(
        simulation=simulation,
        state_dir=folder,
        sessions_dir=folder / 'sessions',
        sealing_key=key_folder.session_public_key,
        make_key=key_of,
        write_report=write_report,
        watcher=watcher,
        compass_error_rad=radians(compass_error_deg),
        stars_file=Path(stars) if stars is not None else None,
    )
    return run_evening(given, until_ns, steps_of(skip), steps_of(repeat), least_bits)


def evening_summary(journal: Journal) -> dict[str, Any]:
    """The evening for JSON: whether it was armed, the passes, the key, and every step."""
    arm = journal.entry(Step.ARM)
    passes = arm.values.get('passes', []) if arm.state is State.DONE else []
    keys = [one for one in journal.entries if one.step is Step.PROCESS and one.state is State.DONE]
    return {
        'site': journal.site,
        'begun': journal.begun_utc,
        'until': journal.until_utc,
        'ended': journal.ended_utc,
        'why_ended': journal.why_ended,
        'simulated': journal.simulated,
        'restarts': journal.restarts,
        'armed': any(one['worth'] for one in passes),
        'passes': passes,
        'secret_bits': sum(one.values['secret_bits'] for one in keys),
        'steps': [
            {
                'step': str(one.step),
                'pass': one.pass_utc or None,
                'state': str(one.state),
                'sentence': one.sentence,
                'took_s': one.took_s,
                'tries': one.tries,
                'values': {name: value for name, value in one.values.items() if name != 'passes'},
            }
            for one in journal.entries
        ],
    }
