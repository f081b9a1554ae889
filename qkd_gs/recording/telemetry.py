"""Telemetry for the report from the recorded topics of a pass.

Not in a bag: the true error of the line of sight (unknown), error rate and clock residual (added by the processing;
`sync_residual_ns` of the counts is the laser's trigger jitter, not the error of the clock).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan, pi, radians
from typing import Any

import numpy as np

from qkd_gs.arrays import ByteArray, FloatArray, IntArray
from qkd_gs.pointing.camera_geometry import CameraGeometry
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.polarization import polarization_error
from qkd_gs.recording.reader import Bag
from qkd_gs.session.telemetry import Telemetry
from qkd_gs.settings.station import HwpSettings, StationSettings
from qkd_gs.tracking.record.live_statistics import Columns
from qkd_gs.tracking.record.topics import GUIDE, STATE, stamp_ns
from qkd_gs.tracking.types import Phase

MOUNT, HWP, POLARIZATION, COUNTS = 'mount/state', 'hwp/state', 'hwp/polarization_angle', 'detector/counts'

_LONGEST_GAP_NS = 200_000_000  # over which a polarization angle is extrapolated; it is published 50 times per second


@dataclass
class _Rows:
    """Values of the messages."""

    mount: Columns = field(default_factory=lambda: Columns(2))
    state: Columns = field(default_factory=lambda: Columns(3))
    guide: Columns = field(default_factory=lambda: Columns(2))
    hwp: Columns = field(default_factory=lambda: Columns(1))
    polarization: Columns = field(default_factory=lambda: Columns(2))
    counts: Columns = field(default_factory=lambda: Columns(5))

    def add(self, topic: str, m: Any) -> None:
        t_ns = stamp_ns(m)
        if topic == MOUNT:
            self.mount.add(t_ns, m.az_rad, m.el_rad)
        elif topic == STATE:
            self.state.add(t_ns, m.phase, m.error_x_urad, m.error_y_urad)
        elif topic == GUIDE and m.found:
            self.guide.add(t_ns, m.x_px, m.y_px)
        elif topic == HWP:
            self.hwp.add(t_ns, m.angle_rad)
        elif topic == POLARIZATION:
            self.polarization.add(t_ns, m.polarization_angle_rad if m.follow else nan, m.polarization_rate_rad_s)
        elif topic == COUNTS:
            self.counts.add(t_ns, m.h, m.v, m.d, m.a, m.beacon)


def telemetry_of_bag(bag: Bag, station: StationSettings, model: MountModel) -> Telemetry:
    """Time series of a recorded pass.

    Parameters
    ----------
    station : StationSettings
        Of the pass, from the manifest of its session.
    model : MountModel
        Of the pass: converts encoder angles to the apparent direction of the line of sight.

    Raises
    ------
    StationError
        A message in the bag is damaged, or its counts have bins shorter than a second.
    """
    rows = _Rows()
    for topic, _, message in bag.messages((MOUNT, STATE, GUIDE, HWP, POLARIZATION, COUNTS)):
        rows.add(topic, message)
    t_ns, (enc_az, enc_el) = rows.mount.sorted()
    az_rad, el_rad = model.apparent(enc_az, enc_el)
    state_ns, (phase, error_x, error_y) = rows.state.sorted()
    guide_ns, (guide_x, guide_y) = rows.guide.sorted()
    x_rad, y_rad = CameraGeometry.of(station.guiding_camera).angles(guide_x, guide_y)
    hwp_ns, error_deg = _polarization_errors(rows, station.hwp)
    count_ns, counts = rows.counts.sorted()
    spot = np.isfinite(error_x) & np.isfinite(error_y)
    return Telemetry(
        t_ns=t_ns,
        az_rad=np.unwrap(az_rad),
        el_rad=el_rad,
        phase=_phase_at(t_ns, state_ns, phase),
        spot_t_ns=state_ns[spot],
        spot_x_urad=error_x[spot],
        spot_y_urad=error_y[spot],
        guide_t_ns=guide_ns,
        guide_x_urad=x_rad * 1e6,
        guide_y_urad=y_rad * 1e6,
        hwp_t_ns=hwp_ns,
        polarization_error_deg=error_deg,
        count_t_ns=count_ns,
        counts=counts[:4].astype(np.int64),
        beacon_counts=counts[4].astype(np.int64),
    )


def _phase_at(t_ns: IntArray, state_ns: IntArray, phase: FloatArray) -> ByteArray:
    """The last published phase at each time; IDLE before the first."""
    index = np.searchsorted(state_ns, t_ns, 'right') - 1
    return np.where(index >= 0, np.append(phase, Phase.IDLE)[index], Phase.IDLE).astype(np.uint8)


def _polarization_errors(rows: _Rows, hwp: HwpSettings) -> tuple[IntArray, FloatArray]:
    """Times and polarization errors (deg) of the HWP readings while an angle was followed."""
    hwp_ns, (hwp_rad,) = rows.hwp.sorted()
    angle_ns, (angle_rad, rate_rad_s) = rows.polarization.sorted()
    if not len(angle_ns):
        return hwp_ns[:0], hwp_rad[:0]
    index = np.clip(np.searchsorted(angle_ns, hwp_ns, 'right') - 1, 0, None)
    since_ns = hwp_ns - angle_ns[index]
    angle_rad = angle_rad[index] + rate_rad_s[index] * since_ns * 1e-9
    error_rad = polarization_error(hwp_rad, radians(hwp.zero_deg), angle_rad, hwp.parity)
    valid = np.isfinite(error_rad) & (np.abs(since_ns) < _LONGEST_GAP_NS) & (np.abs(error_rad) <= pi / 2)
    return hwp_ns[valid], np.degrees(error_rad[valid])
