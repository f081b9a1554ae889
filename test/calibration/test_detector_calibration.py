"""Calibration of the detectors with trusted light: against the twin's true delays and efficiencies."""

import json

import numpy as np
import pytest
import yaml

from qkd_gs.calibration.detector_delays import calibrate_delays
from qkd_gs.calibration.detector_efficiencies import calibrate_efficiencies
from qkd_gs.calibration.measured_delays import FILE_NAME, DelaysTold, MeasuredDelays
from qkd_gs.cli import main
from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.photons.receiver import true_delays_ps
from qkd_gs.sim.photons.trusted_light import lamp, pulsed_source
from qkd_gs.timing.tags import QUANTUM, Channel, TagBlock

STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
LIGHT = load_twin().photonics
FAR_OFF = LIGHT.model_copy(update={'spads': LIGHT.spads.model_copy(update={'delay_error_ns': 4.0})})
TAGGER_PS = 50.0
NIGHT_NS = parse_utc('2018-10-03T15:00:00Z')
TRUE_PS = true_delays_ps(FAR_OFF, STATION, 4)


def relative(delay_ps):
    own = np.array([delay_ps[channel] for channel in QUANTUM], float)
    return own - own.mean()


@pytest.mark.parametrize('seed', range(6))
def test_delays_that_are_far_off_are_found_within_the_uncertainty_told(seed):
    truth_ps = true_delays_ps(FAR_OFF, STATION, seed)
    found = calibrate_delays(pulsed_source(FAR_OFF, truth_ps, seed, 5.0), TAGGER_PS)
    error_ps = np.abs(found.delay_ps - relative(truth_ps))
    assert error_ps.max() < found.uncertainty_ps - TAGGER_PS  # the twin's tagger has no error between inputs
    assert found.uncertainty_ps < 100
    np.testing.assert_allclose(found.rms_ps, 205, rtol=0.03)  # diode, pulse and tagger


def test_delays_longer_than_the_period_are_no_matter():
    truth_ps = true_delays_ps(FAR_OFF, STATION, 1)
    truth_ps[Channel.H] += 9_998_000  # 10 us is the period: the peaks lie on both sides of a trigger
    found = calibrate_delays(pulsed_source(FAR_OFF, truth_ps, 1, 5.0), TAGGER_PS)
    truth_ps[Channel.H] -= 10_000_000
    assert np.abs(found.delay_ps - relative(truth_ps)).max() < 30


def test_a_drift_during_the_measurement_is_in_the_uncertainty():
    truth_ps = true_delays_ps(LIGHT, STATION, 2)

    def drifting():
        for number, block in enumerate(pulsed_source(LIGHT, truth_ps, 2, 5.0)):
            late_ps = np.where(block.channel == Channel.H, 40 * number, 0)
            order = np.argsort(block.time_ps + late_ps, kind='stable')
            yield TagBlock((block.time_ps + late_ps)[order], block.channel[order])

    found = calibrate_delays(drifting(), TAGGER_PS)
    assert found.drift_ps == pytest.approx(180 * 3 / 4, abs=30)  # half of 360 ps, less what it moves the mean by
    assert found.uncertainty_ps > found.drift_ps


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (lambda block: block.channel != Channel.BEACON, 'no regular pulses'),
        (lambda block: block.channel != Channel.V, r'V: 0 clicks, 10000 are needed'),
        (lambda block: (block.channel != Channel.BEACON) | (np.arange(len(block)) % 7 == 0), 'no regular pulses'),
    ],
)
def test_a_measurement_that_tells_nothing_is_refused(change, said):
    truth_ps = true_delays_ps(LIGHT, STATION, 1)

    def spoilt():
        for block in pulsed_source(LIGHT, truth_ps, 1, 5.0):
            keep = change(block)
            yield TagBlock(block.time_ps[keep], block.channel[keep])

    with pytest.raises(StationError, match=said):
        calibrate_delays(spoilt(), TAGGER_PS)


def test_steady_light_gives_no_delays():
    def steady():
        for block in pulsed_source(LIGHT, true_delays_ps(LIGHT, STATION, 1), 1, 5.0):
            photon = block.channel != Channel.BEACON
            at_ps = np.where(photon, block.time_ps + np.arange(len(block)) * 7_919_000 % 9_999_991, block.time_ps)
            order = np.argsort(at_ps, kind='stable')
            yield TagBlock(at_ps[order], block.channel[order])

    with pytest.raises(StationError, match='no clear peak'):
        calibrate_delays(steady(), TAGGER_PS)


def counted(lit, seconds=20.0):
    return sum(np.bincount(block.channel, minlength=5)[1:5] for block in lamp(LIGHT, 3, seconds, lit))


def test_efficiencies_are_found_within_the_uncertainty_told():
    found = calibrate_efficiencies(counted(True), 20.0, counted(False), 20.0, 45e-9, polarization=0.0)
    true = np.array([LIGHT.spads.relative_efficiency[channel.name] for channel in QUANTUM])
    assert np.abs(found.efficiency - true / true.mean()).max() < found.uncertainty < 0.02
    np.testing.assert_allclose(found.dark_cps, 20, rtol=0.25)


