"""A telescope finds itself: strips of images, the search, and what is wrong with an encoder."""

from __future__ import annotations

from math import cos, radians, sin

import cv2
import numpy as np
import pytest

from qkd_gs.calibration.finding.search import Analysis, Search, SearchState
from qkd_gs.calibration.finding.strip import Strip, Tile, make_strip
from qkd_gs.calibration.finding.verdict import Field, conclusion
from qkd_gs.calibration.plate_solving.solver import NoSolution
from qkd_gs.devices.camera import Frame, Roi
from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.errors import StationError
from qkd_gs.orbit.sky import moon_azel
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.sky_offsets import separation
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

WIDTH, HEIGHT, SCALE = 320, 256, 14e-6
STEP_PX = HEIGHT // 2
NIGHT_NS = parse_utc('2018-10-03T14:00:00Z')


def picture(rng, roll_deg=0.3, drift_px=(3.0, -2.0), tiles=5, upside=1, stars=24):
    """Images of a strip by a camera that is rolled, with hot pixels and a sky that drifts; true star positions."""
    length = HEIGHT + STEP_PX * (tiles - 1)
    x, y = rng.uniform(5, WIDTH - 5, stars), rng.uniform(5, length - 5, stars)
    flux = 10 ** rng.uniform(2.6, 4, stars)
    hot = rng.integers(0, WIDTH * HEIGHT, 12)
    c, s = cos(radians(roll_deg)), sin(radians(roll_deg))
    result = []
    for k in range(tiles):
        parts = []
        for part in range(3):
            late = np.array(drift_px) * (k + (part - 1) / 3)
            image = rng.normal(200, 4, (HEIGHT, WIDTH))
            image.flat[hot] += 900
            down = STEP_PX * k * upside + (length - HEIGHT if upside < 0 else 0)
            dx, dy = x - WIDTH / 2, y - (length - HEIGHT) - HEIGHT / 2 + down
            px, py = WIDTH / 2 + c * dx - s * dy + late[0], HEIGHT / 2 + s * dx + c * dy + late[1]
            rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
            for one_x, one_y, counts in zip(px, py, flux, strict=True):
                if -9 < one_x < WIDTH + 9 and -9 < one_y < HEIGHT + 9:
                    off = (columns - one_x) ** 2 + (rows - one_y) ** 2
                    image += counts / (2 * np.pi * 1.2**2) * np.exp(-off / (2 * 1.2**2))
            parts.append(image.astype(np.float32))
        result.append(Tile(k * 10**9, 1.0, 0.7 + k * STEP_PX * SCALE, tuple(parts), (1.0, 0.7), (1, 1)))
    return result, x, y


@pytest.mark.parametrize('upside', [1, -1])
def test_strip_is_a_true_picture(upside):
    """After a turn and a shear by the sky's drift, every star is where it should be, and no hot pixel is a star."""
    tiles, x, y = picture(np.random.default_rng(3), upside=upside)
    strip = make_strip(tiles, SCALE)
    assert strip.joined == len(tiles) - 1
    assert len(strip.x_px) >= 0.8 * len(x)
    # each star that was found is one of the true ones: an affine map brings the others along
    true = np.stack([x, y], axis=1).astype(np.float32)
    seen = np.stack([strip.x_px, strip.y_px], axis=1).astype(np.float32)
    offset = np.array([0.0, 0.0])
    for _ in range(3):
        nearest = np.argmin(np.linalg.norm(seen[:, None] - (true + offset)[None], axis=2), axis=1)
        offset = np.median(seen - true[nearest], axis=0)
    matrix, inliers = cv2.estimateAffine2D(true[nearest], seen, ransacReprojThreshold=1.0)
    assert inliers.mean() > 0.9
    assert np.linalg.det(matrix[:, :2]) == pytest.approx(1, abs=0.02)


def test_drift_within_an_image_is_taken_out():
    """Without it the stars would be smeared over 20 px, and the faint ones lost."""
    tiles, x, _ = picture(np.random.default_rng(4), drift_px=(9.0, 6.0))
    assert len(make_strip(tiles, SCALE).x_px) >= 0.8 * len(x)


