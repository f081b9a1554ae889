"""The tracker takes passes over an idealized station: found, held below the turbulence, kept through trouble."""

from dataclasses import replace
from math import radians

import numpy as np
import pytest
from plant import MODEL, Plant, crossing_ns, plan_for, station, trajectory

from qkd_gs.tracking.types import CameraRole, Phase, SpotMeasurement


def locked(seed: int = 3, culmination_deg: float = 72.0, el_deg: float = 40.0, **truth) -> Plant:
    """A plant that holds lock since a few seconds, rising through `el_deg`."""
    start = crossing_ns(trajectory(culmination_deg), el_deg)
    plant = Plant(culmination_deg, seed=seed, start_ns=start, **truth)
    plant.run_to(Phase.FINE, 60)
    plant.run(5)
    assert plant.outputs.phase is Phase.FINE
    return plant


def rms(values) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.mark.parametrize('bias_s', [-0.3, 0.3])
@pytest.mark.parametrize('cross_m', [-1000.0, 1000.0])
def test_the_corners_of_the_orbit_error_are_found_at_the_start(bias_s, cross_m):
    plant = Plant(72.0, bias_s, cross_m, seed=1)
    plant.run_to(Phase.ACQUIRE, 5)
    plant.run_to(Phase.FINE, 40)
    assert plant.outputs.time_bias_s == pytest.approx(bias_s, abs=0.02)


@pytest.mark.parametrize(('bias_s', 'cross_m', 'seed'), [(-0.3, 1000.0, 5), (0.3, -1000.0, 6), (0.21, 730.0, 7)])
def test_the_search_finds_a_satellite_that_is_far_outside_the_beam(bias_s, cross_m, seed):
    # near culmination the corner is 5 mrad away, the beam 1.5 mrad wide
    start = crossing_ns(trajectory(72.0), 60)
    plant = Plant(72.0, bias_s, cross_m, seed=seed, start_ns=start)
    plant.run_to(Phase.FINE, 90)
    assert plant.outputs.cross_track_m == pytest.approx(cross_m, abs=50)


def test_the_line_of_sight_stays_below_the_turbulence():
    plant = locked(el_deg=30, bias_s=0.2, cross_m=-700)
    record = plant.run(40)
    last = slice(-4000, None)
    assert set(record.phase[last]) == {Phase.FINE}
    assert rms(record.x_urad[last]) < 2.0
    assert rms(record.y_urad[last]) < 2.0
    assert rms(record.spot_x_urad[last]) > 2.5  # the air's part was left where it is
    assert np.degrees(np.abs(record.polarization_error_rad[last]).max()) < 0.02


@pytest.mark.parametrize(('fade_s', 'seed'), [(2.0, 1), (2.0, 2), (10.0, 3), (10.0, 4)])
def test_a_fade_is_coasted_through(fade_s, seed):
    plant = locked(seed, bias_s=-0.25, cross_m=800)
    begin = plant.now_ns
    plant.faded = lambda t_ns: t_ns < begin + fade_s * 1e9
    record = plant.run(fade_s)
    coast = slice(-round(fade_s * 100), None)
    assert Phase.LOST in record.phase[coast]
    assert max(np.abs(record.x_urad[coast])) < 60  # the corrected prediction holds
    assert plant.run_to(Phase.FINE, 3) < 2
    record = plant.run(2)
    assert max(np.hypot(record.x_urad[-200:], record.y_urad[-200:])) < 25  # the estimate was continued, not restarted


def test_a_slow_mount_locks_again_soon_after_the_zenith():
    azimuth = station().mount.azimuth.model_copy(update={'max_rate_deg_s': 15.0})
    slow = station().model_copy(update={'mount': station().mount.model_copy(update={'azimuth': azimuth})})
    track = trajectory(88.0)
    gap_start_ns, gap_end_ns = plan_for(track, slow.mount).gaps[0]
    plant = Plant(88.0, 0.2, 600.0, seed=1, station_settings=slow, start_ns=gap_start_ns - 12 * 10**9)
    plant.run_to(Phase.FINE, 11)
    plant.run_to(Phase.LOST, 5)  # the lock is not claimed while the axis is off the track
    plant.run((gap_end_ns - plant.now_ns) * 1e-9)
    assert plant.outputs.phase is Phase.LOST
    assert plant.run_to(Phase.FINE, 3) < 2


def test_a_star_in_the_field_is_not_taken_for_the_beacon():
    plant = locked(seed=9)
    begin = plant.now_ns
    plant.faded = lambda t_ns: t_ns < begin + 4 * 10**9

    def star(t_ns, spots):
        # the sky runs through the field at the satellite's rate, bright, right through the wanted pixel
        x_px = 319.5 + (t_ns - begin - 2 * 10**9) * 1e-9 * 10e-3 / 4e-6
        return [
            replace(spot, found=True, x_px=x_px, y_px=239.5, snr=80.0, flux=1e5)
            if spot.camera is CameraRole.TRACKING and t_ns < begin + 4 * 10**9 and abs(x_px - 319.5) < 320
            else spot
            for spot in spots
        ]

    plant.change = star
    record = plant.run(4)
    assert max(np.hypot(record.x_urad[-400:], record.y_urad[-400:])) < 60
    plant.run_to(Phase.FINE, 3)


