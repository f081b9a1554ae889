"""Simulated devices in processes of their own see and do the same as in one process, and survive what a link does."""

from __future__ import annotations

import numpy as np
from remote_wire import MS, SECOND_NS, Wire, setup_for

from qkd_gs.devices.camera import CameraSettings, Roi
from qkd_gs.devices.mount import MountCommand
from qkd_gs.sim.physics.state_history import Column
from qkd_gs.sim.remote.actuators import Drive
from qkd_gs.sim.remote.realtime_world import RealtimeWorld
from qkd_gs.sim.remote.sensors import RemoteCamera, RemoteTdc, TruthBlock
from qkd_gs.sim.twin import Twin
from qkd_gs.sim.world import World
from qkd_gs.tracking.types import CameraRole


def follow(world, setup, t_ns):
    """Keep drives, laser and axes as a perfect station would."""
    place, later = setup.truth.at(t_ns), setup.truth.at(t_ns + 10 * MS)
    here, there = world.axes_at(place.az_rad, place.el_rad), world.axes_at(later.az_rad, later.el_rad)
    rates = [(b - a) * 100 for a, b in zip(here, there, strict=True)]
    return MountCommand(t_ns, *here, *rates)


LOOKS = {
    CameraRole.GUIDING: CameraSettings(0.02, 4.0, 20, Roi(560, 432, 160, 160)),
    CameraRole.TRACKING: CameraSettings(0.008, 1.0, 50, Roi(241, 161, 157, 159)),
}


def test_images_and_tags_are_the_same_bit_for_bit_in_other_processes(setup):
    """One world with its cameras and TDC in it, another that only tells its true state, in blocks."""
    whole = Twin(setup.settings, setup.station, setup.truth, setup.site, setup.begin_ns, setup.seed, (setup.stars,))
    wires = {role: Wire(setup) for role in CameraRole}
    tdc_wire = Wire(setup)
    cameras = {role: RemoteCamera(role, setup, wires[role]) for role in CameraRole}
    tdc = RemoteTdc(setup, tdc_wire)
    for device in (*cameras.values(), tdc):
        device.open()

    def tell(block):
        for wire in (*wires.values(), tdc_wire):
            wire.arrives('truth', block)

    apart = RealtimeWorld(setup, tell)
    together = {CameraRole.GUIDING: whole.world.guiding_camera, CameraRole.TRACKING: whole.world.tracking_camera}
    whole.world.mount.enable(setup.begin_ns)
    apart.drive(setup.begin_ns, Drive.ENABLE)
    tags = {'whole': [], 'apart': []}
    frames = {place: {role: [] for role in CameraRole} for place in tags}
    now_ns = setup.begin_ns
    for step in range(900):
        if step == 500:  # the slew is over
            for role, settings in LOOKS.items():
                together[role].configure(now_ns, settings)
                cameras[role].configure(now_ns, settings)
            whole.tdc.start(now_ns)
            tdc.start(now_ns)
        command = follow(whole.world, setup, now_ns + 10 * MS)
        for world in (whole.world, apart):
            world.mount.command(now_ns, command)
            world.beacon.on(now_ns)
        now_ns += 10 * MS
        whole.advance(now_ns)
        apart.step(now_ns)
        if step % 10 == 9:
            for place, devices, converter in (('whole', together, whole.tdc), ('apart', cameras, tdc)):
                tags[place].append(converter.poll(now_ns))
                for role in CameraRole:
                    frames[place][role] += devices[role].poll(now_ns)
    assert apart.line_of_sight() == whole.world.line_of_sight()
    for role in CameraRole:
        one, other = frames['whole'][role], frames['apart'][role]
        assert len(one) == len(other) > 40
        for a, b in zip(one, other, strict=True):
            assert (a.stamp_ns, a.exposure_s, a.gain, a.roi) == (b.stamp_ns, b.exposure_s, b.gain, b.roi)
            assert np.array_equal(a.image, b.image)
    assert frames['apart'][CameraRole.TRACKING][-1].image.max() > 500  # of the satellite, not of the dark
    time_ps, channel = (
        {place: np.concatenate([getattr(block, name) for block in blocks]) for place, blocks in tags.items()}
        for name in ('time_ps', 'channel')
    )
    assert len(time_ps['whole']) > 1000
    assert np.array_equal(time_ps['whole'], time_ps['apart'])
    assert np.array_equal(channel['whole'], channel['apart'])
    residuals = [value for name, value in wires[CameraRole.TRACKING].sent if name == 'tilt_residual']
    assert [(f.stamp_ns, f.x_rad, f.y_rad) for f in residuals] == [tuple(row) for row in whole.world.tilt_residuals()]


