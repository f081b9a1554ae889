"""A calibration finds the hidden mount from a coarse alignment, never hangs, and hides no star."""

from dataclasses import replace
from math import radians

import numpy as np
import pytest
from star_station import STEP_NS, StarStation, TurningSky, sky_of

from qkd_gs.calibration.calibrator import CalibrationInputs, CalibrationState, Calibrator, stars_to_visit
from qkd_gs.calibration.outcome import outcome
from qkd_gs.calibration.star_visit import VisitRules
from qkd_gs.calibration.stars import StarTrack, load_stars, select_stars, star_azel
from qkd_gs.calibration.unfinished import forget_run, load_run, save_run
from qkd_gs.errors import StationError
from qkd_gs.orbit.sky import moon_azel
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.camera_geometry import CameraGeometry
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.pointing.sky_offsets import offset_between, separation
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

TRUTH = MountModel(
    IA=radians(10), IE=radians(-9), AN=0.0062, AW=-0.0062, NPAE=1.5e-4, CA=5e-4, TF=1e-4, ACES=7e-5, ACEC=-7e-5
)
COARSE = MountModel(IA=TRUTH['IA'] + radians(0.2), IE=TRUTH['IE'] - radians(0.2))  # by hand, tilt unknown
SHANGHAI = Site(name='Shanghai', latitude_deg=31.13, longitude_deg=121.54, altitude_m=20)
HALF_HOUR_NS = 1_800_000_000_000
S = 10**9


@pytest.fixture(scope='module')
def station():
    return load_yaml(share_path('config', 'station.yaml'), StationSettings)


def observatory(station, stars, **options):
    """The hidden truth: the guiding camera's line of sight is 1.5 mrad beside the tracking camera's."""
    guiding = CameraGeometry(14e-6, radians(0.2), 639.5 + 80, 511.5 - 70)
    tracking = CameraGeometry.of(station.tracking_camera)
    return StarStation(TRUTH, guiding, tracking, *COARSE.encoder(radians(stars[0].ra_deg), 0.8), **options)


def run(calibrator, telescope, stars, hooks=None, track_of=TurningSky, start_ns=0):
    """The loop that a node runs; returns the station time at the end and the last outputs."""
    tracks = {star.name: track_of(star, start_ns, start_ns + HALF_HOUR_NS) for star in stars}
    out, now_ns = None, start_ns
    while now_ns < start_ns + HALF_HOUR_NS:
        now_ns += STEP_NS
        telescope.move(now_ns, out.axes if out else None)
        if hooks:
            hooks(now_ns, calibrator, telescope)
        track = tracks.get(out.star) if out else None
        guiding, tracking = telescope.spots(track, now_ns) if track else ((), ())
        out = calibrator.step(now_ns, CalibrationInputs(telescope.reading, guiding, tracking))
        if out.state is not CalibrationState.RUNNING:
            assert out.axes is None
            return now_ns, out
    raise AssertionError('the calibration hangs')


def blind_rms(model):
    rng = np.random.default_rng(5)
    az, el = rng.uniform(0, 6.28, 1000), rng.uniform(radians(25), radians(75), 1000)
    return np.sqrt(np.mean(np.square(offset_between(az, el, *model.apparent(*TRUTH.encoder(az, el)))).sum(axis=0)))


def test_from_a_coarse_alignment_to_a_good_model(station):
    stars = sky_of(20)
    calibrator = Calibrator(stars, TurningSky, COARSE, station)
    end_ns, out = run(calibrator, observatory(station, stars), stars)
    report = calibrator.report()
    assert out.state is CalibrationState.DONE
    assert [star.measured for star in report.stars] == [True] * 20
    assert blind_rms(calibrator.model) < 25e-6
    assert report.fit.rms_rad == pytest.approx(14e-6, rel=0.5)
    assert report.guide_reference_px == pytest.approx((639.5 + 80, 511.5 - 70), abs=1.0)
    assert np.median([star.measurement.scatter_rad for star in report.stars]) == pytest.approx(7e-6, rel=0.3)
    assert end_ns < 20 * 25e9  # half a minute a star with its slew


