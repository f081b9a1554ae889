"""One camera process: finds the beacon, follows it, and does not run off with a star."""

from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from qkd_gs.bench.spot import read_out, spot_image
from qkd_gs.devices.camera import Frame, Roi
from qkd_gs.errors import StationError
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.tracking.camera.spotter import Spotter
from qkd_gs.tracking.types import CameraRole

STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
CAMERA = STATION.tracking_camera.model_copy(update={'electrons_per_count': 1.0})
ROI = Roi(x0_px=200, y0_px=100, width_px=240, height_px=200)
STEP_NS = 10_000_000


class Sky:
    """Images of point sources (full-sensor x, y, electrons per second)."""

    def __init__(self, seed=1):
        self.random = np.random.default_rng(seed)

    def frame(self, k, sources, settings, roi=ROI):
        expected = np.full((roi.height_px, roi.width_px), 50.0)
        for x_px, y_px, rate in sources:
            peak = rate * settings.exposure_s / (2 * np.pi * 4.0)
            expected += spot_image(expected.shape, x_px - roi.x0_px, y_px - roi.y0_px, 2.0, peak)
        counts = np.clip(read_out(expected, self.random) * settings.gain, 0, 65535).astype(np.uint16)
        return Frame(k * STEP_NS, settings.exposure_s, settings.gain, counts, roi)


@pytest.fixture
def spotter():
    return Spotter(CameraRole.TRACKING, CAMERA)


def follow(spotter, sky, places, start=0):
    """Measurements of frames with these sources each."""
    return [
        spotter.step(k * STEP_NS, sky.frame(k, sources, spotter.settings)) for k, sources in enumerate(places, start)
    ]


def test_places_are_those_of_the_full_sensor(spotter):
    measured = follow(spotter, Sky(), [[(321.4, 187.7, 1e6)]] * 20)
    assert all(m.found for m in measured)
    assert measured[0].x_px == pytest.approx(321.4, abs=0.2)
    assert measured[-1].y_px == pytest.approx(187.7, abs=0.2)
    assert measured[-1].camera == CameraRole.TRACKING
    assert measured[-1].stamp_ns == 19 * STEP_NS
    assert measured[-1].flux == pytest.approx(1e6 * spotter.settings.exposure_s, rel=0.1)


def test_an_empty_sky_has_no_spot(spotter):
    (measured,) = follow(spotter, Sky(), [[]])
    assert not measured.found
    assert isnan(measured.x_px)
    assert isnan(measured.flux)


def test_a_moving_beacon_is_followed(spotter):
    places = [[(220 + 1.5 * k, 150 + 20 * np.sin(k / 20), 1e6)] for k in range(120)]
    measured = follow(spotter, Sky(), places)
    errors = [np.hypot(m.x_px - s[0][0], m.y_px - s[0][1]) for m, s in zip(measured, places, strict=True)]
    assert all(m.found for m in measured)
    assert max(errors) < 0.6


def test_a_beacon_that_is_seen_while_it_brightens_is_held(spotter):
    """Its first light may be the edge of a fade or of a frame, a fiftieth of what follows within a few frames."""
    places = [[(320, 200, rate)] for rate in (1e5, 1e5, *[5e6] * 40)]
    measured = follow(spotter, Sky(), places)
    assert all(m.found for m in measured)


def test_a_star_that_is_far_brighter_than_a_beacon_well_known_is_not_taken_for_it(spotter):
    sky = Sky()
    follow(spotter, sky, [[(320, 200, 6e4)]] * 100)
    measured = follow(spotter, sky, [[(380, 150, 3e6)]] * 100, start=100)
    assert not any(m.found for m in measured)


def test_no_jump_to_a_passing_star_when_the_beacon_fades(spotter):
    """The star comes within 3 px of the beacon, as bright as it, just while the beacon is gone."""
    places = []
    for k in range(150):
        star = (320 + 12 * (k - 65), 203, 1e6)  # the sky slips by 12 px a frame
        beacon = [(320, 200, 1e6)] if not 60 <= k < 80 else []
        places.append([*beacon, star])
    measured = follow(spotter, Sky(), places)
    assert all(np.hypot(m.x_px - 320, m.y_px - 200) < 15 for m in measured[10:] if m.found)
    assert all(m.found for m in measured[85:])
    assert sum(m.found for m in measured[62:80]) <= 4  # the star while it crosses the gate


def test_a_faint_star_at_rest_is_not_taken_for_the_faded_beacon(spotter):
    steady, faded = [[(320, 200, 3e6), (326, 200, 6e4)]] * 50, [[(326, 200, 6e4)]] * 150
    sky = Sky()
    follow(spotter, sky, steady)
    measured = follow(spotter, sky, faded, start=50)
    assert not any(m.found for m in measured)


def test_after_long_enough_anything_may_be_the_beacon(spotter):
    sky = Sky()
    follow(spotter, sky, [[(320, 200, 3e6)]] * 20)
    measured = follow(spotter, sky, [[(380, 150, 1e5)]] * 30, start=620)
    assert measured[-1].found


def test_exposure_comes_down_before_the_image_saturates(spotter):
    sky, bright = Sky(), [(320, 200, 4e8)]
    measured = follow(spotter, sky, [bright] * 60)
    assert measured[-1].found
    assert 0.05 < sky.frame(60, bright, spotter.settings).image.max() / CAMERA.full_scale_counts < 0.7


def test_a_slower_camera_exposes_longer(spotter):
    sky = Sky()
    assert spotter.settings.exposure_s == pytest.approx(0.009)
    for k in range(12):
        measured = spotter.step(k * STEP_NS, sky.frame(10 * k, [(320, 200, 2e4)], spotter.settings))
    assert spotter.settings.exposure_s == pytest.approx(0.09)
    assert measured.found


def test_it_is_a_pure_function_of_its_frames():
    runs = [
        follow(Spotter(CameraRole.GUIDING, CAMERA), Sky(3), [[(300 + k, 200, 1e6)] for k in range(30)]) for _ in 'ab'
    ]
    assert runs[0] == runs[1]


def test_a_clock_set_back_resets_the_spotter(spotter):
    sky = Sky()
    follow(spotter, sky, [[(320, 200, 1e6)]] * 20, start=1000)
    assert follow(spotter, sky, [[(230, 120, 1e6)]], start=0)[0].x_px == pytest.approx(230, abs=1)


def test_a_frame_that_does_not_fit_its_region_is_refused(spotter):
    frame = Sky().frame(0, [], spotter.settings)
    with pytest.raises(StationError, match='does not fit its region'):
        spotter.step(0, replace(frame, roi=Roi(0, 0, 100, 100)))


def test_a_rate_beyond_the_camera_is_refused():
    with pytest.raises(StationError, match='rate_hz'):
        Spotter(CameraRole.TRACKING, CAMERA, rate_hz=1000.0)
