"""Measurements with the calibration light in the twin: against its truth, and with everything that can go wrong."""

from math import degrees
from types import SimpleNamespace

import numpy as np
import pytest

from qkd_gs.calibration.measured_delays import FILE_NAME as DELAYS
from qkd_gs.calibration.measured_delays import load_delays
from qkd_gs.calibration.observing.begin import begin_observation
from qkd_gs.calibration.observing.observation import ObservationKind, ObservationState, Place
from qkd_gs.calibration.observing.polarization import FILE_NAME as POLARIZATION
from qkd_gs.calibration.observing.polarization import load_polarization
from qkd_gs.devices.calibration_light import CalibrationLightReading, Cover
from qkd_gs.errors import StationError
from qkd_gs.evening.steps import State
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import FILE_NAME as POINTING
from qkd_gs.pointing.pointing_file import StoredPointing, load_pointing
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.calibration_light import LightBench, measure_with_light
from qkd_gs.sim.evening.steps_after import polarization
from qkd_gs.sim.photons.calibration_photons import CalibrationPhotons, mounting_error_rad
from qkd_gs.sim.photons.receiver import true_delays_ps
from qkd_gs.timing.tags import QUANTUM, TagBlock
from qkd_gs.tracking.types import MountTask

SITE = load_site('Shanghai')
STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
TWIN = load_twin()
NIGHT_NS = parse_utc('2018-10-03T15:00:00Z')
BOTH = (ObservationKind.POLARIZATION, ObservationKind.DELAYS)


def twin_with(**light):
    """The twin with another calibration light than the settings of the station say."""
    surroundings = TWIN.surroundings
    changed = surroundings.calibration_light.model_copy(update=light)
    return TWIN.model_copy(update={'surroundings': surroundings.model_copy(update={'calibration_light': changed})})


def station_with(**light):
    changed = STATION.calibration_light.model_copy(update=light)
    return STATION.model_copy(update={'calibration_light': changed})


class Rig:
    """A bench with an observation on it."""

    def __init__(self, folder, kind, seed=1, twin=TWIN, station=STATION, offset_deg=0.0, bench=LightBench):
        pointing = StoredPointing.of(
            MountModel(IA=0.1), (639.5, 511.5), '20 stars', '2018-10-02T20:00:00Z', hwp_deg=(offset_deg, None)
        )
        self.folder = folder
        self.bench = bench(twin, station, SITE, seed, NIGHT_NS)
        self.observation = begin_observation(kind, Place(SITE, station, pointing, folder), None, NIGHT_NS)

    def measured(self):
        return measure_with_light(self.bench, self.observation)

    def until(self, done, steps=4000):
        for _ in range(steps):
            state = self.bench.step(self.observation)
            if done(self.bench):
                return
            assert state is ObservationState.RUNNING, self.bench.said
        raise AssertionError(self.bench.said)

    def fails(self, dark=True):
        """Why it fails; nothing is kept, and the light is off."""
        with pytest.raises(StationError) as told:
            self.measured()
        self.bench.step(self.observation)
        assert not list(self.folder.iterdir())
        if dark:
            assert not self.bench.light.read(self.bench.now_ns).lit
        return str(told.value)


@pytest.mark.parametrize(('seed', 'parity'), [(1, 1), (2, 1), (3, 1), (4, -1)])
def test_zero_of_the_plate_and_contrast_are_the_truth(tmp_path, seed, parity):
    """The polarizer is level to 0.05 deg: half of its drawn error is in the zero."""
    station = STATION.model_copy(update={'hwp': STATION.hwp.model_copy(update={'parity': parity})})
    rig = Rig(tmp_path, ObservationKind.POLARIZATION, seed, station=station, offset_deg=1.5)
    said = rig.measured()
    kept, stored = load_polarization(tmp_path), load_pointing(tmp_path)
    level_rad = CalibrationPhotons(TWIN, station, seed, NIGHT_NS).level_rad
    true_deg = degrees(-mounting_error_rad(TWIN, seed) + parity * level_rad / 2)
    assert abs(stored.hwp_offset_deg - true_deg) < 4 * stored.hwp_sigma_deg
    assert stored.hwp_sigma_deg < 0.06
    assert kept.offset_deg == pytest.approx(stored.hwp_offset_deg, abs=1e-4)
    expected = 1 - 2 * TWIN.photonics.polarization.receiver_error
    assert all(value == pytest.approx(expected, abs=0.01) for value in kept.visibility.values())
    assert said == kept.summary
    assert (
        stored.model.to_dict() == rig.observation._place.pointing.model.to_dict()
    )  # the rest of the calibration stays
    assert not rig.bench.light.read(rig.bench.now_ns).lit