def test_real_stars_of_a_night_over_shanghai(station):
    start_ns = parse_utc('2018-10-03T14:00:00Z')

    def track_of(star, first_ns, last_ns):
        return StarTrack(star, SHANGHAI, first_ns, last_ns)

    stars = select_stars(load_stars(), SHANGHAI, start_ns, 8, first=(3.0, 0.9))
    az, el = (float(angle[0]) for angle in star_azel(stars[:1], SHANGHAI, start_ns))
    telescope = StarStation(
        TRUTH,
        CameraGeometry.of(station.guiding_camera),
        CameraGeometry.of(station.tracking_camera),
        *COARSE.encoder(az, el),
    )
    telescope.reading = replace(telescope.reading, stamp_ns=start_ns)
    calibrator = Calibrator(stars, track_of, COARSE, station)
    _, out = run(calibrator, telescope, stars, track_of=track_of, start_ns=start_ns)
    assert out.state is CalibrationState.DONE
    assert all(report.measured for report in calibrator.report().stars)
    assert blind_rms(calibrator.model) < 100e-6


def test_missing_and_wrong_stars_are_reported_with_the_reason(station):
    stars = sky_of(14)
    telescope = observatory(station, stars, missing=[5])
    telescope.wrong[9] = (6e-4, -5e-4)
    calibrator = Calibrator(stars, TurningSky, COARSE, station)
    _, out = run(calibrator, telescope, stars)
    reports = {report.star.hip: report for report in calibrator.report().stars}
    assert out.state is CalibrationState.DONE
    assert len(reports) == 14
    assert not reports[5].measured
    assert 'not found by the guiding camera' in reports[5].reason
    assert 'rejected' in reports[9].reason
    assert all(report.reason == '' for number, report in reports.items() if number not in (5, 9))
    assert blind_rms(calibrator.model) < 40e-6
    assert '12 of 14 stars' in calibrator.report().summary


def test_clouds_end_it_without_hanging(station):
    stars = sky_of(4)
    calibrator = Calibrator(stars, TurningSky, COARSE, station)
    _, out = run(calibrator, observatory(station, stars, missing=[1, 2, 3, 4]), stars)
    assert out.state is CalibrationState.FAILED
    assert 'only 0 of 4' in out.message
    assert calibrator.model == COARSE


def test_a_stuck_mount_and_a_dead_camera_are_told_apart(station):
    stars = sky_of(2)
    telescope = observatory(station, stars)
    telescope.stuck = True
    calibrator = Calibrator(stars, TurningSky, COARSE, station)
    run(calibrator, telescope, stars)
    assert all('urad away after' in report.reason for report in calibrator.report().stars)

    telescope = observatory(station, stars)
    telescope.dark = True
    calibrator = Calibrator(stars, TurningSky, COARSE, station)
    run(calibrator, telescope, stars)
    assert all('guiding camera sends no images' in report.reason for report in calibrator.report().stars)


def test_a_silent_mount_is_waited_for_and_the_star_visited_again(station):
    stars = sky_of(5)
    telescope = observatory(station, stars)
    calibrator = Calibrator(stars, TurningSky, COARSE, station)
    out, messages = None, set()
    tracks = {star.name: TurningSky(star, 0, HALF_HOUR_NS) for star in stars}
    for now_ns in range(STEP_NS, HALF_HOUR_NS, STEP_NS):
        silent = 9 * S <= now_ns < 69 * S
        if not silent:
            telescope.move(now_ns, out.axes if out else None)
        track = tracks.get(out.star) if out and not silent else None
        guiding, tracking = telescope.spots(track, now_ns) if track else ((), ())
        out = calibrator.step(now_ns, CalibrationInputs(telescope.reading, guiding, tracking))
        if silent and now_ns > 11 * S:
            assert out.axes is None  # nothing is commanded to a mount that is not heard
            messages.add(out.message)
        if out.state is not CalibrationState.RUNNING:
            break
    assert out.state is CalibrationState.DONE
    assert all(report.measured for report in calibrator.report().stars)
    assert 'waiting: the mount has been silent for 59 s' in messages