def field(az_deg, enc_az_deg, enc_el_deg=45.0, el_deg=43.0):
    return Field((0.0, 0.0), (1, 1), radians(az_deg), radians(el_deg), radians(enc_az_deg), radians(enc_el_deg), 20)


def test_zero_points_from_two_fields():
    found = conclusion([field(170, 178), field(230, 238.3)], MountModel(IA=radians(3)))
    assert found.model['IA'] == pytest.approx(radians(8))
    assert found.model['IE'] == pytest.approx(radians(2))
    assert 'misread' not in found.summary
    assert 'the compass was misread by 178 deg' in conclusion([field(10, 188), field(70, 248)], MountModel()).summary


@pytest.mark.parametrize(
    ('fields', 'sentence'),
    [
        ([field(170, -178), field(230, -238)], 'the azimuth encoder counts backwards'),
        ([field(170, 178, 48, 43), field(230, 238, 33, 58)], 'the elevation encoder gives a zenith distance'),
        ([field(170, 178, -41, 43), field(230, 238, -56, 58)], 'the elevation encoder counts backwards'),
        ([field(170, 178), field(230, 260)], 'moved by 82.0 deg, and the line of sight by 60.0'),
        ([field(170, 178), field(230, 238, 75, 58)], 'moved by 30.0 deg, and the line of sight by 15.0'),
    ],
)
def test_what_is_wrong_with_an_encoder_is_named(fields, sentence):
    with pytest.raises(StationError, match=sentence):
        conclusion(fields, MountModel())


class Blind:
    """A solver that never finds anything, for a sky behind clouds."""

    def solve(self, sighting, near_deg, within_deg, year):
        return NoSolution('they are too few')


def searching(stuck=False, dark=False, silent=False):
    """Run a search with a mount that obeys at once and a camera in the clouds; the search and its last outputs."""
    station, site = load_yaml(share_path('config', 'station.yaml'), StationSettings), load_site('Shanghai')
    solver = Blind()
    now_ns = NIGHT_NS
    search = Search(site, station, MountModel(IA=0.1), solver, now_ns)
    moon_az, moon_el = (float(angle[0]) for angle in moon_azel(site, np.array([now_ns])))
    image = np.full((8, 8), 200, np.uint16)
    reading = MountReading(now_ns, 0.0, 0.0, 0.0, 0.0, MountMode.TRACK)
    places = set()
    while search.state in (SearchState.RUNNING, SearchState.SOLVING):
        now_ns += 250_000_000
        frames = () if dark else (Frame(now_ns - 400_000_000, 0.05, 1.0, image, Roi(0, 0, 8, 8)),)
        out = search.step(now_ns, reading, frames)
        if out.axes is not None and not stuck:
            moved = out.axes
            stamp_ns = min(now_ns, NIGHT_NS + 4 * 10**9) if silent else now_ns
            reading = MountReading(stamp_ns, moved.az_rad, moved.el_rad, 0, 0, MountMode.TRACK)
            places.add((round(moved.az_rad, 1), round(moved.el_rad, 1)))
            if moon_el > 0:
                away = separation(*map(np.array, (moved.az_rad - 0.1, moved.el_rad, moon_az, moon_el)))
                assert away > radians(20)
        if out.work is not None:
            empty = np.empty(0)
            strip = Strip(empty, empty, empty, 8, 8, np.zeros((7, 2)), 0)
            search.finish(now_ns, Analysis(strip, solver.solve(None, None, None, None)))
    return search, out, places


def test_clouds_end_the_search_with_one_sentence():
    search, _, places = searching()
    out = search.step(NIGHT_NS + 10**15, MountReading(NIGHT_NS + 10**15, 0, 0, 0, 0, MountMode.TRACK), ())
    assert search.state is SearchState.FAILED
    assert len(places) == 6
    assert 'clouds, a lens cap, or a wrong focus or time' in out.message


@pytest.mark.parametrize(
    ('trouble', 'sentence'),
    [('stuck', 'the mount is still'), ('dark', 'sends no images'), ('silent', 'the mount was silent')],
)
def test_a_silent_device_ends_the_search(trouble, sentence):
    search, out, _ = searching(**{trouble: True})
    assert search.state is SearchState.FAILED
    assert sentence in out.message
