"""The two transforms of the mount undo each other, mean what their terms say, and carry motion exactly."""

from math import cos, degrees, pi, radians, sin, tan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.orbit.target import TargetState
from qkd_gs.pointing.mount_model import NAMES, TERMS, MountModel
from qkd_gs.pointing.sky_offsets import offset_between, offset_direction, separation

ARCSEC = radians(1 / 3600)

small = st.floats(-1e-3, 1e-3)
models = st.builds(
    MountModel,
    IA=st.floats(-0.18, 0.18),
    IE=st.floats(-0.18, 0.18),
    AN=st.floats(-0.018, 0.018),
    AW=st.floats(-0.018, 0.018),
    NPAE=small,
    CA=small,
    TF=small,
    ACES=small,
    ACEC=small,
    ECES=small,
    ECEC=small,
)
azimuths = st.floats(-2 * pi, 2 * pi)
elevations = st.one_of(st.floats(-0.05, pi / 2), st.floats(radians(89), radians(91)), st.floats(pi / 2, pi - 0.3))


def micius_like(t_s: float) -> TargetState:
    """A smooth motion with all derivatives, t in seconds."""
    return TargetState(
        round(t_s * 1e9),
        1.0 + 0.3 * t_s + 0.1 * t_s**2,
        1.45 + 0.02 * t_s - 0.03 * t_s**2,
        0.3 + 0.2 * t_s,
        0.02 - 0.06 * t_s,
        0.2,
        -0.06,
        1e6,
        0.0,
        0.003,
        0.0,
        0.0,
    )


BAD_MOUNT = MountModel(
    IA=0.17, IE=-0.17, AN=0.006, AW=-0.006, NPAE=1.5e-4, CA=5e-4, TF=1e-4, ACES=1e-4, ACEC=-5e-5, ECES=1e-4, ECEC=2e-5
)


@settings(max_examples=150)
@given(model=models, az=azimuths, el=elevations)
def test_apparent_undoes_encoder(model, az, el):
    enc_az, enc_el = model.encoder(az, el)
    back_az, back_el = model.apparent(enc_az, enc_el)
    # where the line of sight cannot go, it stops beside the azimuth axis: within the cone of CA and NPAE
    unreachable = abs(enc_el - model['IE'] - pi / 2) < 2e-3
    allowed = 3e-3 if unreachable else 1e-10
    assert separation(az, el, back_az, back_el) < allowed


@settings(max_examples=150)
@given(model=models, enc_az=azimuths, enc_el=st.floats(0.2, pi - 0.5))
def test_encoder_undoes_apparent(model, enc_az, enc_el):
    az, el = model.apparent(enc_az, enc_el)
    back_az, back_el = model.encoder(az, el)
    if abs(enc_el - model['IE'] - pi / 2) > 2e-3:  # at the axis itself the azimuth has no meaning
        back_az += 2 * pi * round((enc_az - back_az) / (2 * pi))  # half a turn between az and axis is a toss-up
        assert back_az == pytest.approx(enc_az, abs=1e-10)
        assert back_el == pytest.approx(enc_el, abs=1e-10)


def test_arrays_and_scalars_agree():
    az, el = np.linspace(-6, 6, 50).reshape(5, 10), np.linspace(0.1, 1.8, 50).reshape(5, 10)
    enc_az, enc_el = BAD_MOUNT.encoder(az, el)
    assert enc_az.shape == (5, 10)
    assert (enc_az[3, 4], enc_el[3, 4]) == BAD_MOUNT.encoder(float(az[3, 4]), float(el[3, 4]))
    back_az, back_el = BAD_MOUNT.apparent(enc_az, enc_el)
    assert separation(az, el, back_az, back_el).max() < 1e-13
    assert MountModel(IA=0.5).encoder(1, 1) == (1.5, 1.0)
    assert BAD_MOUNT.apparent(1.0, 1.0, az[0] * 1e-4, az[1] * 1e-4)[0].shape == (10,)


def test_every_term_has_the_sign_of_the_published_first_order_formula():
    """Wallace's terms to first order (katpoint's P1, P3 to P8 with its stated signs give the same columns)."""
    az, el = 0.7, 0.9
    first_order = {
        'IA': (1, 0),
        'IE': (0, 1),
        'AN': (sin(az) * tan(el), cos(az)),
        'AW': (cos(az) * tan(el), -sin(az)),
        'NPAE': (tan(el), 0),
        'CA': (1 / cos(el), 0),
        'TF': (0, cos(el)),
        'ACES': (sin(az), 0),
        'ACEC': (cos(az), 0),
        'ECES': (0, sin(el)),
        'ECEC': (0, cos(el)),
    }
    assert set(first_order) == set(NAMES)
    for name, (per_az, per_el) in first_order.items():
        enc_az, enc_el = MountModel(**{name: 1e-7}).encoder(az, el)
        assert (enc_az - az) * 1e7 == pytest.approx(per_az, abs=1e-6), name
        assert (enc_el - el) * 1e7 == pytest.approx(per_el, abs=1e-6), name