def test_too_little_and_too_much_light_are_refused():
    dark = np.array([100, 100, 100, 100])
    with pytest.raises(StationError, match='D: fewer than 10000 clicks'):
        calibrate_efficiencies(np.array([50_000, 50_000, 5_000, 50_000]), 1.0, dark, 1.0, 50e-9, 0.01)
    with pytest.raises(StationError, match='so bright'):
        calibrate_efficiencies(np.array([5_000_000] * 4), 1.0, dark, 1.0, 50e-9, 0.01)


def test_the_command_writes_settings_that_the_station_takes(tmp_path, capsys):
    out = tmp_path / 'station.yaml'
    assert (
        main(['calibrate-detectors', '--simulate', '--seed', '5', '--seconds', '5', '--out', str(out), '--json']) == 0
    )
    told = json.loads(capsys.readouterr().out)
    calibrated = load_yaml(out, StationSettings).detectors
    assert calibrated.delay_ns == told['detectors']['delay_ns']
    assert calibrated.delay_uncertainty_ns == told['delays']['uncertainty_ns'] < 0.1
    assert calibrated.relative_efficiency == told['detectors']['relative_efficiency']
    truth_ps = true_delays_ps(LIGHT, STATION, 5)
    measured_ps = {Channel[name]: 1e3 * delay_ns for name, delay_ns in calibrated.delay_ns.items()}
    assert np.abs(relative(measured_ps) - relative(truth_ps)).max() < 30
    assert calibrated.delay_ns['BEACON'] == STATION.detectors.delay_ns['BEACON']


def test_the_command_reads_what_a_time_tagger_wrote(tmp_path, capsys):
    truth_ps = true_delays_ps(LIGHT, STATION, 6)
    path = tmp_path / 'pulsed.csv'
    inputs = {Channel.H: 3, Channel.V: 1, Channel.D: 8, Channel.A: 2, Channel.BEACON: 4}
    with open(path, 'w') as file:
        file.write('time_ps,channel\n')
        for block in pulsed_source(LIGHT, truth_ps, 6, 3.0):
            file.writelines(f'{t},{inputs[c]}\n' for t, c in zip(block.time_ps.tolist(), block.channel, strict=True))
    named = 'H=3,V=1,D=8,A=2,TRIGGER=4'
    assert main(['calibrate-detectors', '--pulsed', str(path), '--inputs', named, '--json']) == 0
    told = json.loads(capsys.readouterr().out)
    found_ps = 1e3 * np.array(list(told['delays']['relative_ns'].values()))
    assert np.abs(found_ps - relative(truth_ps)).max() < 30
    assert told['efficiencies'] is None


def test_delays_that_the_station_has_measured_are_put_into_settings(tmp_path, capsys):
    told = DelaysTold.of(NIGHT_NS, calibrate_delays(pulsed_source(FAR_OFF, TRUE_PS, 4, 3.0), TAGGER_PS))
    measured = MeasuredDelays.of(NIGHT_NS, told)
    measured.save(tmp_path)
    assert not measured.holds(STATION.detectors)
    out, path = tmp_path / 'station.yaml', str(tmp_path / FILE_NAME)
    assert main(['calibrate-detectors', '--measured', path, '--out', str(out)]) == 0
    said = capsys.readouterr().out
    assert 'delays as the station measured them at 2018-10-03T15:00:00Z' in said
    calibrated = load_yaml(out, StationSettings).detectors
    assert measured.holds(calibrated)
    assert calibrated.delay_uncertainty_ns == measured.uncertainty_ns
    own = relative({Channel[name]: 1e3 * delay_ns for name, delay_ns in calibrated.delay_ns.items()})
    assert np.abs(own - relative(TRUE_PS)).max() < 30
    known = STATION.detectors.delay_ns
    assert sum(calibrated.delay_ns[one.name] - known[one.name] for one in QUANTUM) == pytest.approx(0, abs=1e-3)
    assert load_yaml(out, StationSettings).frozen_digest != STATION.frozen_digest


def test_two_sources_of_delays_are_refused(tmp_path, capsys):
    told = DelaysTold.of(NIGHT_NS, calibrate_delays(pulsed_source(LIGHT, TRUE_PS, 4, 3.0), TAGGER_PS))
    MeasuredDelays.of(NIGHT_NS, told).save(tmp_path)
    measured = ['--measured', str(tmp_path / FILE_NAME)]
    assert main(['calibrate-detectors', '--simulate', '--seconds', '3', *measured]) == 2
    assert '--measured: gives the delays, too' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        ([], 'nothing to measure'),
        (['--measured', 'none.json'], 'none.json'),
        (['--pulsed', 'none.ptu'], 'none.ptu: cannot be read'),
        (['--lamp', 'lamp.ptu'], 'goes with --dark'),
        (['--simulate', '--tagger-ns', '0.4'], 'ns only, 0.3 ns are needed'),
    ],
)
def test_bad_input_is_one_sentence(arguments, said, capsys):
    assert main(['calibrate-detectors', '--seconds', '3', *arguments]) == 2
    assert said in capsys.readouterr().err


def test_settings_with_half_a_calibration_are_refused(tmp_path):
    data = yaml.safe_load(share_path('config', 'station.yaml').read_text())
    data['detectors']['relative_efficiency'] = {'H': 1.0, 'V': 1.0}
    (tmp_path / 'station.yaml').write_text(yaml.safe_dump(data))
    with pytest.raises(StationError, match=r'relative_efficiency: .*must be positive numbers for H, V, D, A'):
        load_yaml(tmp_path / 'station.yaml', StationSettings)
