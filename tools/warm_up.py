"""Compile the numerical kernels once, at set-up or installation, so that the first pass does not wait for them.

Tracks the first seconds of a pass in the twin, makes the key of a short bright session, and does what a pass does not:
the fit of a pointing model, reconciliation by syndromes, a file of a time tagger.  Only numba's cache beside the code
is kept.
"""

import logging
import tempfile
from math import tau
from pathlib import Path

import numpy as np

from qkd_gs.calibration.fit import fit_mount
from qkd_gs.calibration.observations import Observations
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.sky import sun_at
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pass_window import pass_window_nearest
from qkd_gs.pointing.plan import plan_pass
from qkd_gs.processing.pipeline import process_session
from qkd_gs.qkd.reconciliation import ldpc
from qkd_gs.safety.laser.laser_safety import LaserSafety
from qkd_gs.safety.supervisor import Supervisor
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.imaging.catalogue_stars import NamedStars
from qkd_gs.sim.lockstep import Lockstep
from qkd_gs.sim.satellite import simulated_satellite
from qkd_gs.sim.simulation_setup import SimulationSetup
from qkd_gs.sim.synthetic_session import CULMINATION_NS, SyntheticSession
from qkd_gs.sim.traffic import SimAircraft
from qkd_gs.sim.twin import Twin, true_trajectory
from qkd_gs.tag_formats.ptu_reader import PtuFile
from qkd_gs.tag_formats.ptu_writer import write_ptu
from qkd_gs.timing.recorder import TagRecorder
from qkd_gs.timing.sealed import SealedWriter
from qkd_gs.timing.tags import TagBlock
from qkd_gs.tracking.control.tracker import Tracker

SECOND_NS = 10**9
SEED = 1


def track_a_few_seconds(folder: Path, keys: KeyFolder) -> None:
    """Tracker, cameras and twin."""
    station = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    twin_settings, site = load_twin(), load_site('shanghai')
    elements = load_elements(share_path('config', 'elements', 'micius.tle'))
    window = pass_window_nearest(elements, site, CULMINATION_NS, station)
    found, predicted, start_ns, end_ns = window
    truth = true_trajectory(twin_settings, found.orbit, site, start_ns, end_ns, SEED)
    begin_ns = start_ns - 6 * SECOND_NS
    twin = Twin(twin_settings, station, truth, site, begin_ns, SEED, (NamedStars(site, begin_ns),))
    # zero points as the twin has them, so that the beacon comes into the field and spots are measured
    az, el = predicted.at(start_ns).az_rad, predicted.at(start_ns).el_rad
    enc_az, enc_el = twin.world.axes_at(az, el)
    model = MountModel(IA=enc_az - az, IE=enc_el - el)
    tracker = Tracker(station, predicted, model, plan_pass(predicted, start_ns, end_ns, model, station.mount))
    laser = LaserSafety(station, site)
    supervisor = Supervisor(station, model, lambda t_ns: sun_at(site, t_ns), laser)
    recipient = keys.session_public_key('0' * 32)
    writer = SealedWriter(folder / 'tags', bytes(16), recipient, begin_ns, bytes(32))
    recorder = TagRecorder(writer, station.source)
    setup = SimulationSetup(twin_settings, station, site, window, 6.0, SEED)
    lockstep = Lockstep(twin, station, tracker, supervisor, recorder, laser, SimAircraft(setup))
    lockstep.run(begin_ns, begin_ns + 15 * SECOND_NS, lambda progress: None)


def make_a_key(folder: Path, keys: KeyFolder) -> None:
    """Timing, reconciliation, amplification; the satellite's side in its own process."""
    session = folder / 'session'
    SyntheticSession(seconds=8.0, before_s=4.0, gain=8.0).write(session, keys.session_public_key)
    process_session(session, keys, lambda: simulated_satellite(session, keys), lambda step, share: None)


def fit_a_pointing_model() -> None:
    """Stars of a mount with small errors, one of them wrong."""
    rng = np.random.default_rng(SEED)
    az, el = rng.uniform(0.0, tau, 20), rng.uniform(0.4, 1.3, 20)
    enc_az, enc_el = MountModel(IA=0.2, IE=0.1, AN=5e-3, CA=5e-4).encoder(az, el)
    enc_el[3] += 0.01
    fit = fit_mount(Observations(az, el, enc_az, enc_el, tuple(map(str, range(len(az))))))
    fit.model.line_of_sight(enc_az, enc_el)


def reconcile_by_syndromes() -> None:
    """One codeword with two percent of errors."""
    rng = np.random.default_rng(SEED)
    alice = rng.integers(0, 2, 4096, dtype=np.uint8)
    bob = alice ^ (rng.random(len(alice)) < 0.02)
    ldpc.decode(bob, 0.02, SEED, ldpc.syndrome(alice, 0.02, SEED))


def read_a_tag_file(folder: Path) -> None:
    """A file of PicoQuant's format with a few tags."""
    tags = TagBlock(np.arange(10, dtype=np.int64) * 1000, np.ones(10, np.uint8))
    write_ptu(folder / 'tags.ptu', [tags], CULMINATION_NS)
    list(PtuFile(folder / 'tags.ptu').blocks())


def main() -> None:
    """All of it, in a folder that goes away."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys = KeyFolder.create(folder / 'keys')
        track_a_few_seconds(folder, keys)
        make_a_key(folder, keys)
        fit_a_pointing_model()
        reconcile_by_syndromes()
        read_a_tag_file(folder)


if __name__ == '__main__':
    main()