def test_a_calibration_that_nobody_steps_for_a_while_blames_no_star(station):
    stars = sky_of(5)
    telescope = observatory(station, stars)
    calibrator = Calibrator(stars, TurningSky, COARSE, station)
    tracks = {star.name: TurningSky(star, 0, 2 * HALF_HOUR_NS) for star in stars}
    out, now_ns = None, 0
    while out is None or out.state is CalibrationState.RUNNING:
        pause_ns = 120 * S if out is not None and out.visited == 2 and now_ns < 120 * S else 0
        now_ns += STEP_NS + pause_ns
        assert now_ns < HALF_HOUR_NS
        telescope.move(now_ns, out.axes if out and not pause_ns else None)  # its watchdog stops it meanwhile
        guiding, tracking = telescope.spots(tracks[out.star], now_ns) if out else ((), ())
        out = calibrator.step(now_ns, CalibrationInputs(telescope.reading, guiding, tracking))
    assert now_ns > 120 * S
    assert all(report.measured for report in calibrator.report().stars)


def test_a_calibration_that_waits_for_the_mount_can_be_aborted(station):
    stars = sky_of(4)
    calibrator = Calibrator(stars, TurningSky, COARSE, station)
    telescope = observatory(station, stars)
    calibrator.step(STEP_NS, CalibrationInputs(telescope.reading))
    out = calibrator.step(2 * S, CalibrationInputs(telescope.reading))
    assert out.state is CalibrationState.RUNNING
    calibrator.abort()
    out = calibrator.step(3 * S, CalibrationInputs(telescope.reading))
    assert out.state is CalibrationState.FAILED
    assert len(calibrator.report().stars) == 4


def test_an_abort_keeps_what_was_measured(station):
    stars = sky_of(10)
    calibrator = Calibrator(stars, TurningSky, COARSE, station)

    def abort_after_five(now_ns, calibrator, telescope):
        if sum(report.measured for report in calibrator.report().stars) == 5:
            calibrator.abort()

    _, out = run(calibrator, observatory(station, stars), stars, abort_after_five)
    assert out.state is CalibrationState.FAILED
    report = calibrator.report()
    assert len(report.stars) == 10
    assert 'aborted' in report.stars[-1].reason
    assert len(report.fit.kept) == 5


def test_a_star_out_of_reach_is_passed_over(station):
    stars = [*sky_of(4), *[low for low in sky_of(5) if low.hip == 5]]
    stars[-1] = type(stars[0])(5, 'low', 10.0, 5.0, 0.0, 0.0, 0.0, 1.0)
    calibrator = Calibrator(stars, TurningSky, COARSE, station, VisitRules(frames=5))
    run(calibrator, observatory(station, stars), stars)
    assert 'has sunk to 5.' in calibrator.report().stars[-1].reason


def test_no_stars_is_a_mistake(station):
    with pytest.raises(StationError, match='no star'):
        Calibrator([], TurningSky, COARSE, station)


