"""Conversions between messages and dataclasses.  Times are UTC ns since the Unix epoch."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState, NavSatFix, NavSatStatus, RegionOfInterest, TimeReference
from std_msgs.msg import Header

import qkd_gs.msg as m
from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.devices.camera import Roi
from qkd_gs.devices.gps import GpsReading
from qkd_gs.devices.hwp import HwpReading
from qkd_gs.devices.mount import MountCommand, MountMode, MountReading
from qkd_gs.monitoring.readiness import ComingPass
from qkd_gs.nodes.conversions.cdr import build
from qkd_gs.pointing.enu import JOINT_NAMES, joint_positions, joint_rates
from qkd_gs.station.station_clock import ClockMapping
from qkd_gs.timing.live import CountBin, Live
from qkd_gs.tracking.types import CameraRequest, CameraRole, SpotMeasurement, TrackerOutputs

if TYPE_CHECKING:  # for a node that needs neither, their libraries would be seconds of start-up
    from qkd_gs.orbit.target import TargetState
    from qkd_gs.safety.supervisor import SafetyStatus

_S = 10**9


def to_time(t_ns: int) -> Time:
    """Time message."""
    return build(Time, sec=t_ns // _S, nanosec=t_ns % _S)


def from_time(stamp: Time) -> int:
    """UTC, ns."""
    return int(stamp.sec) * _S + int(stamp.nanosec)


def header(t_ns: int, frame_id: str = '') -> Header:
    """Header of a stamp."""
    return build(Header, stamp=to_time(t_ns), frame_id=frame_id)


def stamp_of(message: object) -> int:
    """UTC, ns, of any message with a header."""
    return from_time(message.header.stamp)  # type: ignore[attr-defined]


# --- mount ---


def mount_command(command: MountCommand, commander: int) -> m.MountCommand:
    """MountCommand; `commander` is one of its constants."""
    return build(
        m.MountCommand,
        commander=commander,
        header=header(command.at_ns, 'mount_base'),
        az_rad=command.az_rad,
        el_rad=command.el_rad,
        az_rate_rad_s=command.az_rate_rad_s,
        el_rate_rad_s=command.el_rate_rad_s,
        az_acc_rad_s2=command.az_acc_rad_s2,
        el_acc_rad_s2=command.el_acc_rad_s2,
    )


def from_mount_command(message: m.MountCommand) -> MountCommand:
    """MountCommand."""
    return MountCommand(
        stamp_of(message),
        message.az_rad,
        message.el_rad,
        message.az_rate_rad_s,
        message.el_rate_rad_s,
        message.az_acc_rad_s2,
        message.el_acc_rad_s2,
    )


def mount_state(reading: MountReading) -> m.MountState:
    """MountState."""
    return build(
        m.MountState,
        header=header(reading.stamp_ns, 'mount_base'),
        az_rad=reading.az_rad,
        el_rad=reading.el_rad,
        az_rate_rad_s=reading.az_rate_rad_s,
        el_rate_rad_s=reading.el_rate_rad_s,
        mode=int(reading.mode),
        fault=reading.fault,
    )


def from_mount_state(message: m.MountState) -> MountReading:
    """MountReading."""
    return MountReading(
        stamp_of(message),
        message.az_rad,
        message.el_rad,
        message.az_rate_rad_s,
        message.el_rate_rad_s,
        MountMode(message.mode),
        message.fault,
    )


# --- beacon, half-wave plate, GPS ---


def beacon_command(now_ns: int, emit: bool) -> m.BeaconCommand:
    """BeaconCommand."""
    return build(m.BeaconCommand, header=header(now_ns, 'beacon'), emit=emit)


def beacon_state(reading: BeaconReading, commanded: bool, fault: str = '') -> m.BeaconState:
    """BeaconState."""
    return build(
        m.BeaconState,
        header=header(reading.stamp_ns, 'beacon'),
        commanded=commanded,
        emitting=reading.emitting,
        interlock_closed=reading.interlock_closed,
        power_w=reading.power_w,
        fault=fault,
    )


def from_beacon_state(message: m.BeaconState) -> BeaconReading:
    """BeaconReading."""
    return BeaconReading(stamp_of(message), message.emitting, message.power_w, message.interlock_closed)


def hwp_state(reading: HwpReading, commanded_rad: float = nan, fault: str = '') -> m.HwpState:
    """HwpState."""
    return build(
        m.HwpState,
        header=header(reading.stamp_ns, 'hwp'),
        angle_rad=reading.angle_rad,
        commanded_rad=commanded_rad,
        moving=reading.moving,
        fault=fault,
    )


def from_hwp_state(message: m.HwpState) -> HwpReading:
    """HwpReading."""
    return HwpReading(stamp_of(message), message.angle_rad, message.moving)


def gps_fix(reading: GpsReading) -> NavSatFix:
    """NavSatFix."""
    found = reading.pps_utc_ns > 0 and reading.satellites > 0
    status = NavSatStatus(
        status=NavSatStatus.STATUS_FIX if found else NavSatStatus.STATUS_NO_FIX, service=NavSatStatus.SERVICE_GPS
    )
    return NavSatFix(
        header=header(reading.stamp_ns, 'gps'),
        status=status,
        latitude=reading.latitude_deg,
        longitude=reading.longitude_deg,
        altitude=reading.altitude_m,
        position_covariance_type=NavSatFix.COVARIANCE_TYPE_UNKNOWN,
    )


def gps_time(reading: GpsReading) -> TimeReference:
    """TimeReference: UTC of the last PPS pulse, with the station time at which it was reported."""
    return TimeReference(header=header(reading.stamp_ns, 'gps'), time_ref=to_time(reading.pps_utc_ns), source='GPS PPS')


def from_gps(fix: NavSatFix, said: TimeReference) -> GpsReading:
    """GpsReading; with a fix the number of satellites is -1: the messages do not tell it."""
    found = -1 if fix.status.status != NavSatStatus.STATUS_NO_FIX else 0
    place = fix.latitude, fix.longitude, fix.altitude
    return GpsReading(stamp_of(said), from_time(said.time_ref), *place, found, nan)


def station_clock(mapping: ClockMapping, began_ns: int) -> m.StationClock:
    """StationClock; `began_ns` is when (CLOCK_MONOTONIC) this station time began."""
    return m.StationClock(
        header=header(mapping.epoch_ns),
        epoch_ns=mapping.epoch_ns,
        monotonic_ns=mapping.monotonic_ns,
        began_ns=began_ns,
        speed=mapping.speed,
    )


# --- cameras ---


def camera_request(now_ns: int, camera: CameraRole, request: CameraRequest | None) -> m.CameraRequest:
    """CameraRequest; None stops the camera."""
    message = build(m.CameraRequest, header=header(now_ns, frame_of(camera)), expose=request is not None, rate_hz=nan)
    if request is not None:
        message.rate_hz, message.stars = float(request.rate_hz), request.stars
        if request.roi is not None:
            message.roi = region(request.roi)
    return message


def from_camera_request(message: m.CameraRequest) -> CameraRequest | None:
    """CameraRequest, or None."""
    if not message.expose:
        return None
    roi = message.roi
    part = Roi(roi.x_offset, roi.y_offset, roi.width, roi.height) if roi.width else None
    return CameraRequest(message.rate_hz, part, message.stars)


def region(roi: Roi) -> RegionOfInterest:
    """RegionOfInterest."""
    return RegionOfInterest(x_offset=roi.x0_px, y_offset=roi.y0_px, width=roi.width_px, height=roi.height_px)


def frame_of(camera: CameraRole) -> str:
    """Name of a camera's TF frame, and of its node."""
    return f'{camera.name.lower()}_camera'


