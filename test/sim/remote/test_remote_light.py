"""Light that the detectors count between passes, in processes of their own."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest
from remote_wire import AT_NS, MS, SECOND_NS, Wire

from qkd_gs.calibration.light.survey import star_directions
from qkd_gs.calibration.stars import star_azel
from qkd_gs.devices.calibration_light import CalibrationLightReading, Cover
from qkd_gs.devices.dome import DomeReading, Shutter
from qkd_gs.devices.hwp import HwpReading
from qkd_gs.errors import DeviceFault
from qkd_gs.sim.photons.calibration_photons import CalibrationPhotons
from qkd_gs.sim.photons.light_meter import LightRates, View, dead_time_s
from qkd_gs.sim.photons.receiver import Received
from qkd_gs.sim.physics.state_history import Column
from qkd_gs.sim.remote.calibration_light import OFF, RemoteCalibrationLight
from qkd_gs.sim.remote.sensors import RemoteTdc, TruthBlock
from qkd_gs.timing.tags import Channel


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
