"""Settings whose parts contradict each other are refused when they are read, by name."""

import pytest
import yaml

from qkd_gs.errors import StationError
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.source import load_source, source_names
from qkd_gs.settings.station import SourceSettings, StationSettings
from qkd_gs.settings.twin import TwinSettings
from qkd_gs.share import share_path

MISSING = object()


def changed(tmp_path, file, key, value):
    data = yaml.safe_load(share_path('config', file).read_text())
    *parts, last = key.split('/')
    section = data
    for part in parts:
        section = section[part]
    if value is MISSING:
        del section[last]
    else:
        section[last] = value
    path = tmp_path / file
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.mark.parametrize(
    ('key', 'value', 'why'),
    [
        ('mount/azimuth/min_deg', 271, 'mount.azimuth: min_deg 271 is not below max_deg 270'),
        ('mount/azimuth/min_deg', False, 'mount.azimuth.min_deg: true or false'),
        ('mount/park_az_deg', 300, 'mount: park_az_deg 300 is outside'),
        ('hwp/parity', 0, 'hwp.parity: 0 is neither'),
        ('hwp/parity', True, 'hwp.parity: true or false'),
        ('tracking_camera/min_exposure_s', 0.2, 'tracking_camera: min_exposure_s 0.2 is above'),
        ('tracking_camera/reference_x_px', 700, 'tracking_camera: reference_x_px 700 is outside'),
        ('detectors/delay_ns/Beacon', 45.0, 'detectors.delay_ns: Beacon is no channel'),
        ('detectors/delay_ns/PPS', MISSING, 'detectors.delay_ns: PPS is missing'),
        ('detectors/delay_ns/H', True, 'detectors.delay_ns: true or false'),
        ('detectors/delay_ns/H', float('nan'), 'detectors.delay_ns.H'),
        ('detectors/delay_tolerance_ns', 5.0, 'detectors.delay_tolerance_ns 5 is not below half'),
        ('detectors/pps_edge', 'both', 'detectors.pps_edge'),
        ('source/p_signal', 0.9, 'source: p_signal, p_decoy and p_vacuum sum to 1.4'),
        ('source/mu_decoy', 0.8, 'source: mu_decoy 0.8 is not below'),
        ('source/mu_vacuum', 0.01, 'source: mu_vacuum 0.01 is not 0'),
        ('source/p_vacuum', 0, 'source: p_signal, p_decoy and p_vacuum sum to 0.75'),
        ('source/p_hv', 0.9, 'source: p_hv 0.9 is not 0.5: the bounds hold for a source that draws both bases'),
        (
            'detectors/relative_efficiency',
            {'H': 1.3, 'V': 1.3, 'D': 0.7, 'A': 0.7},
            'detectors.relative_efficiency: the bases HV and DA differ by 30.0%',
        ),
        (
            'detectors/relative_efficiency',
            {'H': 1.1, 'V': 0.9, 'D': 1.0, 'A': 1.0},
            'detectors.relative_efficiency: H and V differ by 10.0%',
        ),
        ('source/pulse_rate_hz', 2.0**63, 'source.pulse_rate_hz'),
        ('source/beacon_rate_hz', 2e7, 'source.beacon_rate_hz'),
        ('key/gate_ns', 11.0, 'key.gate_ns 11 is longer than a pulse period'),
        ('key/hold_off_ns', 20, 'key.hold_off_ns 20 is shorter than detectors.dead_time_ns'),
        ('tracking/data_el_deg', 60, None),
        ('tracking/start_el_deg', 45, 'tracking.data_el_deg 20 is below tracking.start_el_deg 45'),
        ('tracking/end_el_deg', 30, 'tracking.data_el_deg 20 is below tracking.end_el_deg 30'),
    ],
)
def test_a_station_that_contradicts_itself(tmp_path, key, value, why):
    path = changed(tmp_path, 'station.yaml', key, value)
    if why is None:
        load_yaml(path, StationSettings)
        return
    with pytest.raises(StationError) as refused:
        load_yaml(path, StationSettings)
    assert why in str(refused.value)
    assert str(refused.value).startswith(str(path))
    assert 'Value error' not in str(refused.value)


def test_a_twin_with_a_detector_of_another_name(tmp_path):
    path = changed(tmp_path, 'sim.yaml', 'photonics/spads/relative_efficiency/X', 1.0)
    with pytest.raises(StationError, match='relative_efficiency: needs a positive number for each of H, V, D, A'):
        load_yaml(path, TwinSettings)


@pytest.mark.parametrize(
    ('change', 'why'),
    [
        ({'p_decoy': 0.5, 'p_vacuum': 0.0}, 'p_vacuum is 0: the bounds need three intensities'),
        ({'mu_vacuum': 0.02}, 'mu_vacuum 0.02 is not 0: the bounds hold for a true vacuum state only'),
        ({'p_hv': 0.7}, 'p_hv 0.7 is not 0.5'),
        ({'beacon_rate_hz': 0}, 'beacon_rate_hz is 0: without a beacon, public_pulses must give the clock'),
        ({'beacon_rate_hz': 5}, 'beacon_rate_hz 5 is below 10'),
        ({'public_pulses': {'block': 1000}}, 'public_pulses are for a source without a beacon'),
    ],
)
def test_a_source_that_the_bounds_do_not_cover(tmp_path, change, why):
    path = tmp_path / 'mine.yaml'
    path.write_text(yaml.safe_dump(load_source('bench').model_dump() | change))
    with pytest.raises(StationError, match=why):
        load_source(str(path))


def test_every_source_that_comes_with_the_package(tmp_path):
    for name in source_names():
        assert load_source(name.upper()).pulse_rate_hz >= 1e6
    with pytest.raises(StationError, match='unknown source'):
        load_source('sputnik')
    path = tmp_path / 'mine.yaml'
    path.write_text(yaml.safe_dump(load_source('bench').model_dump() | {'p_signal': 0.6}))
    with pytest.raises(StationError, match=r'mine.yaml: p_signal, p_decoy and p_vacuum sum to 1.1'):
        load_source(str(path))
    assert isinstance(load_source('bench'), SourceSettings)
