"""A pass is planned as a whole: turns, travel, the gap at the zenith, the Sun."""

from math import pi, radians

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.orbit.target import TargetState
from qkd_gs.pointing.mount_model import AxisMotion, MountModel
from qkd_gs.pointing.plan import plan_pass
from qkd_gs.pointing.replan import replan_gaps
from qkd_gs.pointing.slew import slew
from qkd_gs.pointing.sun_path import nearest_sun_of_slew
from qkd_gs.settings.station import AxisSettings, MountSettings

HEIGHT_M, SPEED_M_S = 500e3, 7500.0
HALF_S = 180
START_NS = 1_538_000_000_000_000_000
END_NS = START_NS + 2 * HALF_S * 1_000_000_000

OVERHEAD_NS = (START_NS + 140_000_000_000, END_NS - 140_000_000_000)


class StraightPass:
    """A satellite on a straight line at 500 km, 7.5 km/s: rates as of a low orbit near its culmination."""

    def __init__(self, culmination_deg: float, heading_rad: float = 0.3):
        self.aside_m = HEIGHT_M / np.tan(radians(culmination_deg))
        self.heading_rad = heading_rad

    def table(self, t_ns, time_bias_s=0.0, cross_track_m=0.0):
        t_s = (t_ns - START_NS) * 1e-9 - HALF_S + time_bias_s
        d, x = self.aside_m + cross_track_m, SPEED_M_S * t_s
        across = d**2 + x**2
        ground, away = np.sqrt(across), across + HEIGHT_M**2
        ground1, ground2 = x * SPEED_M_S / ground, (d * SPEED_M_S) ** 2 / ground**3
        el1 = -HEIGHT_M * ground1 / away
        return TargetState(
            t_ns=t_ns,
            az_rad=self.heading_rad + pi / 2 - np.arctan2(x, d),
            el_rad=np.arctan2(HEIGHT_M, ground),
            az_rate_rad_s=-d * SPEED_M_S / across,
            el_rate_rad_s=el1,
            az_acc_rad_s2=2 * d * x * SPEED_M_S**2 / across**2,
            el_acc_rad_s2=-HEIGHT_M * (ground2 - 2 * ground * ground1**2 / away) / away,
            range_m=np.sqrt(away),
            range_rate_m_s=x * SPEED_M_S / np.sqrt(away),
            light_time_s=np.sqrt(away) / 3e8,
            polarization_angle_rad=np.zeros_like(t_s),
            polarization_rate_rad_s=np.zeros_like(t_s),
        )


def mount(rate_deg_s: float = 30, acc_deg_s2: float = 15, low: float = -270, high: float = 270) -> MountSettings:
    return MountSettings(
        azimuth=AxisSettings(min_deg=low, max_deg=high, max_rate_deg_s=rate_deg_s, max_acc_deg_s2=acc_deg_s2),
        elevation=AxisSettings(min_deg=-3, max_deg=93, max_rate_deg_s=15, max_acc_deg_s2=15),
        watchdog_s=0.1,
        park_az_deg=0,
        park_el_deg=0,
    )


def commands(plan, track, model, step_ns=10_000_000, time_bias_s=0.0):
    """Every command of the pass as arrays."""
    t_ns = np.arange(plan.start_ns, plan.end_ns, step_ns, dtype=np.int64)
    wanted = model.encoder_command(track.table(t_ns))
    names = [name for name in vars(wanted) if name != 'at_ns']
    rows = [
        plan.command(AxisMotion(int(t), *(float(getattr(wanted, name)[i]) for name in names)), time_bias_s)
        for i, t in enumerate(t_ns)
    ]
    return t_ns, wanted, {name: np.array([getattr(row, name) for row in rows]) for name in names}


@pytest.mark.parametrize('culmination_deg', [40, 72, 85, 88])
def test_the_reference_mount_takes_usual_passes_without_a_gap(culmination_deg):
    plan = plan_pass(StraightPass(culmination_deg), START_NS, END_NS, MountModel(), mount())
    assert plan.gaps == []
    assert plan.max_az_rate_rad_s < radians(30)


