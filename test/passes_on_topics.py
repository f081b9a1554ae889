"""A made-up pass as the station's topics tell it, and a bag of it; no ROS is needed."""

from __future__ import annotations

from hashlib import blake2b
from math import nan, radians, sin

import numpy as np
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

from qkd_gs.recording import About, BagWriter, Topic
from qkd_gs.recording.interfaces import interface, typestore
from qkd_gs.tracking.types import Phase

PLATE_ZERO_RAD = radians(12)  # as in config/station.yaml
PLATE_OFF_RAD = radians(0.15)
BEGIN_NS = 1_538_582_202_000_000_000
FOREVER = QosTime(9223372036, 854775807)
ABOUT = About('0123456789abcdef' * 2, 'MICIUS', 'shanghai', True)

TYPES = {
    '/session/state': 'qkd_gs/msg/SessionState',
    '/target': 'qkd_gs/msg/Target',
    '/guiding_camera/spot': 'qkd_gs/msg/Spot',
    '/mount/state': 'qkd_gs/msg/MountState',
    '/hwp/state': 'qkd_gs/msg/HwpState',
    '/hwp/polarization_angle': 'qkd_gs/msg/PolarizationAngle',
    '/detector/counts': 'qkd_gs/msg/Counts',
    '/station_clock': 'qkd_gs/msg/StationClock',
    '/tracking_camera/image': 'sensor_msgs/msg/Image',
    '/tf_static': 'tf2_msgs/msg/TFMessage',
}


def qos(reliable=True, transient_local=False):
    return Qos(
        QosHistory.KEEP_LAST,
        1 if transient_local else 10,
        QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if transient_local else QosDurability.VOLATILE,
        FOREVER,
        FOREVER,
        QosLiveliness.AUTOMATIC,
        FOREVER,
        False,
    )


QOS = {
    '/station_clock': qos(transient_local=True),
    '/tf_static': qos(transient_local=True),
    '/tracking_camera/image': qos(reliable=False),
}


def topic(name, kind=None):
    kind = kind or TYPES[name]
    return Topic(name, kind, interface(kind).digest, (QOS.get(name, qos()),))


def header(t_ns, frame_id=''):
    types = typestore().types
    stamp = types['builtin_interfaces/msg/Time'](sec=t_ns // 10**9, nanosec=t_ns % 10**9)
    return types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame_id)


def message(kind, t_ns, **values):
    made = typestore().types[kind]
    if 'tag' in made.__dataclass_fields__:
        tag = int.from_bytes(blake2b(f'{kind} {t_ns}'.encode(), digest_size=8).digest(), 'little')
        values |= {'counter': t_ns % 2**63, 'tag': tag}
    return made(header=header(t_ns), **values)


def serialized(sent):
    return bytes(typestore().serialize_cdr(sent, sent.__msgtype__))


def state(t_ns, phase, x=nan, y=nan, folder='2018-10-03T155642Z_shanghai'):
    return message(
        TYPES['/session/state'], t_ns, session_id=ABOUT.session_id, folder=folder, satellite='MICIUS', simulated=True,
        phase=int(phase), time_bias_s=0.1, cross_track_m=500.0, error_x_urad=x, error_y_urad=y,
    )  # fmt: skip


def target(t_ns, el_rad):
    return message(
        TYPES['/target'], t_ns, satellite='MICIUS', az_rad=1.0, el_rad=el_rad, az_rate_rad_s=0.0, el_rate_rad_s=0.0,
        az_acc_rad_s2=0.0, el_acc_rad_s2=0.0, range_m=6e5, range_rate_m_s=0.0, light_time_s=2e-3,
        polarization_angle_rad=0.0, polarization_rate_rad_s=0.0,
    )  # fmt: skip


def hwp(t_ns, angle_rad, rate_rad_s=0.02):
    """The polarization angle to follow, and 5 ms later the half-wave plate, off by `PLATE_OFF_RAD`."""
    angle = message(
        TYPES['/hwp/polarization_angle'],
        t_ns,
        follow=True,
        polarization_angle_rad=angle_rad,
        polarization_rate_rad_s=rate_rad_s,
    )
    commanded_rad = PLATE_ZERO_RAD + (angle_rad + 0.005 * rate_rad_s) / 2
    reading = message(
        TYPES['/hwp/state'], t_ns + 5_000_000, angle_rad=commanded_rad + PLATE_OFF_RAD, commanded_rad=commanded_rad,
        moving=True, fault='',
    )  # fmt: skip
    return [('/hwp/polarization_angle', t_ns, angle), ('/hwp/state', t_ns + 5_000_000, reading)]


def messages(seconds=60, seed=0):
    """(topic, time, message) in order of time: rise and set between 10 and 50 deg, lock after 2 s, a loss at 30 s."""
    rng = np.random.default_rng(seed)
    made = []
    for k in range(100 * seconds):
        t_ns, t_s = BEGIN_NS + k * 10_000_000, k / 100
        el_rad = radians(10 + 40 * sin(np.pi * t_s / seconds))
        lost = 30 <= t_s < 31
        phase = Phase.ACQUIRE if t_s < 2 else Phase.LOST if lost else Phase.FINE
        x, y = (nan, nan) if phase is not Phase.FINE or k % 2 else 4 * rng.standard_normal(2)
        made += [
            ('/mount/state', t_ns, message(TYPES['/mount/state'], t_ns, az_rad=6.2 + 0.01 * t_s, el_rad=el_rad,
                                           az_rate_rad_s=0.01, el_rate_rad_s=0.0, mode=2, fault='')),
        ]  # fmt: skip
        if k % 2 == 0 or phase is not Phase.FINE:
            made.append(('/session/state', t_ns + 1_000_000, state(t_ns, phase, x, y)))
        if k % 10 == 0:
            made.append(('/target', t_ns, target(t_ns, el_rad)))
        if k % 5 == 0:
            found = t_s >= 0.5
            made.append(('/guiding_camera/spot', t_ns, message(
                TYPES['/guiding_camera/spot'], t_ns, camera=0, found=found, x_px=641.0 if found else nan, y_px=510.0,
                snr=30.0, flux=1e4)))  # fmt: skip
        if k % 2 == 0:
            made += hwp(t_ns, 0.3 + 0.02 * t_s)
        if k % 100 == 0:
            made.append(('/detector/counts', t_ns + 10**9, message(
                TYPES['/detector/counts'], t_ns, bin_s=1.0, h=100 + k, v=110, d=120, a=130, beacon=9000, pps=1,
                sync_residual_ns=50.0, signal_share=0.97)))  # fmt: skip
        if k == 0:
            made.append(('/station_clock', t_ns, message(
                TYPES['/station_clock'], t_ns, epoch_ns=t_ns, monotonic_ns=5, began_ns=5, speed=2.0)))  # fmt: skip
    return sorted(made, key=lambda row: row[1])


def record(writer, rows, flush_every_ns=500_000_000):
    """As the recorder does it: a topic when it appears, a flush twice a second."""
    known, flushed_ns = set(), None
    for name, t_ns, sent in rows:
        if name not in known:
            known.add(name)
            writer.add_topic(topic(name))
        writer.write(name, t_ns, serialized(sent))
        flushed_ns = flushed_ns or t_ns
        if t_ns - flushed_ns >= flush_every_ns:
            writer.flush()
            flushed_ns = t_ns
    return writer


def whole_bag(folder, rows=None):
    writer = record(BagWriter(folder, ABOUT), messages() if rows is None else rows)
    writer.close()
    return folder
