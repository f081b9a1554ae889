"""What is written on the bus of the simulated devices is what is read there, whoever comes, goes or is late."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.devices.calibration_light import CalibrationLightReading, Cover
from qkd_gs.devices.dome import DomeReading, Shutter
from qkd_gs.devices.focuser import FocuserReading
from qkd_gs.devices.hwp import HwpReading
from qkd_gs.devices.mount import MountCommand, MountMode, MountReading
from qkd_gs.sim.remote.actuators import HALT, Drive, FocuserState, TiltResidual, TruthBlock
from qkd_gs.sim.remote.bus import CHANNELS, Bus, bus_path

NUMBERS = st.floats(allow_nan=False, width=64)
STAMPS = st.integers(0, 2**31 * 10**9 - 1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'bus'


def listener(bus, channel):
    heard = []
    bus.listen(channel, object, heard.append)
    return heard


@pytest.mark.parametrize(
    ('channel', 'value'),
    [
        ('mount/command', MountCommand(3, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)),
        ('mount/state', MountReading(4, 0.1, 0.2, 0.3, 0.4, MountMode.TRACK, '')),
        ('mount/state', MountReading(4, 0.1, 0.2, 0.3, 0.4, MountMode.FAULT, 'mount.following_error')),
        *(('mount/drive', drive) for drive in Drive),
        ('beacon/on', True),
        ('beacon/on', False),
        ('beacon/state', BeaconReading(5, True, 0.9, True)),
        ('hwp/move', 1.25),
        ('hwp/state', HwpReading(6, 1.5, False)),
        ('focuser/move', 25_000),
        ('focuser/move', HALT),
        ('focuser/state', FocuserState(FocuserReading(7, 24_000, True, -3.5), 50_000)),
        ('calibration_light/on', 0.25),
        ('calibration_light/state', CalibrationLightReading(9, True, 0.25, False, Cover.MOVING)),
        *(('dome/state', DomeReading(8, shutter)) for shutter in Shutter),
        ('tilt_residual', TiltResidual(10**18 + 3, 1e-6, -2e-6)),
    ],
)
def test_channels_give_back_what_they_were_given(path, channel, value):
    world = Bus.create(path, 7)
    told = []
    world.obey(channel, object, lambda *sent: told.append(sent))
    Bus(path, lambda: 7).send(channel, value, 10**18 + 1)
    world.poll()
    assert told == [(10**18 + 1, value)]
    world.poll()
    assert len(told) == 1


def test_an_hwp_is_stopped_by_nan(path):
    world = Bus.create(path, 7)
    heard = listener(world, 'hwp/move')
    world.send('hwp/move', nan)
    world.poll()
    assert isnan(heard[0])


@given(arrays(np.float64, st.tuples(st.just(15), st.integers(1, 10)), elements=NUMBERS), STAMPS)
def test_the_truth_arrives_bit_for_bit(rows, end_ns):
    kind = CHANNELS['truth']
    for given_rows in (rows, np.asfortranarray(rows)):
        data = kind.layout.pack(0, *kind.pack(TruthBlock(end_ns, given_rows)))
        back = kind.unpack(kind.layout.unpack(data)[1:])
        assert back.end_ns == end_ns
        assert back.rows.tobytes() == np.ascontiguousarray(rows).tobytes()
        assert back.rows.shape == rows.shape
        assert list(back.times()) == [end_ns - 10**6 * i for i in range(rows.shape[1])][::-1]


def test_a_late_reader_gets_what_is_still_there_in_order(path):
    world = Bus.create(path, 7)
    heard = listener(world, 'hwp/move')
    kept = CHANNELS['hwp/move'].slots - 1
    for number in range(3 * kept):
        world.send('hwp/move', float(number))
    world.poll()
    assert heard == [float(number) for number in range(2 * kept, 3 * kept)]


def test_whoever_comes_later_hears_the_newest_state_but_no_old_order(path):
    world = Bus.create(path, 7)
    for number in range(3):
        world.send('hwp/state', HwpReading(number, 0.5, False))
        world.send('hwp/move', float(number))
    driver = Bus(path, lambda: 7)
    states, orders = listener(driver, 'hwp/state'), listener(driver, 'hwp/move')
    driver.poll()
    assert states == [HwpReading(2, 0.5, False)]
    assert orders == []


def test_a_driver_that_takes_anothers_place_goes_on_where_the_channel_stands(path):
    world = Bus.create(path, 7)
    heard = listener(world, 'hwp/move')
    Bus(path, lambda: 7).send('hwp/move', 1.0)
    Bus(path, lambda: 7).send('hwp/move', 2.0)
    world.poll()
    assert heard == [1.0, 2.0]


def test_a_driver_follows_from_one_world_to_the_next(path):
    began = [0]
    driver = Bus(path, lambda: began[0])
    heard = listener(driver, 'hwp/state')
    driver.send('hwp/move', 1.0)  # nobody is there
    driver.poll()
    for number in (7, 8):
        world = Bus.create(path, number)
        world.send('hwp/state', HwpReading(number, 0.5, False))
        driver.poll()
        assert number not in [reading.stamp_ns for reading in heard]  # not before the clock says whose time it is
        began[0] = number
        driver.poll()
    assert [reading.stamp_ns for reading in heard] == [7, 8]
    world.remove()
    assert not path.exists()


def test_a_world_that_ends_leaves_the_next_ones_bus_alone(path):
    old = Bus.create(path, 7)
    Bus.create(path, 8)
    old.remove()
    assert path.exists()


def test_each_station_has_a_bus_of_its_own():
    assert len({bus_path('/', '1'), bus_path('/', '2'), bus_path('/b', '1'), bus_path('/b', '2')}) == 4
    assert bus_path('/', '1') == bus_path('', '1')