@pytest.mark.parametrize('seed', [1, 2, 3])
def test_delays_are_the_truth_within_what_is_claimed(tmp_path, seed):
    rig = Rig(tmp_path, ObservationKind.DELAYS, seed)
    said = rig.measured()
    kept = load_delays(tmp_path)
    true_ns = true_delays_ps(TWIN.photonics, STATION, seed)[list(QUANTUM)] * 1e-3
    wrong_ns = np.array([kept.delay_ns[one.name] for one in QUANTUM]) - (true_ns - true_ns.mean())
    assert np.max(np.abs(wrong_ns)) < kept.uncertainty_ns - STATION.calibration_light.tagger_error_ns
    assert kept.uncertainty_ns < 0.12
    assert min(kept.clicks.values()) >= 20_000
    assert kept.holds(STATION.detectors)
    assert said.startswith('the delays of the detectors hold: ')


def test_delays_that_do_not_hold_are_told_with_what_puts_the_new_ones_in_force(tmp_path):
    """The settings are a cable of 8 cm off at V, beyond what they claim."""
    rig = Rig(tmp_path, ObservationKind.DELAYS)
    delay_ns = STATION.detectors.delay_ns | {'V': STATION.detectors.delay_ns['V'] + 0.4}
    detectors = STATION.detectors.model_copy(update={'delay_ns': delay_ns})
    rig.observation._place = Place(
        SITE, STATION.model_copy(update={'detectors': detectors}), rig.observation._place.pointing, tmp_path
    )
    said = rig.measured()
    kept = load_delays(tmp_path)
    assert not kept.holds(detectors)
    assert said.startswith('THE DELAYS OF THE DETECTORS DO NOT HOLD: ')
    assert f'qkd-gs calibrate-detectors --measured {tmp_path / DELAYS} --out FILE' in said
    assert kept.off_ns(detectors)['V'] == pytest.approx(-0.2, abs=0.12)  # the others are as much off to the other side


@pytest.mark.parametrize('kind', BOTH)
def test_a_light_that_does_not_come_on_ends_it(tmp_path, kind):
    rig = Rig(tmp_path, kind, twin=twin_with(ready_s=600))
    assert 'the calibration light does not come on' in rig.fails()


@pytest.mark.parametrize('kind', BOTH)
def test_a_light_that_reaches_no_detector_is_told(tmp_path, kind):
    rig = Rig(tmp_path, kind, twin=twin_with(photons_s=1.0))
    assert 'the calibration light is on, but the detectors hardly see it' in rig.fails()


@pytest.mark.parametrize('kind', BOTH)
@pytest.mark.parametrize(('pulse_rate_hz', 'photons_s'), [(1e5, 4e5), (0.0, 1e7)])
def test_a_light_that_would_blind_a_detector_goes_off_at_once(tmp_path, kind, pulse_rate_hz, photons_s):
    twin = twin_with(pulse_rate_hz=pulse_rate_hz, photons_s=photons_s)
    rig = Rig(tmp_path, kind, twin=twin, station=station_with(pulse_rate_hz=pulse_rate_hz))
    why = rig.fails()
    assert why.startswith('the calibration light is too bright: ')
    assert why.endswith(' are allowed')


def test_light_without_a_polarizer_gives_no_zero(tmp_path):
    rig = Rig(tmp_path, ObservationKind.POLARIZATION, twin=twin_with(polarized_share=0.1))
    assert 'is the polarizer in place' in rig.fails()


def test_a_polarizer_at_another_angle_is_another_zero_by_half_of_it(tmp_path):
    """Nobody can tell that from the counts: the angle of the settings is taken for true."""
    rig = Rig(tmp_path, ObservationKind.POLARIZATION, twin=twin_with(polarization_deg=10, level_deg=0))
    rig.measured()
    true_deg = degrees(-mounting_error_rad(TWIN, 1))
    assert load_pointing(tmp_path).hwp_offset_deg == pytest.approx(true_deg + 5, abs=0.15)


@pytest.mark.parametrize('kind', BOTH)
def test_a_plate_that_does_not_turn_is_told(tmp_path, kind):
    rig = Rig(tmp_path, kind)
    rig.bench.hwp.move(NIGHT_NS, 0.6)
    rig.bench.hwp.move = lambda now_ns, angle_rad: None
    assert 'the half-wave plate stands at 34.4 deg, not at ' in rig.fails()


class DeadDetector(LightBench):
    """Its third detector is dead."""

    def received(self, tags):
        alive = tags.channel != QUANTUM[2]
        return TagBlock(tags.time_ps[alive], tags.channel[alive])


@pytest.mark.parametrize(
    ('kind', 'said'),
    [
        (ObservationKind.POLARIZATION, 'D: the counts hardly follow the half-wave plate'),
        (ObservationKind.DELAYS, 'D hardly counts in the calibration light'),
    ],
)
def test_a_dead_detector_is_named(tmp_path, kind, said):
    assert said in Rig(tmp_path, kind, bench=DeadDetector).fails()


class Silent(LightBench):
    """Its detectors send no counts."""

    def _count(self, tags):
        return ()


@pytest.mark.parametrize('kind', BOTH)
def test_detectors_that_send_no_counts_end_it_in_the_dark(tmp_path, kind):
    rig = Rig(tmp_path, kind, bench=Silent)
    rig.bench.light.on = pytest.fail
    assert rig.fails() == 'the detectors send no counts'