def spot(measurement: SpotMeasurement) -> m.Spot:
    """Spot."""
    return build(
        m.Spot,
        header=header(measurement.stamp_ns, frame_of(measurement.camera)),
        camera=int(measurement.camera),
        found=measurement.found,
        x_px=measurement.x_px,
        y_px=measurement.y_px,
        snr=measurement.snr,
        flux=measurement.flux,
    )


def from_spot(message: m.Spot) -> SpotMeasurement:
    """SpotMeasurement."""
    return SpotMeasurement(
        CameraRole(message.camera),
        stamp_of(message),
        message.found,
        message.x_px,
        message.y_px,
        message.snr,
        message.flux,
    )


# --- tracker, supervisor, detector ---


def session_state(
    now_ns: int, outputs: TrackerOutputs, session_id: str, folder: str, satellite: str, simulated: bool
) -> m.SessionState:
    """SessionState."""
    return build(
        m.SessionState,
        header=header(now_ns),
        session_id=session_id,
        folder=folder,
        satellite=satellite,
        simulated=simulated,
        phase=int(outputs.phase),
        time_bias_s=outputs.time_bias_s,
        cross_track_m=outputs.cross_track_m,
        error_x_urad=outputs.error_x_urad,
        error_y_urad=outputs.error_y_urad,
    )


