"""The step that focuses the telescope on a star."""

from __future__ import annotations

from qkd_gs.calibration.focus import FILE_NAME, save_focus, temperature_warning
from qkd_gs.calibration.light.survey import star_directions
from qkd_gs.evening.evening import Outcome
from qkd_gs.evening.sequence import Interrupted
from qkd_gs.evening.steps import State
from qkd_gs.pointing.pointing_file import load_pointing
from qkd_gs.sim.evening.evening_world import EveningSimulation, EveningWorld
from qkd_gs.sim.evening.steps_before import Progress, Result
from qkd_gs.sim.focusing import autofocus


def focus(given: EveningSimulation, world: EveningWorld, now_ns: int, progress: Progress) -> Result:
    """Focus, if it has not been done yet or the temperature of the tube has changed since."""
    focuser, folder = world.focuser, given.state_dir
    warm_c = focuser.read(now_ns).temperature_c
    warning = temperature_warning(folder, warm_c)
    if (folder / FILE_NAME).exists() and not warning:
        return Outcome(State.NOT_NEEDED, f'the tube has {warm_c:.0f} deg C, about as at the last autofocus'), now_ns
    simulation, pointing, twin = given.simulation, load_pointing(folder), world.at(now_ns)
    star = star_directions(simulation.site, now_ns, 1, given.stars())[0].star
    assert star is not None
    home, last_ns = focuser.read(now_ns).position, now_ns

    def seen(t_ns: int, text: str) -> None:
        nonlocal last_ns
        last_ns = t_ns
        progress(t_ns, text)

    try:
        found, end_ns = autofocus(
            twin, pointing.refine(simulation.station), pointing.model, simulation.site, star, focuser, now_ns, seen
        )
    except Interrupted:
        focuser.move(last_ns, home)
        raise
    kept = found.result(end_ns)
    save_focus(folder, kept)
    values = {'position': kept.position, 'width_px': round(kept.width_px, 3), 'moved': kept.position - home}
    said = f'{warning}; {found.summary}' if warning else found.summary
    return Outcome(State.DONE, said, values), end_ns
