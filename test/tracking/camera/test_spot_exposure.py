"""Exposure control: the peak stays in range while the beacon brightens and scintillates."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.devices.camera import CameraSettings
from qkd_gs.errors import StationError
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.tracking.camera.exposure import ExposureControl, ExposureLimits

CAMERA = load_yaml(share_path('config', 'station.yaml'), StationSettings).tracking_camera
FULL, DARK = CAMERA.full_scale_counts, 400.0
STEP_NS = 10_000_000


def counts(rate, chosen):
    """Peak counts of a beacon that makes `rate` counts a second at gain 1."""
    return min(DARK + rate * chosen.exposure_s * chosen.gain, FULL)


def run(control, chosen, rates, late=2):
    """Frames at 100 Hz; a change takes effect `late` frames after it was wanted."""
    peaks, changes, queue = [], 0, [chosen] * late
    for k, rate in enumerate(rates):
        taken = queue.pop(0)
        peak = counts(rate, taken)
        peaks.append(peak)
        wanted = control.step(k * STEP_NS, peak, taken, DARK)
        if wanted is not None:
            chosen, changes = wanted, changes + 1
        queue.append(chosen)
    return np.array(peaks), changes, chosen


def test_twenty_decibels_without_saturation():
    control = ExposureControl(CAMERA)
    scintillation = np.exp(np.random.default_rng(1).normal(0, 0.15, 20_000))
    rates = 2e6 * 10 ** (2 * np.linspace(0, 1, 20_000)) * scintillation
    peaks, changes, _ = run(control, control.widest(100.0), rates)
    assert np.mean(peaks >= FULL) < 1e-3
    assert np.mean(peaks[100:] - DARK > 0.05 * FULL) > 0.99
    assert changes < 60  # does not hunt


@settings(max_examples=40, deadline=None)
@given(rate=st.floats(5e5, 3e9))
def test_a_steady_beacon_comes_to_rest_inside_the_range(rate):
    control = ExposureControl(CAMERA)
    limits = ExposureLimits()
    peaks, _, chosen = run(control, control.widest(100.0), np.full(600, rate))
    part = (peaks[-1] - DARK) / (FULL - DARK)
    at_darkest = chosen.exposure_s == CAMERA.min_exposure_s and chosen.gain == 1
    at_lightest = chosen.exposure_s == pytest.approx(0.009) and chosen.gain == 1  # gain would show nothing more
    assert part <= limits.high or at_darkest
    assert part >= limits.low or at_lightest
    assert len(set(peaks[-50:])) == 1


def test_scintillation_alone_changes_nothing():
    control = ExposureControl(CAMERA)
    chosen = CameraSettings(exposure_s=0.004, gain=1.0, rate_hz=100.0)
    rate = 0.3 * FULL / 0.004
    fades = rate * np.where(np.arange(1000) % 20 < 4, 0.1, 1.0)  # 40 ms, 10 dB
    _, changes, _ = run(control, chosen, fades)
    assert changes == 0


def test_gain_only_where_exposure_ends():
    coarse = CAMERA.model_copy(update={'electrons_per_count': 20.0})
    control = ExposureControl(coarse)
    _, _, faint = run(control, control.widest(100.0), np.full(600, 1e5))
    assert faint.exposure_s == pytest.approx(0.009)
    assert faint.gain == pytest.approx(2 * 20 / 3)  # read noise of 3 electrons over two counts, and no further
    _, _, bright = run(control, faint, np.full(600, 1e8))
    assert bright.gain == 1
    assert bright.exposure_s < 0.009


def test_a_lost_beacon_is_looked_for_with_open_eyes_after_a_while():
    control = ExposureControl(CAMERA)
    dimmed = CameraSettings(exposure_s=0.0005, gain=1.0, rate_hz=100.0)
    control.step(0, 0.3 * FULL, dimmed)
    assert all(control.step(k * STEP_NS, None, dimmed) is None for k in range(1, 150))
    wanted = next(filter(None, (control.step(k * STEP_NS, None, dimmed) for k in range(150, 300))))
    assert wanted == replace(dimmed, exposure_s=pytest.approx(0.009))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(0, FULL)), min_size=5, max_size=60),
    st.floats(CAMERA.min_exposure_s, CAMERA.max_exposure_s),
    st.floats(1, CAMERA.max_gain),
)
def test_settings_never_leave_the_camera_s_limits(peaks, exposure_s, gain):
    control = ExposureControl(CAMERA)
    chosen = CameraSettings(exposure_s, gain, 50.0)
    for k, peak in enumerate(peaks):
        chosen = control.step(k * 200_000_000, peak, chosen, DARK) or chosen
        assert CAMERA.min_exposure_s <= chosen.exposure_s <= CAMERA.max_exposure_s
        assert 1 <= chosen.gain <= CAMERA.max_gain


def test_nonsense_is_refused():
    with pytest.raises(StationError, match='peak'):
        ExposureControl(CAMERA).step(0, float('nan'), CameraSettings(0.001, 1.0, 100.0))
    with pytest.raises(StationError, match='low < aim'):
        ExposureControl(CAMERA, ExposureLimits(low=0.5))
    with pytest.raises(StationError, match='rate_hz'):
        ExposureControl(CAMERA).widest(0.0)


def test_a_plateau_below_full_scale_counts_as_saturated():
    control = ExposureControl(CAMERA)
    chosen = CameraSettings(exposure_s=0.004, gain=1.0, rate_hz=100.0)
    assert control.step(0, 0.5 * FULL, chosen) is None
    wanted = control.step(STEP_NS, 0.5 * FULL, chosen, saturated=True)
    assert wanted.exposure_s == pytest.approx(0.0008)