def test_what_is_kept_tells_place_temperature_and_drift(station):
    """Nothing of a drift after a coarse alignment; else its size, and the zero of the half-wave plate is kept."""
    stars = sky_of(20)
    calibrator = Calibrator(stars, TurningSky, COARSE, station)
    run(calibrator, observatory(station, stars), stars)
    report = calibrator.report()
    by_hand = StoredPointing.of(COARSE, (640.0, 512.0), 'by hand', '2018-10-03T13:00:00Z', True, (1.5, 0.1))
    first = outcome(report, calibrator.model, by_hand, SHANGHAI, '2018-10-03T14:00:00Z')
    assert (first.site, first.temperature_c, first.drift_urad) == ('Shanghai', 15.0, None)
    assert first.heldout_urad == pytest.approx(report.fit.heldout_rms_rad * 1e6)
    assert (first.hwp_offset_deg, first.hwp_sigma_deg) == (1.5, 0.1)
    moved = report.fit.model.replace(IE=report.fit.model['IE'] + 3e-4)
    before = StoredPointing.of(moved, (640.0, 512.0), '20 stars', '2018-10-02T14:00:00Z')
    second = outcome(report, calibrator.model, before, SHANGHAI, '2018-10-03T14:00:00Z')
    assert second.drift_urad == pytest.approx(300, rel=0.05)
    assert 'urad from that of 2018-10-02T14:00:00Z' in second.summary
    with pytest.raises(StationError, match='no result to be stored'):
        outcome(
            Calibrator(stars, TurningSky, COARSE, station).report(), COARSE, before, SHANGHAI, '2018-10-03T14:00:00Z'
        )


def test_stars_keep_away_from_the_moon_and_the_horizon():
    """A full Moon in the south, and a house in the east."""
    night_ns = parse_utc('2018-10-24T14:00:00Z')
    moon = [float(angle[0]) for angle in moon_azel(SHANGHAI, np.array([night_ns]))]
    house = ((30.0, 0.0), (31.0, 50.0), (150.0, 50.0), (151.0, 0.0))
    for site in (SHANGHAI, SHANGHAI.model_copy(update={'horizon': house})):
        stars = stars_to_visit(site, night_ns)
        az, el = star_azel(stars, site, night_ns)
        assert len(stars) >= 15
        assert separation(az, el, np.array(moon[0]), np.array(moon[1])).min() > radians(8)
        if site.horizon:
            assert not ((az > radians(32)) & (az < radians(149)) & (el < radians(54))).any()
    west = stars_to_visit(SHANGHAI, night_ns, first=(radians(270), radians(50)))[0]
    az, el = star_azel([west], SHANGHAI, night_ns)
    assert separation(az, el, np.array(radians(270)), np.array(radians(50)))[0] < radians(15)


def test_an_interrupted_calibration_goes_on(station, tmp_path):
    """The process dies after eight stars; the next one takes them from the file and visits the others only."""
    names = [star for star in load_stars() if star.mag < 3][:20]
    stars = [
        replace(star, ra_deg=place.ra_deg, dec_deg=place.dec_deg) for star, place in zip(names, sky_of(20), strict=True)
    ]
    catalogue = {star.hip: star for star in stars}
    first = Calibrator(stars, TurningSky, COARSE, station)
    telescope = observatory(station, stars)

    def die(now_ns, calibrator, _):
        if sum(report.measured for report in calibrator.report().stars) == 8:
            calibrator.abort()

    end_ns, _ = run(first, telescope, stars, die)
    save_run(tmp_path, SHANGHAI, first.report().stars)
    before = load_run(tmp_path, SHANGHAI, end_ns)
    assert [report.measurement for report in before] == [
        report.measurement for report in first.report().stars if report.measured
    ]
    already = [replace(report, star=catalogue[report.star.hip]) for report in before]
    second = Calibrator(stars, TurningSky, COARSE, station, already=already)
    assert len(second.report().stars) == 8
    assert second.report().fit is not None
    later = observatory(station, stars)
    later.reading = telescope.reading
    _, out = run(second, later, stars)
    assert out.state is CalibrationState.DONE
    assert len(second.report().stars) == 20
    assert blind_rms(second.model) < 25e-6
    # of another place, or of long ago, it counts no more; a damaged file is named
    assert load_run(tmp_path, SHANGHAI.model_copy(update={'name': 'Beijing'}), end_ns) == ()
    assert load_run(tmp_path, SHANGHAI, end_ns + 3 * 3600 * S) == ()
    (tmp_path / 'calibration-run.json').write_text('{"site": "Shanghai"}')
    with pytest.raises(StationError, match='stars'):
        load_run(tmp_path, SHANGHAI, end_ns)
    forget_run(tmp_path)
    assert load_run(tmp_path, SHANGHAI, end_ns) == ()
