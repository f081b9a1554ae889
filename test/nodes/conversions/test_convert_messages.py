"""A message and its dataclass say the same, to the last bit; messages go through the wire format on the way."""

from dataclasses import fields, replace
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rclpy.serialization import deserialize_message, serialize_message

from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.devices.camera import Frame, Roi
from qkd_gs.devices.gps import GpsReading
from qkd_gs.devices.hwp import HwpReading
from qkd_gs.devices.mount import MountCommand, MountMode, MountReading
from qkd_gs.monitoring.readiness import Level, Readiness
from qkd_gs.nodes.conversions import images, messages, monitoring
from qkd_gs.orbit.target import TargetState
from qkd_gs.safety.supervisor import SafetyStatus
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.timing.live import Live
from qkd_gs.timing.recorder import CountBin
from qkd_gs.tracking.types import CameraRequest, CameraRole, Phase, SpotMeasurement, TrackerOutputs

STAMPS = st.integers(0, 2**31 * 10**9 - 1)
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


def wired(message):
    """As it arrives in another process."""
    return deserialize_message(serialize_message(message), type(message))


def same(one, other):
    """Equal, field by field; not a number equals itself."""
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        assert type(a) is type(b), field.name
        assert a == b or (isinstance(a, float) and isnan(a) and isnan(b)), field.name


@given(STAMPS)
def test_times_are_exact_to_the_nanosecond(t_ns):
    assert messages.from_time(wired(messages.to_time(t_ns))) == t_ns
    assert (
        messages.stamp_of(wired(messages.spot(SpotMeasurement(CameraRole.GUIDING, t_ns, False, nan, nan, nan, nan))))
        == t_ns
    )


@given(STAMPS, st.lists(NUMBERS, min_size=6, max_size=6))
def test_mount_command(t_ns, numbers):
    command = MountCommand(t_ns, *numbers)
    same(messages.from_mount_command(wired(messages.mount_command(command, commander=1))), command)


@given(
    STAMPS, st.lists(NUMBERS, min_size=4, max_size=4), st.sampled_from(MountMode), st.sampled_from(['', 'mount.limit'])
)
def test_mount_state(t_ns, numbers, mode, fault):
    reading = MountReading(t_ns, *numbers, mode, fault)
    same(messages.from_mount_state(wired(messages.mount_state(reading))), reading)


@given(STAMPS, st.booleans(), st.booleans(), NUMBERS)
def test_beacon_hwp_and_spot(t_ns, one, other, number):
    beacon = BeaconReading(t_ns, one, number, other)
    same(messages.from_beacon_state(wired(messages.beacon_state(beacon, commanded=True))), beacon)
    plate = HwpReading(t_ns, number, one)
    same(messages.from_hwp_state(wired(messages.hwp_state(plate))), plate)


@given(STAMPS, st.sampled_from(CameraRole), st.booleans(), st.lists(NUMBERS, min_size=4, max_size=4))
def test_spot(t_ns, role, found, numbers):
    spot = SpotMeasurement(role, t_ns, found, *numbers)
    back = messages.from_spot(wired(messages.spot(spot)))
    same(back, spot)


ROIS = st.builds(Roi, *(st.integers(0, 4000) for _ in range(2)), *(st.integers(1, 4000) for _ in range(2)))


@given(st.one_of(st.none(), st.builds(CameraRequest, st.floats(0.1, 1000), st.one_of(st.none(), ROIS), st.booleans())))
def test_camera_request(request):
    message = wired(messages.camera_request(5, CameraRole.TRACKING, request))
    assert messages.from_camera_request(message) == request
    assert message.header.frame_id == 'tracking_camera'


@given(
    STAMPS,
    st.integers(10**9, 60 * 10**9),
    st.lists(st.integers(0, 2**32 - 1), min_size=6, max_size=6),
    NUMBERS,
    NUMBERS,
)
def test_counts(start_ns, length_ns, channels, residual_ns, share):
    full = CountBin(start_ns, start_ns + length_ns, tuple(channels), Live(residual_ns, share))
    back = messages.from_counts(wired(messages.counts(full)))
    assert (back.start_ns, back.end_ns, back.counts) == (full.start_ns, full.end_ns, full.counts)
    same(back.live, full.live)


IMAGES = arrays(np.uint16, st.tuples(st.integers(1, 33), st.integers(1, 65)))


@given(IMAGES, STAMPS)
def test_images_of_any_size(picture, t_ns):
    """Read by numpy as the standard says: rows of `step` bytes, little-endian."""
    height, width = picture.shape
    frame = Frame(t_ns, 0.01, 1.0, picture, Roi(7, 9, width, height))
    message = wired(images.image(frame, CameraRole.GUIDING))
    assert (message.encoding, message.is_bigendian, message.step) == ('mono16', 0, 2 * width)
    read = np.frombuffer(message.data, '<u2').reshape(message.height, message.width)
    assert np.array_equal(read, picture)
    assert messages.stamp_of(message) == t_ns