def test_lost_blocks_break_neither_camera_nor_tdc(setup):
    """While nothing is heard the last state stands still; then stamps go on as if nothing had happened."""
    blocks = []
    world = RealtimeWorld(setup, blocks.append)
    world.step(setup.begin_ns + 2 * SECOND_NS)
    rng = np.random.default_rng(1)
    lost = set(rng.choice(len(blocks), len(blocks) // 5, replace=False).tolist()) | set(range(60, 90))
    stamps = {}
    for name, gone in (('all', set()), ('some', lost)):
        wire = Wire(setup)
        camera, tdc = RemoteCamera(CameraRole.TRACKING, setup, wire), RemoteTdc(setup, wire)
        camera.open()
        see_camera = wire._takers['truth']
        tdc.open()
        see_tdc = wire._takers['truth']
        got = []
        for number, block in enumerate(blocks):
            if number in gone:
                continue
            see_camera(block)
            see_tdc(block)
            if number == 0:
                camera.configure(block.end_ns, CameraSettings(0.01, 1.0, 20, Roi(0, 0, 64, 64)))
                tdc.start(block.end_ns)
            got += camera.poll(block.end_ns)
            tdc.poll(block.end_ns)
        stamps[name] = [frame.stamp_ns for frame in got]
    assert 0 not in lost
    assert len(stamps['all']) > 30
    assert stamps['some'] == stamps['all'][: len(stamps['some'])]
    assert len(stamps['some']) >= len(stamps['all']) - 1


def test_a_camera_that_has_heard_nothing_yet_shows_nothing(setup):
    camera = RemoteCamera(CameraRole.GUIDING, setup, Wire(setup))
    camera.open()
    camera.configure(0, LOOKS[CameraRole.GUIDING])
    assert camera.poll(10**18) == []
    camera.stop(0)
    camera.close()
    block = TruthBlock(5 * MS, np.zeros((len(Column) + 4, 5)))
    assert list(block.times()) == [MS, 2 * MS, 3 * MS, 4 * MS, 5 * MS]


# --- drives, laser and plate ---


# --- the setup shared by all processes ---


def test_every_process_computes_the_same_setup(setup, twin, site, elements):
    again = setup_for(elements, site, 3, twin, setup.station)
    other = setup_for(elements, site, 4, twin, setup.station)
    assert again.begin_ns == setup.begin_ns
    for name in ('found', 'start_ns', 'end_ns'):
        assert getattr(again.window, name) == getattr(setup.window, name)
    t_ns = setup.begin_ns + 17 * SECOND_NS
    assert again.truth.at(t_ns) == setup.truth.at(t_ns)
    assert again.window.predicted.at(t_ns) == setup.window.predicted.at(t_ns)
    assert other.truth.at(t_ns) != setup.truth.at(t_ns)
    assert other.window.predicted.at(t_ns) == setup.window.predicted.at(t_ns)
    assert setup.begin_ns == setup.window.start_ns + 30 * SECOND_NS
    one, two = (World(s.settings, s.station, s.truth, s.site, s.seed, s.begin_ns) for s in (setup, again))
    assert one.line_of_sight() == two.line_of_sight()
    records = [RemoteTdc(s, Wire(s)).record for s in (setup, again, other)]
    assert records[0] == records[1]
    assert records[0] != records[2]