@pytest.mark.parametrize('kind', BOTH)
@pytest.mark.parametrize('what', ['shutter', 'beacon', 'abort', 'pass', 'light'])
def test_what_ends_it_switches_the_light_off(tmp_path, kind, what):
    rig = Rig(tmp_path, kind)
    bench = rig.bench
    rig.until(lambda bench: bench.hwp.read(bench.now_ns).angle_rad > 0 and bench.light.read(bench.now_ns).ready)
    if what == 'shutter':
        bench.dome = 'dome.shut'
    elif what == 'beacon':
        bench.beacon_lit = True
    elif what == 'light':
        bench.light.off(bench.now_ns)
        bench.light.on = lambda now_ns, brightness: None
    else:
        rig.observation.abort({'abort': 'aborted by the operator', 'pass': 'a pass has begun'}[what])
    told = {
        'shutter': 'ended: neither the shutter nor the cover of the calibration light is closed',
        'beacon': 'ended: our beacon is on',
        'abort': 'aborted by the operator',
        'pass': 'a pass has begun',
        'light': 'the calibration light has gone out',
    }
    assert rig.fails() == told[what]


@pytest.mark.parametrize('kind', BOTH)
def test_nothing_shines_before_the_shutter_is_closed(tmp_path, kind):
    """It waits three minutes for that; bad weather, which closes the shutter, does not end it."""
    rig = Rig(tmp_path, kind)
    rig.bench.light.on = pytest.fail
    rig.bench.dome = 'dome.shut'
    began_ns = rig.bench.now_ns
    assert rig.fails() == 'neither the shutter nor the cover of the calibration light is closed, for 180 s'
    assert 179 < (rig.bench.now_ns - began_ns) * 1e-9 < 182
    assert not MountTask.POLARIZED_LIGHT.under_the_sky


def test_its_own_closed_cover_does_where_there_is_no_shutter(tmp_path):
    rig = Rig(tmp_path, ObservationKind.DELAYS)
    rig.bench.dome = ''
    read = rig.bench.light.read

    def covered(now_ns):
        reading = read(now_ns)
        return CalibrationLightReading(now_ns, reading.lit, reading.brightness, reading.ready, Cover.CLOSED)

    rig.bench.light.read = covered
    rig.measured()
    assert (tmp_path / DELAYS).exists()


def test_a_light_that_was_left_on_and_stays_on_ends_it(tmp_path):
    rig = Rig(tmp_path, ObservationKind.POLARIZATION)
    rig.bench.light.on(NIGHT_NS, 0.5)
    rig.bench.light.off = lambda now_ns: None
    assert rig.fails(dark=False) == 'the calibration light is on and does not go off'


def test_one_that_does_not_go_off_at_the_end_is_told(tmp_path):
    rig = Rig(tmp_path, ObservationKind.DELAYS)
    rig.until(lambda bench: rig.observation.task is MountTask.MEASURING_DELAYS)
    rig.bench.light.off = lambda now_ns: None
    assert rig.fails(dark=False) == 'the calibration light does not go off'


@pytest.mark.parametrize(
    ('twin', 'said'),
    [
        (twin_with(trigger=False), '0 tags on the input of the trigger, which are no regular pulses'),
        (twin_with(photons_s=1500), 'are needed'),  # in a minute
    ],
)
def test_tags_that_give_no_delays_are_told(tmp_path, twin, said):
    assert said in Rig(tmp_path, ObservationKind.DELAYS, twin=twin).fails()


def test_a_detector_process_that_does_not_answer_is_told(tmp_path):
    rig = Rig(tmp_path, ObservationKind.DELAYS)
    rig.bench._measure = lambda task, tags: None
    assert rig.fails() == 'the detector process does not tell the delays'


def test_damaged_results_are_told_with_their_file(tmp_path):
    for name, load in ((DELAYS, load_delays), (POLARIZATION, load_polarization)):
        assert load(tmp_path) is None
        (tmp_path / name).write_text('{}')
        with pytest.raises(StationError, match=name):
            load(tmp_path)
    assert not (tmp_path / POINTING).exists()


def test_the_step_of_the_simulated_evening_measures_both(tmp_path):
    pointing = StoredPointing.of(MountModel(), (639.5, 511.5), '20 stars', '2018-10-03T14:45:00Z')
    pointing.save(tmp_path)
    simulation = SimpleNamespace(twin=TWIN, station=STATION, site=SITE, seed=5)
    told = []
    outcome, end_ns = polarization(
        SimpleNamespace(simulation=simulation, state_dir=tmp_path), NIGHT_NS, lambda now_ns, text: told.append(text)
    )
    assert outcome.state is State.DONE
    assert outcome.values['offset_deg'] == pytest.approx(degrees(-mounting_error_rad(TWIN, 5)), abs=0.15)
    assert load_pointing(tmp_path).hwp_offset_deg == pytest.approx(outcome.values['offset_deg'], abs=1e-4)
    assert outcome.sentence.endswith(load_delays(tmp_path).verdict(STATION.detectors, tmp_path / DELAYS))
    assert 60 < (end_ns - NIGHT_NS) * 1e-9 < 200
    assert 'half-wave plate: angle 24 of 24' in told