# a 15 deg/s mount needs 180 deg / 15 deg/s = 12 s at the very zenith, whatever the plan
@pytest.mark.parametrize(
    ('culmination_deg', 'rate_deg_s', 'longest_s'),
    [(88, 15, 8.5), (89, 15, 10.5), (89, 30, 5.5), (89.9, 15, 14), (89.9, 30, 8.5), (90, 15, 14), (90, 30, 8.5)],
)
def test_a_keyhole_path_stays_within_the_limits(culmination_deg, rate_deg_s, longest_s):
    track, model, settings_ = StraightPass(culmination_deg), MountModel(), mount(rate_deg_s)
    plan = plan_pass(track, *OVERHEAD_NS, model, settings_)
    assert len(plan.gaps) == 1
    start_ns, end_ns = plan.gaps[0]
    assert (end_ns - start_ns) * 1e-9 < longest_s
    t_ns, wanted, sent = commands(plan, track, model)
    step_s = (t_ns[1] - t_ns[0]) * 1e-9
    for axis, rate_limit, acc_limit in (('az', rate_deg_s, 15), ('el', 15, 15)):
        place, rate, acc = (sent[f'{axis}_{kind}'] for kind in ('rad', 'rate_rad_s', 'acc_rad_s2'))
        assert np.abs(rate).max() <= radians(rate_limit)
        assert np.abs(acc).max() <= radians(acc_limit)
        # the path is what its rates say: no jump hides in it
        assert np.diff(place) == pytest.approx((rate[1:] + rate[:-1]) / 2 * step_s, abs=2e-5)
        assert np.abs(np.diff(rate)).max() <= radians(acc_limit) * step_s * 1.1
    outside = (t_ns < start_ns) | (t_ns > end_ns)
    turned = (sent['az_rad'] - wanted.az_rad)[outside]
    assert turned / (2 * pi) == pytest.approx(np.round(turned / (2 * pi)), abs=1e-12)
    assert np.array_equal(sent['el_rad'][outside], wanted.el_rad[outside])


class ShiftedPass(StraightPass):
    """The same pass as it really is: late or early, and aside."""

    def __init__(self, culmination_deg, time_bias_s, cross_track_m):
        super().__init__(culmination_deg)
        self.error = (time_bias_s, cross_track_m)

    def table(self, t_ns, time_bias_s=0.0, cross_track_m=0.0):
        return super().table(t_ns, *self.error)


@pytest.mark.parametrize('rate_deg_s', [15, 30])
@pytest.mark.parametrize(('bias_s', 'cross_m'), [(0.3, 1000), (-0.3, -1000), (0.1, -3000), (0.3, 0)])
def test_a_gap_planned_again_ends_on_the_track_that_was_found(rate_deg_s, bias_s, cross_m):
    track, model, settings_ = StraightPass(89.7), MountModel(), mount(rate_deg_s)
    early = plan_pass(track, START_NS, END_NS, model, settings_)
    plan = replan_gaps(early, track, model, settings_, bias_s, cross_m)
    true = ShiftedPass(89.7, bias_s, cross_m)
    t_ns, wanted, sent = commands(plan, true, model, time_bias_s=bias_s)
    # the plan's times are those of the elements
    gaps_ns = [(start - bias_s * 1e9, end - bias_s * 1e9) for start, end in plan.gaps]
    outside = np.all([(t_ns < start) | (t_ns > end) for start, end in gaps_ns], axis=0)
    turned = (sent['az_rad'] - wanted.az_rad)[outside]
    assert turned / (2 * pi) == pytest.approx(np.round(turned / (2 * pi)), abs=1e-12)
    # at both ends the path meets the track, so the axis has nothing to catch up with
    assert np.abs(np.diff(sent['az_rad'])).max() < radians(1.05 * rate_deg_s) * 0.01
    assert np.abs(sent['az_acc_rad_s2']).max() <= radians(15)
    assert np.abs(sent['az_rad']).max() < radians(269.1)


def test_a_satellite_on_the_other_side_of_the_zenith_never_turns_the_cable_beyond_its_travel():
    for heading in np.linspace(-pi, pi, 25):
        track = StraightPass(89.95, heading)
        early = plan_pass(track, START_NS, END_NS, MountModel(), mount())
        plan = replan_gaps(early, track, MountModel(), mount(), 0.0, -1500.0)
        assert np.abs(plan.az_path).max() < radians(269.1)
        assert np.abs(np.diff(plan.az_path)).max() < radians(31) * 0.02


def test_slews_take_the_time_that_rates_and_accelerations_allow():
    way = slew((0.0, 0.0), (radians(-180), radians(20)), mount())
    assert way.duration_s == pytest.approx((180 / 30 + 30 / 15) / 0.95, rel=0.02)
    assert (way.az_rad[-1], way.el_rad[-1]) == pytest.approx((radians(-180), radians(20)))
    assert np.abs(np.diff(way.az_rad) / np.diff(way.t_s)).max() < radians(30)


