"""Mount, laser and HWP in processes of their own obey, refuse and fall silent as real ones do."""

from __future__ import annotations

from dataclasses import replace
from math import degrees, isnan, nan, radians

import pytest
from remote_wire import MS, SECOND_NS, Wire

from qkd_gs.devices.hwp import HwpReading
from qkd_gs.devices.mount import MountCommand, MountMode, MountReading
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.twin_plant import OpenInterlock
from qkd_gs.sim.remote.actuators import Drive, RemoteBeacon, RemoteHwp, RemoteMount
from qkd_gs.sim.remote.realtime_world import RealtimeWorld


def reading(stamp_ns=0, mode=MountMode.HOLD):
    return MountReading(stamp_ns, 0.1, 0.2, 0.0, 0.0, mode)


def test_the_mounts_driver_lets_nothing_beyond_the_travel_through(station):
    wire = Wire()
    mount = RemoteMount(station.mount, wire)
    mount.open()
    wire.arrives('mount/state', reading())
    for command, code in (
        (MountCommand(0, radians(271), 0.5), 'mount.limit'),
        (MountCommand(0, 0.0, radians(-4)), 'mount.limit'),
        (MountCommand(0, nan, 0.5), 'mount.command'),
        (MountCommand(0, 0.0, 0.5, float('inf')), 'mount.command'),
    ):
        with pytest.raises(DeviceFault) as fault:
            mount.command(0, command)
        assert fault.value.code == code
    assert not wire.sent
    good = MountCommand(0, 1.0, 0.5)
    mount.command(0, good)
    assert wire.last('mount/command') == good


@pytest.mark.parametrize('mode', [MountMode.OFF, MountMode.FAULT])
def test_drives_that_are_off_take_no_set_point(station, mode):
    wire = Wire()
    mount = RemoteMount(station.mount, wire)
    mount.open()
    wire.arrives('mount/state', reading(mode=mode))
    with pytest.raises(DeviceFault, match=mode.name):
        mount.command(0, MountCommand(0, 0.0, 0.5))
    assert not wire.sent
    mount.enable(0)
    mount.stop(0)
    mount.close()
    assert [value for _, value in wire.sent] == [Drive.ENABLE, Drive.STOP, Drive.OFF]


def test_silence_is_reported(station):
    wire = Wire()
    mount, beacon, plate = RemoteMount(station.mount, wire), RemoteBeacon(wire), RemoteHwp(wire)
    for device in (mount, beacon, plate):
        device.open()
    assert mount.read(5).mode is MountMode.OFF
    assert isnan(mount.read(5).az_rad)
    assert not beacon.read(5).interlock_closed
    assert isnan(plate.read(5).angle_rad)
    wire.arrives('mount/state', reading(SECOND_NS))
    wire.arrives('hwp/state', HwpReading(SECOND_NS, 0.5, False))
    assert mount.read(3 * SECOND_NS - MS) == reading(SECOND_NS)
    for device, code in ((mount, 'mount.silent'), (plate, 'hwp.silent')):
        with pytest.raises(DeviceFault, match=r'2\.5 s') as fault:
            device.read(SECOND_NS + 2500 * MS)
        assert fault.value.code == code
    with pytest.raises(DeviceFault) as fault:
        plate.move(0, nan)
    assert fault.value.code == 'hwp.command'
    plate.move(0, 1.25)
    assert wire.last('hwp/move') == 1.25
    plate.stop(0)
    assert isnan(wire.last('hwp/move'))


def test_drives_that_are_off_ignore_set_points(setup):
    world = RealtimeWorld(setup, lambda block: None)
    before = world.mount.true_angles()
    for _ in range(20):
        world.set_point(world.now_ns, MountCommand(world.now_ns + 10 * MS, 1.0, 1.0))
        world.step(world.now_ns + 10 * MS)
    assert world.mount.true_angles() == pytest.approx(before, abs=1e-6)  # brakes give a little in the wind
    assert world.mount.read(0).mode is MountMode.OFF
    world.drive(world.now_ns, Drive.ENABLE)
    for _ in range(20):
        world.set_point(world.now_ns, MountCommand(world.now_ns + 10 * MS, 1.0, 1.0))
        world.step(world.now_ns + 10 * MS)
    assert degrees(world.mount.true_angles()[1] - before[1]) > 0.05
    world.step(world.now_ns + 150 * MS)  # nobody commands any more: the drives' own watchdog
    assert world.mount.read(0).mode in (MountMode.STOPPING, MountMode.HOLD)
    world.drive(world.now_ns, Drive.OFF)
    assert world.mount.read(0).mode is MountMode.OFF


def test_an_open_interlock_keeps_it_dark(setup, twin):
    plant = twin.plant.model_copy(
        update={
            'beacon': twin.plant.beacon.model_copy(update={'interlock': (OpenInterlock(start_s=31, duration_s=1),)})
        }
    )
    opened = replace(setup, settings=twin.model_copy(update={'plant': plant}))
    world = RealtimeWorld(opened, lambda block: None)
    lit = {}
    for step in range(300):
        world.shine(world.now_ns, on=True)
        world.step(world.now_ns + 10 * MS)
        state = world.beacon.read(world.now_ns)
        lit[step * 10] = (state.emitting, state.interlock_closed)
    open_ms = [ms for ms, (_, closed) in lit.items() if not closed]
    assert len(open_ms) == pytest.approx(100, abs=2)
    assert not any(lit[ms][0] for ms in open_ms)
    assert lit[open_ms[0] - 20][0]
    assert lit[open_ms[-1] + 30][0]
    world.shine(world.now_ns, on=False)
    assert not world.beacon.read(world.now_ns).emitting


def test_the_hwp_moves_as_commanded_and_stops_at_not_a_number(setup):
    world = RealtimeWorld(setup, lambda block: None)
    world.move_hwp(world.now_ns, 1.0)
    world.step(world.now_ns + 100 * MS)
    assert world.hwp.read(world.now_ns).moving
    world.move_hwp(world.now_ns, nan)
    world.step(world.now_ns + 100 * MS)
    rest = world.hwp.read(world.now_ns)
    world.step(world.now_ns + 500 * MS)
    assert world.hwp.read(world.now_ns).angle_rad == pytest.approx(rest.angle_rad, abs=1e-3)
    assert not world.hwp.read(world.now_ns).moving