def test_a_leaning_axis_has_its_pole_where_it_leans():
    model = MountModel(AN=radians(0.3), AW=radians(-0.4))
    az, el = model.apparent(0.0, pi / 2)
    assert degrees(el) == pytest.approx(89.5)
    assert degrees(az) % 360 == pytest.approx(degrees(np.arctan2(0.4, 0.3)))  # north and east


def test_large_tilt_is_a_rigid_turn():
    """Angles between stars survive the tilt exactly; a first-order formula loses 60 urad at 1 deg."""
    model = MountModel(AN=radians(0.7), AW=radians(0.7))
    az, el = np.array([0.3, 2.0, 4.0]), np.array([1.2, 0.5, 0.9])
    enc_az, enc_el = model.encoder(az, el)
    assert separation(enc_az[0], enc_el[0], enc_az[1:], enc_el[1:]) == pytest.approx(
        separation(az[0], el[0], az[1:], el[1:]), abs=1e-14
    )


def test_motion_is_the_derivative_of_the_transform():
    h = 1e-3
    motion = BAD_MOUNT.encoder_command(micius_like(0.0))
    path = [np.array(BAD_MOUNT.encoder(s.az_rad, s.el_rad)) for s in map(micius_like, np.arange(-2, 3) * h)]
    rate = (path[0] - 8 * path[1] + 8 * path[3] - path[4]) / (12 * h)
    acc = (-path[0] + 16 * path[1] - 30 * path[2] + 16 * path[3] - path[4]) / (12 * h**2)
    assert [motion.az_rate_rad_s, motion.el_rate_rad_s] == pytest.approx(rate, abs=1e-9)
    assert [motion.az_acc_rad_s2, motion.el_acc_rad_s2] == pytest.approx(acc, abs=1e-7)


def test_inside_the_unreachable_cone_the_mount_goes_as_near_as_it_can():
    model = MountModel(CA=1e-3)
    enc_az, enc_el = model.encoder(1.0, pi / 2)
    assert enc_el == pytest.approx(pi / 2)
    assert separation(*model.apparent(enc_az, enc_el), 1.0, pi / 2) == pytest.approx(1e-3, rel=1e-6)


def test_roll_is_how_a_second_star_shows_it():
    """A star slightly to the right in the picture lies along the tube's horizontal: that shows the roll."""
    enc_az, enc_el = 0.8, radians(79)
    centre = BAD_MOUNT.apparent(enc_az, enc_el)
    x, y = offset_between(*centre, *BAD_MOUNT.apparent(enc_az, enc_el, 1e-5, 0.0))
    assert np.arctan2(y, x) == pytest.approx(BAD_MOUNT.roll(enc_az, enc_el), abs=1e-5)
    assert abs(BAD_MOUNT.roll(enc_az, enc_el)) > radians(1)  # tilt over cos(el): not negligible


def test_centred_brings_the_pixels_star_to_the_line_of_sight():
    enc = (0.8, radians(75))
    star = BAD_MOUNT.apparent(*enc, 3e-4, -2e-4)
    assert separation(*star, *BAD_MOUNT.apparent(*BAD_MOUNT.centred(*enc, 3e-4, -2e-4))) < 1e-12


@given(az=azimuths, el=st.floats(-1, 2.5), x=st.floats(-0.01, 0.01), y=st.floats(-0.01, 0.01))
def test_offsets_close(az, el, x, y):
    to_az, to_el = offset_direction(az, el, x, y)
    assert offset_between(az, el, to_az, to_el) == pytest.approx((x, y), abs=1e-12)


def test_offset_across_the_zenith_stays_exact():
    to_az, to_el = offset_direction(0.5, radians(89.9), 0.0, tan(radians(0.3)))
    assert (degrees(to_az) - degrees(0.5)) % 360 == pytest.approx(180)
    assert degrees(to_el) == pytest.approx(89.8)


def test_terms_survive_the_yaml_form():
    assert MountModel.from_dict(BAD_MOUNT.to_dict()).values == pytest.approx(BAD_MOUNT.values, rel=1e-15)


@pytest.mark.parametrize('terms', [{'XX': 1.0}, {'AN': 1e6}, {'IA': float('nan')}, {'CA': 'wide'}, {'CA': True}])
def test_implausible_terms_are_refused_by_name(terms):
    with pytest.raises(StationError, match=next(iter(terms))):
        MountModel.from_dict(terms)


def test_every_term_says_what_it_is():
    assert all(term.doc and term.unit == 'rad' for term in TERMS)
