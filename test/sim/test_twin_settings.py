"""The twin's file and its scenarios are read, laid over each other, and refused with the place at fault."""

from __future__ import annotations

import pytest

from qkd_gs.errors import StationError
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.twin import TwinSettings, load_twin, scenario_names
from qkd_gs.share import share_path


def test_every_scenario_fits_and_changes_something():
    clear = load_twin()
    for name in scenario_names():
        assert load_twin(name) != clear


def test_a_scenario_replaces_only_what_it_names():
    clear, gusts = load_twin(), load_twin('gusts')
    assert gusts.plant.mount.azimuth.wind_n_m > clear.plant.mount.azimuth.wind_n_m
    assert gusts.plant.mount.azimuth.inertia_kg_m2 == clear.plant.mount.azimuth.inertia_kg_m2
    assert gusts.photonics == clear.photonics
    assert len(gusts.plant.mount.gusts) == 3


def test_an_unknown_scenario_is_refused_with_the_known_ones():
    with pytest.raises(StationError, match=r"--scenario: unknown scenario 'hail' \(one of .*clouds, gusts"):
        load_twin('hail')


@pytest.mark.parametrize(
    ('text', 'complaint'),
    [
        ('plant:\n  atmosphere:\n    r0_m: -1\n', r'storm\.yaml:3: plant\.atmosphere\.r0_m: Input should be greater'),
        ('plant:\n  atmosphere: {r0: 1}\n', r'storm\.yaml:2: plant\.atmosphere\.r0 is not known'),
        (
            'plant:\n  atmosphere:\n    fades: [{start_s: 1}]\n',
            r'yaml:3: plant\.atmosphere\.fades\.0\.duration_s',
        ),
        (
            'plant:\n  atmosphere:\n    layers: [{height_m: 0, weight: 0.5}]\n',
            r'storm\.yaml:2: plant\.atmosphere: .*sum to 0\.5',
        ),
        ('plant: [\n', r'storm\.yaml:2: not YAML'),
    ],
)
def test_a_fault_in_a_scenario_is_found_in_the_scenarios_file(tmp_path, text, complaint):
    path = tmp_path / 'storm.yaml'
    path.write_text(text)
    with pytest.raises(StationError, match=complaint):
        load_yaml(share_path('config', 'sim.yaml'), TwinSettings, path)
