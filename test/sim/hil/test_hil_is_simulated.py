"""Whatever drivers are between: what comes from the twin is marked as simulated."""

from __future__ import annotations

import pytest
import yaml

from qkd_gs.devices.devices_file import load_devices, load_options
from qkd_gs.devices.kinds import KINDS
from qkd_gs.errors import StationError
from qkd_gs.share import share_path
from qkd_gs.sim.hil.tags import HELLO
from qkd_gs.station.graph import station_graph


def test_a_station_with_hardware_in_the_loop_is_marked_as_simulated_and_has_a_world():
    devices = load_devices('hil')
    assert devices.simulated
    assert devices.in_the_loop == [name for name, kind in KINDS.items() if not kind.optional]
    assert load_options('hil')['tdc'].serial_number == HELLO['serial_number']
    assert 'world' in {process.spec.name for process in station_graph({'devices': 'hil', 'speed': 1.0})}


def test_real_drivers_know_real_time_only():
    for speed in (0.0, 2.0):
        with pytest.raises(StationError, match='real time'):
            station_graph({'devices': 'hil', 'speed': speed})


def test_without_the_mark_simulated_and_real_devices_do_not_mix(tmp_path):
    chosen = yaml.safe_load(share_path('config', 'devices', 'hil.yaml').read_text(encoding='utf-8'))
    chosen['tdc'] = {'driver': 'sim'}
    path = tmp_path / 'devices.yaml'
    path.write_text(yaml.safe_dump(chosen), encoding='utf-8')
    assert load_devices(str(path)).simulated
    del chosen['world']
    path.write_text(yaml.safe_dump(chosen), encoding='utf-8')
    with pytest.raises(StationError, match='simulated and real devices'):
        load_devices(str(path))


def test_the_tags_of_the_twin_say_that_they_are_simulated():
    assert HELLO['simulated'] is True
