"""The step that focuses the telescope on a star."""

from __future__ import annotations

from qkd_gs.calibration.focus import FILE_NAME, Focus, FocusState, save_focus, temperature_warning
from qkd_gs.calibration.light.survey import star_directions
from qkd_gs.evening.evening import Outcome
from qkd_gs.evening.sequence import Interrupted
from qkd_gs.evening.steps import State
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.pointing.pointing_file import load_pointing
from qkd_gs.sim.evening.evening_world import EveningSimulation, EveningWorld
from qkd_gs.sim.evening.steps_before import Progress, Result
from qkd_gs.sim.focusing import autofocus

_SPAN = 4000  # steps from the first to the last position: a spot of four pixels at both ends


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
        run, end_ns = autofocus(
            twin, pointing.refine(simulation.station), pointing.model, simulation.site, star, focuser, _SPAN, now_ns,
            seen,
        )  # fmt: skip
    except Interrupted:
        focuser.move(last_ns, home)
        raise
    if run.state is not FocusState.DONE or run.fit is None:
        return Outcome(State.FAILED, f'{star.name}: {run.message}'), end_ns
    found = Focus(
        utc=format_utc(end_ns, 0), position=round(run.fit.position), width_px=run.fit.width_px, temperature_c=warm_c
    )
    save_focus(folder, found)
    said = f'{run.message}, on {star.name} at {warm_c:.0f} deg C'
    values = {'position': found.position, 'width_px': round(found.width_px, 3), 'moved': found.position - home}
    return Outcome(State.DONE, f'{warning}; {said}' if warning else said, values), end_ns
