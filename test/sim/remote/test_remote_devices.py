"""Simulated devices in processes of their own see and do the same as in one process, and survive what a link does."""

from __future__ import annotations

from dataclasses import replace
from math import degrees, isnan, nan, radians

import numpy as np
import pytest

from qkd_gs.calibration.light.survey import star_directions
from qkd_gs.calibration.stars import star_azel
from qkd_gs.devices.calibration_light import CalibrationLightReading, Cover
from qkd_gs.devices.camera import CameraSettings, Roi
from qkd_gs.devices.dome import DomeReading, Shutter
from qkd_gs.devices.hwp import HwpReading
from qkd_gs.devices.mount import MountCommand, MountMode, MountReading
from qkd_gs.errors import DeviceFault
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.pass_window import pass_window_nearest
from qkd_gs.settings.twin_plant import OpenInterlock
from qkd_gs.share import share_path
from qkd_gs.sim.photons.calibration_photons import CalibrationPhotons
from qkd_gs.sim.photons.light_meter import LightRates, View, dead_time_s
from qkd_gs.sim.photons.receiver import Received
from qkd_gs.sim.physics.state_history import Column
from qkd_gs.sim.remote.actuators import Drive, RemoteBeacon, RemoteHwp, RemoteMount
from qkd_gs.sim.remote.calibration_light import OFF, RemoteCalibrationLight
from qkd_gs.sim.remote.realtime_world import RealtimeWorld
from qkd_gs.sim.remote.sensors import RemoteCamera, RemoteTdc, TruthBlock
from qkd_gs.sim.simulation_setup import SimulationSetup
from qkd_gs.sim.twin import Twin
from qkd_gs.sim.world import World
from qkd_gs.timing.tags import Channel
from qkd_gs.tracking.types import CameraRole

MS = 1_000_000
SECOND_NS = 10**9
AT_NS = parse_utc('2018-10-03T15:56:42Z')


class Wire:
    """A link of plain calls; keeps what was sent, loses what it is told to."""

    def __init__(self, setup=None):
        self.setup = setup
        self.sent, self._takers = [], {}

    def send(self, channel, value, now_ns=0):
        self.sent.append((channel, value))

    def listen(self, channel, kind, take):
        self._takers[channel] = take

    def poll(self):
        pass

    def arrives(self, channel, value):
        self._takers[channel](value)

    def last(self, channel):
        return next(value for name, value in reversed(self.sent) if name == channel)


@pytest.fixture(scope='module')
def elements():
    return load_elements(share_path('config', 'elements', 'micius.tle'))


@pytest.fixture(scope='module')
def setup(twin, station, site, elements):
    """The world begins half a minute after the satellite has risen to 30 deg."""
    tracking = station.tracking.model_copy(update={'start_el_deg': 30.0, 'end_el_deg': 30.0})
    return setup_for(elements, site, 3, twin, station.model_copy(update={'tracking': tracking}))


def setup_for(elements, site, seed, twin, station):
    return SimulationSetup(twin, station, site, pass_window_nearest(elements, site, AT_NS, station), -30.0, seed)


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