def target(now_ns: int, state: TargetState[float], satellite: str) -> m.Target:
    """Target."""
    return build(
        m.Target,
        header=header(now_ns, 'station'),
        satellite=satellite,
        az_rad=state.az_rad,
        el_rad=state.el_rad,
        az_rate_rad_s=state.az_rate_rad_s,
        el_rate_rad_s=state.el_rate_rad_s,
        az_acc_rad_s2=state.az_acc_rad_s2,
        el_acc_rad_s2=state.el_acc_rad_s2,
        range_m=state.range_m,
        range_rate_m_s=state.range_rate_m_s,
        light_time_s=state.light_time_s,
        polarization_angle_rad=state.polarization_angle_rad,
        polarization_rate_rad_s=state.polarization_rate_rad_s,
    )


def polarization_angle(angle_rad: float, rate_rad_s: float, at_ns: int, follow: bool) -> m.PolarizationAngle:
    """PolarizationAngle."""
    return build(
        m.PolarizationAngle,
        header=header(at_ns, 'tube'),
        follow=follow,
        polarization_angle_rad=angle_rad,
        polarization_rate_rad_s=rate_rad_s,
    )


def safety_status(now_ns: int, status: SafetyStatus) -> m.SafetyStatus:
    """SafetyStatus."""
    return build(
        m.SafetyStatus,
        header=header(now_ns),
        motion_permitted=status.motion_permitted,
        light_permitted=status.light_permitted,
        sun_margin_s=status.sun_margin_s,
        reasons=' '.join(status.reasons),
    )


def counts(full: CountBin) -> m.Counts:
    """Counts."""
    h, v, d, a, beacon, pps = full.counts
    return build(
        m.Counts,
        header=header(full.start_ns),
        bin_s=(full.end_ns - full.start_ns) * 1e-9,
        h=h,
        v=v,
        d=d,
        a=a,
        beacon=beacon,
        pps=pps,
        sync_residual_ns=full.live.sync_residual_ns,
        signal_share=full.live.signal_share,
    )


def from_counts(message: m.Counts) -> CountBin:
    """CountBin."""
    start_ns = stamp_of(message)
    channels = (message.h, message.v, message.d, message.a, message.beacon, message.pps)
    return CountBin(
        start_ns,
        start_ns + round(message.bin_s * 1e9),
        channels,
        Live(message.sync_residual_ns, message.signal_share),
    )


def joint_state(reading: MountReading) -> JointState:
    """Joint states of the URDF; see `pointing.enu` for sign and zero."""
    return JointState(
        header=header(reading.stamp_ns),
        name=list(JOINT_NAMES),
        position=list(joint_positions(reading.az_rad, reading.el_rad)),
        velocity=list(joint_rates(reading.az_rate_rad_s, reading.el_rate_rad_s)),
    )


def from_next_pass(message: m.NextPass) -> ComingPass | None:
    """ComingPass; None if there is none."""
    if not message.satellite:
        return None
    return ComingPass(
        message.satellite,
        from_time(message.start),
        from_time(message.culmination),
        from_time(message.end),
        message.max_elevation_rad,
        message.usable,
        message.reasons,
    )
