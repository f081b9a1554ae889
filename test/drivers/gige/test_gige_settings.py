"""Settings, clocks and counts of the GigE Vision driver, without a camera."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.devices.camera import CameraSettings, Roi
from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.drivers.gige import camera
from qkd_gs.drivers.gige.device_clock import ArrivalClock, LatchedClock
from qkd_gs.drivers.gige.features import Abilities, Range, native
from qkd_gs.drivers.gige.losses import Losses
from qkd_gs.drivers.gige.options import GigeOptions
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

MODEL = load_yaml(share_path('config', 'station.yaml'), StationSettings).tracking_camera
OPTIONS = GigeOptions(address='10.0.0.2')


def abilities(**changes):
    given = {
        'identity': {}, 'exposure_us': Range(10, 1e7), 'gain': Range(0, 24), 'gain_in_db': True,
        'width': Range(16, 640, 16), 'height': Range(8, 480, 2), 'offset_step': (4, 2), 'tick_hz': 1e9, 'latch': None,
    }  # fmt: skip
    return Abilities(**(given | changes))


@given(st.integers(1, 640), st.integers(1, 480), st.integers(0, 639), st.integers(0, 479))
def test_the_region_that_is_read_out_contains_the_one_asked_for_and_keeps_the_steps(width, height, x0, y0):
    x0, y0 = min(x0, 640 - width), min(y0, 480 - height)
    got = native(CameraSettings(0.001, 1.0, 10.0, Roi(x0, y0, width, height)), MODEL, abilities(), OPTIONS)
    x, y, wide, high = got.region
    column, row = got.cut
    assert (x + column, y + row) == (x0, y0)
    assert min(column, row) >= 0
    assert x + wide <= 640
    assert y + high <= 480
    assert column + width <= wide
    assert row + height <= high
    assert (x % 4, y % 2, wide % 16, high % 2) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ('how', 'units', 'value', 'linear'),
    [
        ({'gain_in_db': True}, 0.0, 12.04, 4.0),
        ({'gain_in_db': False}, 0.0, 3, 4.0),
        ({'gain_in_db': False, 'gain': Range(100, 500)}, 0.5, 124, 3.98),
    ],
)
def test_the_gain_in_the_units_of_the_camera(how, units, value, linear):
    options = OPTIONS.model_copy(update={'gain_db_per_unit': units})
    got = native(CameraSettings(0.001, 4.0, 10.0), MODEL, abilities(**how), options)
    assert got.gain == pytest.approx(value, abs=0.01)
    assert got.given.gain == pytest.approx(linear, abs=0.01)


def test_what_the_camera_does_not_have_is_refused():
    for settings in (CameraSettings(0.001, 16.0, 10.0), CameraSettings(0.09, 1.0, 20.0), CameraSettings(0.001, 1.0, 0)):
        assert fault_of(lambda s=settings: native(s, MODEL, abilities(gain=Range(0, 20)), OPTIONS)) == 'camera.settings'


def test_the_latched_clock_finds_offset_and_rate_of_a_counter():
    rng, clock = np.random.default_rng(1), LatchedClock(125e6)
    host = lambda ticks: 77e9 + ticks * 8 * (1 + 20e-6)  # noqa: E731  a crystal that is 20 ppm slow
    assert clock.host_ns(1) is None
    for second in range(60):
        ticks = 5_000_000 + second * 125_000_000
        before, after = rng.exponential(40_000, 2) + 50_000
        clock.latch(ticks, round(host(ticks) - before), round(host(ticks) + after))
        newest = ticks + 60_000_000
        if second > 20:
            assert abs(clock.host_ns(newest) - host(newest)) < 30_000
    assert 1_000 < clock.error_ns < 60_000


def test_a_counter_that_begins_again_is_followed():
    clock = LatchedClock(1e9)
    for second in range(10):
        clock.latch(second * 10**9 + 10**12, second * 10**9, second * 10**9 + 1000)
    clock.latch(5, 20 * 10**9, 20 * 10**9 + 1000)
    assert abs(clock.host_ns(5) - 20 * 10**9) <= 1000


def test_arrivals_give_the_time_less_the_stated_latency():
    rng, clock = np.random.default_rng(1), ArrivalClock(1e9, 8_000_000)
    for number in range(500):
        exposed_ns = 10**12 + number * 10_000_000
        clock.arrived(number * 10_000_000, exposed_ns + 8_000_000 + round(rng.exponential(2e6)))
    assert abs(clock.host_ns(499 * 10_000_000) - exposed_ns) < 100_000


def test_few_losses_are_counted_and_many_are_told():
    losses = Losses(0.05)
    for step in range(40):
        losses.take(step * 100_000_000, {'frames_complete': 10 * step, 'frames_missed': step // 10}, 0)
    assert losses.trouble == ''
    for step in range(40, 60):
        losses.take(step * 100_000_000, {'frames_complete': 9 * step, 'frames_incomplete': step - 39}, step - 40)
    assert 'incomplete' in losses.trouble
    assert 'mis-sized' in losses.trouble
    for step in range(60, 90):
        losses.take(step * 100_000_000, {'frames_complete': 10 * step, 'frames_incomplete': 20}, 19)
    assert losses.trouble == ''


def test_a_process_that_is_held_up_takes_no_camera_for_silent(monkeypatch):
    """The thread has asked the camera; nobody looks for two seconds, and then everybody does again."""
    now = {'ns': 0}
    monkeypatch.setattr(camera.time, 'monotonic_ns', lambda: now['ns'])
    device = camera.GigeCamera(GigeOptions(address='10.0.0.1', timeout_s=1.0), MODEL)
    device._state.is_open = True
    device._session = SimpleNamespace(fault=None, busy_since_ns=1)
    now['ns'] = 2 * 10**9
    device._check(0)

    def look():
        now['ns'] += 10_000_000
        return fault_of(lambda: device._check(0))

    codes = [look() for _ in range(100)]
    first = codes.index('camera.silent')
    assert 85 < first < 100
    assert set(codes[:first]) == {''}