def test_between_passes_the_detectors_count_the_star_that_the_telescope_looks_at(setup):
    """As many clicks as the lockstep's meter expects on average; beside the star and in a pass they are not there."""
    wire = Wire(setup)
    tdc = RemoteTdc(setup, wire)
    tdc.open()
    star = star_directions(setup.site, setup.begin_ns, 1)[0].star
    rates = LightRates(setup.settings.photonics, setup.site, setup.seed, setup.begin_ns)
    dead_s = dead_time_s(setup.settings.photonics)

    def look(first_ns, off_rad):
        """Counts of a second, and as many as are expected."""
        ends = (star_azel([star], setup.site, first_ns + k * SECOND_NS) for k in (0, 1))
        (az, el), (later_az, later_el) = ((float(az[0]), float(el[0])) for az, el in ends)
        blocks, expected = [], np.zeros(4)
        for k in range(1, 101):
            rows = np.zeros((len(Column) + len(Received), 1))
            rows[Column.AZ] = az + (later_az - az) * k / 100
            rows[Column.EL] = el + (later_el - el) * k / 100 + off_rad
            rows[len(Column) + Received.FADE], rows[len(Column) + Received.OFFSET] = 1.0, nan  # no satellite
            block = TruthBlock(first_ns + k * 10 * MS, rows)
            wire.arrives('truth', block)
            blocks.append(tdc.poll(block.end_ns))
            rate = rates.at(View(block.end_ns, float(rows[Column.AZ, 0]), float(rows[Column.EL, 0]), 0.0, 0.0, 1.0))
            expected += rate / (1 + rate * dead_s) / 100
        assert all(np.all(np.diff(block.time_ps) >= 0) for block in blocks)
        return np.bincount(np.concatenate([block.channel for block in blocks]), minlength=8)[1:5], expected

    tdc.start_between_passes(setup.begin_ns)
    for number, off_rad in enumerate((0.0, 0.002)):
        counts, expected = look(setup.begin_ns + number * SECOND_NS, off_rad)
        assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))
        assert bool(counts.sum() > 2000) is (off_rad == 0.0)
    tdc.stop(setup.begin_ns + 2 * SECOND_NS)
    tdc.start(setup.begin_ns + 2 * SECOND_NS)
    assert look(setup.begin_ns + 2 * SECOND_NS, 0.0)[0].sum() == 0


def test_between_passes_the_detectors_count_the_calibration_light_behind_the_closed_shutter(setup):
    """Plate and light as the world tells them, tags as in lockstep; nothing of it is there while the light is off."""
    wire = Wire(setup)
    tdc = RemoteTdc(setup, wire)
    tdc.open()
    tdc.start_between_passes(setup.begin_ns)
    wire.arrives('dome/state', DomeReading(setup.begin_ns, Shutter.CLOSED))
    photons = CalibrationPhotons(setup.settings, setup.station, setup.seed, setup.begin_ns)
    counted = {}
    for second, (brightness, hwp_rad) in enumerate(((0.0, 0.3), (0.5, 0.3), (0.5, 0.7))):
        reading = CalibrationLightReading(setup.begin_ns, brightness > 0, brightness, brightness > 0, Cover.NONE)
        wire.arrives('calibration_light/state', reading)
        wire.arrives('hwp/state', HwpReading(setup.begin_ns, hwp_rad, False))
        first_ns, tags = setup.begin_ns + second * SECOND_NS, []
        for k in range(1, 101):
            rows = np.zeros((len(Column) + len(Received), 1))
            block = TruthBlock(first_ns + k * 10 * MS, rows)
            wire.arrives('truth', block)
            tags.append(tdc.poll(block.end_ns))
        time_ps = np.concatenate([block.time_ps for block in tags])
        assert np.all(np.diff(time_ps) >= 0)
        counted[second] = np.bincount(np.concatenate([block.channel for block in tags]), minlength=7)
        if brightness:
            alone = photons.between(first_ns, first_ns + SECOND_NS, brightness, hwp_rad)
            expected = np.bincount(alone.channel, minlength=7)
            assert np.all(np.abs(counted[second] - expected - counted[0]) < 7 * np.sqrt(expected + 100))
    assert counted[0][1:5].sum() < 200
    assert counted[0][Channel.BEACON] == 0
    assert counted[1][Channel.BEACON] == pytest.approx(setup.settings.surroundings.calibration_light.pulse_rate_hz)
    assert np.any(np.abs(counted[1] - counted[2]) > 1000)  # the HWP turns it from one detector to another
    tdc.stop(setup.begin_ns + 3 * SECOND_NS)


def test_a_driver_of_the_calibration_light_switches_off_what_it_finds():
    wire = Wire()
    light = RemoteCalibrationLight(wire)
    light.open()
    assert wire.last('calibration_light/on') == OFF
    wire.arrives('calibration_light/state', CalibrationLightReading(AT_NS, True, 0.4, True, Cover.NONE))
    with pytest.raises(DeviceFault, match='no reading of the light for 3'):
        light.read(AT_NS + 3 * SECOND_NS)


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