def test_an_image_that_is_a_view_of_a_larger_one():
    whole = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50)
    part = whole[3:34:2, 5:36]
    message = images.image(Frame(0, 0.01, 1.0, part, Roi(5, 3, 31, 16)), CameraRole.TRACKING)
    assert np.array_equal(np.frombuffer(message.data, '<u2').reshape(16, 31), part)


def test_camera_info_is_a_pinhole_of_the_cameras_scale():
    model = load_yaml(share_path('config', 'station.yaml'), StationSettings).tracking_camera
    frame = Frame(12, 0.01, 1.0, np.zeros((96, 128), np.uint16), Roi(16, 32, 128, 96))
    info = wired(images.camera_info(frame, CameraRole.TRACKING, model))
    assert (info.width, info.height) == (model.width_px, model.height_px)
    assert 1 / info.k[0] == pytest.approx(model.scale_urad_px * 1e-6)
    assert (info.k[2], info.k[5]) == (model.reference_x_px, model.reference_y_px)
    roi = info.roi
    assert (roi.x_offset, roi.y_offset, roi.width, roi.height) == (16, 32, 128, 96)


def test_target_tells_every_field_of_its_message():
    names = [field.name for field in fields(TargetState)]
    state = TargetState(*[float(number) for number in range(len(names))])
    message = wired(messages.target(10**18 + 1, state, 'MICIUS'))
    told = {name: getattr(message, name) for name in message.get_fields_and_field_types() if name in names}
    assert told == {name: getattr(state, name) for name in told}
    assert len(told) >= 8
    assert messages.stamp_of(message) == 10**18 + 1


def test_session_state_and_news_agree():
    outputs = TrackerOutputs(Phase.FINE, None, True, 0.1, 0.2, None, None, 0.31, -250.0, 1.5, nan)
    message = wired(messages.session_state(77, outputs, 'ab' * 16, 'folder', 'MICIUS', simulated=True))
    news = monitoring.from_session_state(message)
    assert (news.stamp_ns, news.phase, news.satellite, news.folder, news.simulated) == (
        77,
        Phase.FINE,
        'MICIUS',
        'folder',
        True,
    )
    assert (news.time_bias_s, news.cross_track_m, news.error_x_urad) == (0.31, -250.0, 1.5)
    assert isnan(news.error_y_urad)
    assert message.session_id == 'ab' * 16


def test_safety_status_polarization_angle_and_readiness():
    status = SafetyStatus(
        motion_permitted=False, light_permitted=True, sun_margin_s=12.5, reasons=('sun.near', 'mount.silent')
    )
    message = wired(messages.safety_status(5, status))
    assert (message.motion_permitted, message.light_permitted, message.sun_margin_s) == (False, True, 12.5)
    assert message.reasons == 'sun.near mount.silent'
    angle = wired(messages.polarization_angle(0.1, 0.2, 9, follow=True))
    assert (angle.polarization_angle_rad, angle.polarization_rate_rad_s, angle.follow, messages.stamp_of(angle)) == (
        0.1,
        0.2,
        True,
        9,
    )
    for level in Level:
        said = Readiness(level, 'armed')
        assert monitoring.from_readiness(wired(monitoring.readiness(said))) == said


def test_gps_without_a_fix_says_so():
    reading = GpsReading(10, 5 * 10**9, 31.1, 121.2, 8.0, 7, 2e-8)
    fix, told = wired(messages.gps_fix(reading)), wired(messages.gps_time(reading))
    assert fix.status.status == fix.status.STATUS_FIX
    assert (fix.latitude, fix.longitude, fix.altitude) == (31.1, 121.2, 8.0)
    assert messages.from_time(told.time_ref) == 5 * 10**9
    assert messages.stamp_of(told) == 10
    for lost in (replace(reading, satellites=0), replace(reading, pps_utc_ns=0)):
        assert messages.gps_fix(lost).status.status == fix.status.STATUS_NO_FIX


def test_the_receiver_is_read_back_but_for_the_number_of_satellites():
    reading = GpsReading(1_538_582_202_300_000_000, 1_538_582_202_000_000_000, 31.1, 121.5, 25.0, 9, 1e-8)
    for one, found in ((reading, -1), (replace(reading, satellites=0), 0)):
        back = messages.from_gps(wired(messages.gps_fix(one)), wired(messages.gps_time(one)))
        assert back.satellites == found
        for name in ('stamp_ns', 'pps_utc_ns', 'latitude_deg', 'longitude_deg', 'altitude_m'):
            assert getattr(back, name) == getattr(one, name)


# --- channels of the simulated devices ---
