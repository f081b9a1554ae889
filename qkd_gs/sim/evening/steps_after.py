"""Steps from the tests of the light to the park."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qkd_gs.calibration.light.result import keep_noise_map, keep_star_test, kept_noise_map
from qkd_gs.calibration.light.survey import SurveyOutputs, sky_directions, star_directions
from qkd_gs.calibration.observing.delays import DelayObservation
from qkd_gs.calibration.observing.observation import Place
from qkd_gs.calibration.observing.polarization import PolarizationObservation, load_polarization
from qkd_gs.devices.mount import MountMode
from qkd_gs.evening.choice import MeasuredLight, choose_passes
from qkd_gs.evening.evening import Outcome
from qkd_gs.evening.polarized_step import delays_verdict
from qkd_gs.evening.steps import State
from qkd_gs.orbit.timescale import format_utc, parse_utc
from qkd_gs.pointing.pass_window import ARMED_S, pass_window_nearest
from qkd_gs.pointing.pointing_file import load_pointing
from qkd_gs.session.manifest import Manifest, load_manifest
from qkd_gs.settings.downlink import load_downlink
from qkd_gs.sim.calibration_light import LightBench, measure_with_light
from qkd_gs.sim.evening.evening_world import EveningSimulation, EveningWorld
from qkd_gs.sim.evening.steps_before import Progress, Result
from qkd_gs.sim.light_survey import count_dark, survey_light
from qkd_gs.sim.lockstep import Progress as PassProgress
from qkd_gs.sim.simulate import Watcher, track_pass
from qkd_gs.sim.simulation_setup import SimulationSetup
from qkd_gs.tracking.control.parking import Parking, ParkState
from qkd_gs.tracking.record.manifest_writer import new_folder
from qkd_gs.tracking.record.session_names import session_name

_STEP_NS = 10**7


def efficiency(given: EveningSimulation, world: EveningWorld, now_ns: int, progress: Progress) -> Result:
    """Channel efficiency from some stars."""
    simulation = given.simulation
    pointing = load_pointing(given.state_dir)
    station = pointing.refine(simulation.station)
    directions = star_directions(simulation.site, now_ns, catalogue=given.stars())
    survey, end_ns = survey_light(
        world.at(now_ns), world.settings.photonics, station, pointing.model, simulation.site, directions, now_ns,
        simulation.seed, lambda t_ns, out: progress(t_ns, out.message),
    )  # fmt: skip
    result, said = keep_star_test(
        given.state_dir, simulation.site, simulation.station, survey.readings, given.stars(), end_ns
    )
    return Outcome(State.DONE, said, result.to_dict() | {'missing': survey.missing}), end_ns


def noise(given: EveningSimulation, world: EveningWorld, now_ns: int, progress: Progress) -> Result:
    """Dark counts, then the noise map."""
    simulation, photonics = given.simulation, world.settings.photonics
    pointing = load_pointing(given.state_dir)
    station = pointing.refine(simulation.station)
    twin = world.at(now_ns)
    dark, now_ns = count_dark(twin, photonics, simulation.site, now_ns, simulation.seed)
    directions = sky_directions(simulation.site, now_ns)

    def seen(t_ns: int, out: SurveyOutputs) -> None:
        progress(t_ns, out.message)

    survey, end_ns = survey_light(
        twin, photonics, station, pointing.model, simulation.site, directions, now_ns, simulation.seed, seen
    )
    readings = [dark, *survey.readings]
    result, said = keep_noise_map(given.state_dir, simulation.site, simulation.station, readings, end_ns)
    return Outcome(State.DONE, said, result.to_dict() | {'missing': survey.missing}), end_ns


def polarization(given: EveningSimulation, now_ns: int, progress: Progress) -> Result:
    """Zero of the half-wave plate, then delays of the detectors, with the calibration light of the twin."""
    one = given.simulation
    bench = LightBench(one.twin, one.station, one.site, one.seed, now_ns)
    said = []
    for kind in (PolarizationObservation, DelayObservation):
        place = Place(one.site, one.station, load_pointing(given.state_dir), given.state_dir)
        said.append(measure_with_light(bench, kind(place), progress))
    found = load_polarization(given.state_dir)
    assert found is not None
    values = {'offset_deg': found.offset_deg, 'sigma_deg': found.sigma_deg, 'visibility': found.visibility}
    return Outcome(State.DONE, '; '.join(said), values), bench.now_ns


def arm(given: EveningSimulation, now_ns: int, until_ns: int, gain: float, has_map: bool, least_bits: int) -> Result:
    """Choose the passes that are worth it.

    Parameters
    ----------
    gain : float
        Tonight's efficiency over the stated one; 1: not measured.
    has_map : bool
        Tonight's noise was measured.
    """
    simulation = given.simulation
    found_map = kept_noise_map(given.state_dir, simulation.station, 0) if has_map else None
    measured = MeasuredLight(load_downlink(), simulation.site, gain, found_map)
    rows = choose_passes(
        simulation.elements, simulation.site, simulation.station, measured, (now_ns, until_ns), least_bits,
        simulation.force,
    )  # fmt: skip
    worth = [row for row in rows if row['worth']]
    said = f'{len(worth)} of {len(rows)} passes until {format_utc(until_ns, 0)} are worth it'
    for row in worth:
        bits = row['forecast']['secret_bits']
        said += f'; {row["culmination"][:19]}Z at {row["max_elevation_deg"]:.0f} deg, {bits["expected"]} secret bits'
    wrong = delays_verdict(given.state_dir, simulation.station)
    said += f'; {wrong}' if wrong else ''
    return Outcome(State.DONE, said, {'passes': rows, 'gain': gain, 'noise_measured': has_map}), now_ns


def session_folder(given: EveningSimulation, pass_utc: str) -> Path:
    """Session of a pass."""
    name = session_name(parse_utc(pass_utc), given.simulation.site.name)
    return given.sessions_dir / f'{name}-seed{given.simulation.seed}'


def track(given: EveningSimulation, world: EveningWorld, now_ns: int, pass_utc: str, progress: Progress) -> Result:
    """Wait for the pass and track it; one whose recording was interrupted is kept as far as it goes."""
    simulation = given.simulation
    at_ns = parse_utc(pass_utc, 'pass')
    window = pass_window_nearest(simulation.elements, simulation.site, at_ns, simulation.station, simulation.force)
    folder = session_folder(given, pass_utc)
    if (folder / 'session.json').exists():  # the process died while it was written
        locked_s = _locked_s(load_manifest(folder))
        if locked_s:
            said = f'was interrupted after {locked_s:.0f} s of lock'
            return Outcome(State.DONE, said, {'session': folder.name, 'locked_s': round(locked_s, 1)}), now_ns
        return Outcome(State.FAILED, 'was interrupted before the satellite was locked'), now_ns
    ready_ns = window.start_ns - round(ARMED_S * 1e9)
    if now_ns > ready_ns:
        return Outcome(State.FAILED, 'the pass has begun before the telescope was ready'), now_ns
    setup = SimulationSetup(world.settings, simulation.station, simulation.site, window, ARMED_S, simulation.seed)
    pointing = load_pointing(given.state_dir)
    new_folder(folder)
    world.leave()
    manifest = track_pass(
        replace(simulation, twin=world.settings), setup, pointing.model, pointing, folder, given.sealing_key,
        _Interruptible(given.watcher, progress),
    )  # fmt: skip
    locked_s = _locked_s(manifest)
    end_ns = max(window.end_ns, now_ns)
    if not locked_s:
        return Outcome(State.FAILED, 'the satellite was never locked', {'session': folder.name}), end_ns
    values = {'session': folder.name, 'locked_s': round(locked_s, 1)}
    return Outcome(State.DONE, f'locked for {locked_s:.0f} s', values), end_ns


def _locked_s(manifest: Manifest) -> float:
    return sum(span.end_ns - span.start_ns for span in manifest.locked) * 1e-9


def process(given: EveningSimulation, now_ns: int, pass_utc: str) -> Result:
    """Make the key."""
    key = given.make_key(session_folder(given, pass_utc))['key']
    said = f'{key["secret_bits"]} secret bits, error rate {100 * key["qber"]:.2f} %'
    return Outcome(State.DONE, said, {'secret_bits': key['secret_bits'], 'qber': key['qber']}), now_ns


def report(given: EveningSimulation, now_ns: int, pass_utc: str) -> Result:
    """Write the report."""
    folder = session_folder(given, pass_utc)
    given.write_report(folder)
    return Outcome(State.DONE, f'{load_manifest(folder).satellite}: report.html in {folder.name}'), now_ns


def park(given: EveningSimulation, world: EveningWorld, now_ns: int) -> Result:
    """Move to the park position and stop."""
    twin = world.at(now_ns)
    if twin.mount.read(now_ns).mode is MountMode.OFF:
        return Outcome(State.DONE, 'parked: the drives are off'), now_ns
    parking = Parking(given.simulation.station.mount, now_ns)
    while parking.state is ParkState.MOVING:
        now_ns += _STEP_NS
        twin.advance(now_ns)
        command = parking.step(now_ns, twin.mount.read(now_ns))
        if command is not None:
            twin.mount.command(now_ns, command)
    twin.mount.stop(now_ns)
    twin.beacon.off(now_ns)
    if parking.state is not ParkState.PARKED:
        return Outcome(State.FAILED, parking.message), now_ns
    return Outcome(State.DONE, 'parked, beacon off'), now_ns


class _Interruptible(Watcher):
    """Passes on what the pass tells, and ends it at dawn or in bad weather."""

    def __init__(self, watcher: Watcher, progress: Progress) -> None:
        self._watcher, self._progress = watcher, progress
        self.step = watcher.step  # type: ignore[method-assign]

    def passing(self, progress: PassProgress) -> None:
        """Progress of the pass."""
        self._progress(progress.now_ns, '')
        self._watcher.passing(progress)
