"""Telemetry and tracking figures of a bag; the figures are the same live and from the bag, to the last digit."""

from __future__ import annotations

import random
from dataclasses import asdict, replace
from math import degrees, isnan, radians

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from passes_on_topics import BEGIN_NS, PLATE_OFF_RAD, messages, state, target, whole_bag

from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.recording import differences, metrics_of_bag, open_bag, telemetry_of_bag
from qkd_gs.session.telemetry import load_telemetry
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.tracking.record.topics import FEEDS, feed, running_metrics
from qkd_gs.tracking.types import Phase

MODEL = MountModel(IA=0.17, IE=-0.02, AN=1e-3)


@pytest.fixture(scope='module')
def station():
    return load_yaml(share_path('config', 'station.yaml'), StationSettings)


@pytest.fixture(scope='module')
def rows():
    return messages()


@pytest.fixture(scope='module')
def bag(tmp_path_factory, rows):
    return open_bag(whole_bag(tmp_path_factory.mktemp('session') / 'bag', rows))


def live(rows, station):
    metrics = running_metrics(station.tracking)
    for name, _, sent in rows:
        if name[1:] in FEEDS:
            feed(metrics, name[1:], sent)
    return metrics.metrics()


def test_figures_of_the_bag_are_those_of_the_live_topics(bag, rows, station):
    assert asdict(metrics_of_bag(bag, station.tracking)) == pytest.approx(
        asdict(live(rows, station)), rel=0, nan_ok=True
    )


def test_the_order_of_arrival_does_not_matter(rows, station):
    shuffled = random.Random(1).sample(rows, len(rows))
    assert asdict(live(shuffled, station)) == pytest.approx(asdict(live(rows, station)), rel=0, nan_ok=True)


def test_the_figures_are_right(bag, rows, station):
    found = metrics_of_bag(bag, station.tracking)
    # above 20 deg of 10 + 40 sin(pi t / 60): from 4.826 s to 55.174 s; lock from 2 s on, lost from 30 to 31 s
    above_s = 60 * (1 - 2 * np.arcsin(0.25) / np.pi)
    assert found.locked_s == pytest.approx(above_s - 1, abs=0.03)
    assert found.locked_fraction == pytest.approx(1 - 1 / above_s, abs=1e-3)
    assert found.losses == 1
    assert found.acquire_s == pytest.approx(1.5, abs=0.011)
    spots = [
        (sent.error_x_urad, sent.error_y_urad)
        for name, _, sent in rows
        if name == '/session/state' and 4.826 < (stamp_s(sent)) < 55.174 and not isnan(sent.error_x_urad)
    ]
    rms = np.sqrt(np.mean(np.square(spots), axis=0))
    assert (found.spot_rms_x_urad, found.spot_rms_y_urad) == pytest.approx(tuple(rms), rel=1e-9)
    assert all(isnan(value) for value in (found.rms_x_urad, found.floor_y_urad, found.peak_urad))


def stamp_s(sent):
    return (sent.header.stamp.sec * 10**9 + sent.header.stamp.nanosec - BEGIN_NS) * 1e-9


@settings(max_examples=40)
@given(st.integers(1, 5), st.integers(6, 30), st.floats(0.1, 5))
def test_time_counts_not_how_often_the_tracker_speaks(station, rarely, often, lost_s):
    """States come more often while the satellite is held; the shares are of time."""
    metrics = running_metrics(station.tracking)
    t_s, said = 0.0, []
    while t_s < 30:
        lost = 10 <= t_s < 10 + lost_s
        said.append((t_s, lost))
        t_s += 0.01 * (rarely if lost else min(often, 10))
    for t_s, lost in said:
        feed(metrics, 'session/state', state(BEGIN_NS + round(t_s * 1e9), Phase.LOST if lost else Phase.FINE))
    for t_s in range(-1, 33):
        feed(metrics, 'target', target(BEGIN_NS + t_s * 10**9, radians(40)))
    found = metrics.metrics()
    assert found.locked_fraction == pytest.approx(1 - lost_s / 30, abs=0.01)
    assert found.locked_s == pytest.approx(30 - lost_s, abs=0.25)


def test_a_gap_in_the_record_is_nobodys_time(station, rows):
    """The recorder was away for 5 s."""
    away = [row for row in rows if not 10 <= (row[1] - BEGIN_NS) * 1e-9 < 15]
    assert live(rows, station).locked_s - live(away, station).locked_s == pytest.approx(5, abs=0.12)


def test_an_aborted_pass_ends_there(station, rows):
    begun = [row for row in rows if row[1] < BEGIN_NS + 20 * 10**9]
    parked = [
        ('/session/state', t, state(t, Phase.PARK)) for t in range(BEGIN_NS + 20 * 10**9, BEGIN_NS + 25 * 10**9, 10**7)
    ]
    high = [('/target', t, target(t, 1.0)) for t in range(BEGIN_NS + 20 * 10**9, BEGIN_NS + 25 * 10**9, 10**8)]
    assert live(begun + parked + high, station).locked_fraction == pytest.approx(1, abs=1e-3)


def test_differences_are_told_by_name(bag, station):
    found = metrics_of_bag(bag, station.tracking)
    kept = {name: None if isnan(value) else value for name, value in asdict(found).items()}
    assert differences(kept, found) == {}
    assert differences({**kept, 'losses': 7, 'rms_x_urad': 1.0}, found) == {'losses': (7, 1), 'rms_x_urad': (1.0, None)}
    assert differences({'real_time_factor': 2.0}, replace(found, losses=2)) == {}


def test_telemetry_of_a_bag(bag, rows, station, tmp_path):
    told = telemetry_of_bag(bag, station, MODEL)
    assert len(told.t_ns) == sum(name == '/mount/state' for name, _, _ in rows)
    enc_az, enc_el = MODEL.encoder(told.az_rad, told.el_rad)
    assert enc_az == pytest.approx(6.2 + 0.01 * (told.t_ns - BEGIN_NS) * 1e-9, abs=1e-9)
    assert np.degrees(enc_el).max() == pytest.approx(50, abs=1e-6)
    assert not len(told.error_x_urad)
    # the phase as last told: a state's log time does not count, its stamp does
    assert told.phase[0] == Phase.ACQUIRE
    assert told.phase[3050] == Phase.LOST
    assert told.phase[-1] == Phase.FINE
    assert len(told.spot_t_ns) == sum(
        name == '/session/state' and not isnan(sent.error_x_urad) for name, _, sent in rows
    )
    camera = station.guiding_camera
    off_px = np.hypot(641.0 - camera.reference_x_px, 510.0 - camera.reference_y_px)
    assert np.hypot(told.guide_x_urad, told.guide_y_urad) == pytest.approx(off_px * camera.scale_urad_px)
    assert told.polarization_error_deg == pytest.approx(2 * degrees(PLATE_OFF_RAD), abs=1e-6)
    assert told.counts[:, 3].tolist() == [400, 110, 120, 130]
    assert told.beacon_counts[0] == 9000
    assert not len(told.sync_t_ns)
    told.save(tmp_path)
    assert len(load_telemetry(tmp_path).hwp_t_ns) == len(told.hwp_t_ns) > 2000