def test_stars_before_the_beacon_do_not_make_a_lock():
    plant = Plant(72.0, 0.1, 300.0, seed=2, light_delay_s=6.0)
    rng = np.random.default_rng(0)

    def stars(t_ns, spots):
        seconds = t_ns * 1e-9
        return [
            spot
            if spot.found
            else SpotMeasurement(
                spot.camera, spot.stamp_ns, True, 200 + 290 * (seconds % 3), 500 + rng.normal(), 9, 1e3
            )
            for spot in spots
        ]

    plant.change = stars
    plant.run_to(Phase.ACQUIRE, 5)
    while not plant.lit:
        assert plant.step().phase is Phase.ACQUIRE
    plant.run_to(Phase.FINE, 10)


def test_wild_spots_and_lost_and_late_frames_do_no_harm():
    plant = locked(seed=4)
    rng = np.random.default_rng(1)
    kept: list[SpotMeasurement] = []

    def trouble(t_ns, spots):
        out = []
        for spot in spots:
            dice = rng.uniform()
            if dice < 0.2:
                continue  # dropped
            if dice < 0.3:
                out.append(replace(spot, x_px=spot.x_px + rng.normal(scale=40), y_px=spot.y_px + rng.normal(scale=40)))
            elif dice < 0.4:
                kept.append(spot)  # arrives 0.2 s late
            else:
                out.append(spot)
        late = [spot for spot in kept if t_ns - spot.stamp_ns > 200_000_000]
        for spot in late:
            kept.remove(spot)
        return late + out

    plant.change = trouble
    record = plant.run(20)
    assert set(record.phase[-2000:]) == {Phase.FINE}
    assert rms(record.x_urad[-2000:]) < 3
    assert rms(record.y_urad[-2000:]) < 3


def test_an_encoder_glitch_moves_nothing():
    plant = locked(seed=5)
    begin = plant.now_ns

    def glitch(reading):
        hit = begin + 10**9 <= reading.stamp_ns < begin + 1_030_000_000
        return replace(reading, az_rad=reading.az_rad + 0.01) if hit else reading

    plant.upset = glitch
    record = plant.run(3)
    assert max(np.hypot(record.x_urad[-300:], record.y_urad[-300:])) < 20


def test_the_mount_is_at_the_rising_point_before_it_says_that_it_waits():
    plant = Plant(72.0, seed=1, start_ns=crossing_ns(trajectory(72.0), 5) - 30 * 10**9)
    plant.axes = np.zeros(2)  # parked
    assert plant.step().phase is Phase.SLEW
    assert plant.run_to(Phase.WAIT, 25) > 1
    goal = plant.plan.command(MODEL.encoder_command(plant.track.at(plant.plan.start_ns)))
    assert plant.axes == pytest.approx([goal.az_rad, goal.el_rad], abs=1e-3)
    assert plant.run(1).phase[-1] is Phase.WAIT
    assert not plant.outputs.beacon_on
    plant.run_to(Phase.ACQUIRE, 30)


def test_the_light_is_only_on_when_it_may_be():
    plant = Plant(72.0, seed=1)
    plant.run(1)
    assert plant.outputs.phase is Phase.WAIT
    assert not plant.outputs.beacon_on
    plant.run_to(Phase.ACQUIRE, 5)
    assert plant.outputs.beacon_on


def test_the_pass_ends_and_the_mount_parks():
    track = trajectory(72.0)
    plant = Plant(72.0, seed=1, start_ns=crossing_ns(track, 6, rising=False))
    plant.run_to(Phase.END, 60)
    assert not plant.outputs.beacon_on
    for _ in range(4000):
        plant.step()
        if plant.tracker.done:
            break
    assert plant.tracker.done
    assert plant.axes == pytest.approx(np.zeros(2), abs=radians(0.02))
    assert plant.step().mount is None


@pytest.mark.parametrize(('bias_s', 'cross_m'), [(0.3, 1000.0), (-0.3, -1000.0)])
def test_the_gap_is_planned_again_with_the_error_found(bias_s, cross_m):
    """An orbit error of 1 km moves the azimuth near the zenith by tens of degrees; no second excursion follows."""
    track = trajectory(89.9)
    first_plan = plan_for(track, station().mount)
    start_ns = first_plan.gaps[0][0]
    plant = Plant(89.9, bias_s, cross_m, seed=1, start_ns=start_ns - 40 * 10**9)
    plant.run_to(Phase.FINE, 30)
    plant.run_to(Phase.LOST, 40)
    assert plant.tracker._gaps.gaps != first_plan.gaps
    end_ns = plant.tracker._gaps.gaps[0][1] - round(bias_s * 1e9)
    plant.run((end_ns - plant.now_ns) * 1e-9 + 0.3)
    assert plant.run_to(Phase.FINE, 3) < 2
    record = plant.run(3)
    assert max(np.hypot(record.x_urad[-300:], record.y_urad[-300:])) < 60