def test_the_slew_is_kept_away_from_the_sun_too():
    way = slew((0.0, 0.0), (radians(120), radians(5)), mount())

    def sun(t_ns):
        return np.full(len(t_ns), radians(60)), np.full(len(t_ns), radians(8))

    with pytest.raises(StationError, match=r'the slew to the start .* of the Sun at 20'):
        nearest_sun_of_slew(way, START_NS, MountModel(), sun, radians(15), 'the slew to the start')
    assert nearest_sun_of_slew(way, START_NS, MountModel(), sun, radians(1), 'the slew') == pytest.approx(
        radians(3.0), abs=radians(0.3)
    )


@settings(max_examples=15, deadline=None)
@given(
    heading=st.floats(-pi, pi), zero=st.floats(-pi, pi), culmination=st.floats(30, 88), tilt=st.floats(-0.008, 0.008)
)
def test_the_path_stays_inside_the_travel_for_every_zero_point(heading, zero, culmination, tilt):
    track, model = StraightPass(culmination, heading), MountModel(IA=zero, AN=tilt)
    plan = plan_pass(track, START_NS, END_NS, model, mount())
    _, _, sent = commands(plan, track, model, step_ns=1_000_000_000)
    assert np.abs(sent['az_rad']).max() < radians(269.1)
    assert np.abs(np.diff(sent['az_rad'])).max() < radians(31)  # never a jump to another turn


def test_between_two_poles_the_azimuth_axis_turns_the_other_way():
    """The satellite passes between the zenith and the leaning axis: the axis follows its own pole, without a jump."""
    track, model = StraightPass(89.7, heading_rad=0.0), MountModel(AW=-radians(0.6))
    plan = plan_pass(track, *OVERHEAD_NS, model, mount())
    _, _, sent = commands(plan, track, model)
    assert (track.table(np.array([START_NS, END_NS])).az_rad @ [-1, 1]) < -3
    assert sent['az_rad'][-1] - sent['az_rad'][0] > 3
    assert np.abs(np.diff(sent['az_rad'])).max() < radians(0.31)


def test_what_cannot_be_done_is_said():
    track = StraightPass(80)
    with pytest.raises(StationError, match=r'mount.azimuth: .* travel is -60 to 60 deg'):
        plan_pass(track, START_NS, END_NS, MountModel(), mount(low=-60, high=60))
    with pytest.raises(StationError, match=r'mount.elevation: .* IE'):
        plan_pass(track, START_NS, END_NS, MountModel(IE=0.4), mount())
    with pytest.raises(StationError, match=r'mount.elevation: .* IE'):
        plan_pass(track, START_NS, END_NS, MountModel(IE=-1.5), mount())
    with pytest.raises(StationError, match=r'too slow|lower'):
        plan_pass(StraightPass(89.9), START_NS, END_NS, MountModel(), mount(rate_deg_s=1))
    with pytest.raises(StationError, match='before its start'):
        plan_pass(track, START_NS, START_NS - 5, MountModel(), mount())


def test_low_ends_beyond_the_travel_are_cut_off_with_a_note():
    plan = plan_pass(StraightPass(80), START_NS, END_NS, MountModel(IE=radians(-25)), mount())
    assert plan.start_ns > START_NS
    assert plan.end_ns < END_NS
    at_start = StraightPass(80).table(np.array([plan.start_ns]))
    assert float(at_start.el_rad[0]) == pytest.approx(radians(22), abs=1e-3)
    assert 'ends at -3 deg' in plan.notes[0]


def test_the_sun_is_kept_away():
    track = StraightPass(60)
    middle = track.table(np.array([START_NS + HALF_S * 1_000_000_000]))
    near = (float(middle.az_rad[0]), float(middle.el_rad[0]) + radians(10))

    def sun(t_ns):
        return np.full(len(t_ns), near[0]), np.full(len(t_ns), near[1])

    with pytest.raises(StationError, match=r'within (9|10)\.\d deg of the Sun at 20'):
        plan_pass(track, START_NS, END_NS, MountModel(), mount(), sun, radians(15))
    plan = plan_pass(track, START_NS, END_NS, MountModel(), mount(), sun, radians(5))
    assert plan.nearest_sun_rad == pytest.approx(radians(10), rel=0.02)

    def night(t_ns):
        return np.full(len(t_ns), near[0]), np.full(len(t_ns), radians(-5))

    assert plan_pass(track, START_NS, END_NS, MountModel(), mount(), night, radians(90)).nearest_sun_rad == pi
