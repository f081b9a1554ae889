"""Conversion of monitoring's types from and into messages."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import UInt8

import qkd_gs.msg as m
from qkd_gs.monitoring.health import NodeHealth, health_of
from qkd_gs.monitoring.load import Stage
from qkd_gs.monitoring.readiness import Level, Readiness
from qkd_gs.monitoring.snapshot import KeyProgress, KeyStep, SessionStatus
from qkd_gs.nodes.conversions.diagnostics import read
from qkd_gs.nodes.conversions.messages import stamp_of
from qkd_gs.tracking.types import Phase


def stage_of(message: UInt8) -> Stage:
    """Stage of the topic `load`; a larger number is the last one."""
    return Stage(min(message.data, max(Stage)))


def readiness(judged: Readiness) -> DiagnosticStatus:
    """DiagnosticStatus of the sentence."""
    return DiagnosticStatus(
        level=bytes([judged.level]), name='monitor: readiness', message=judged.sentence, hardware_id='monitor'
    )


def from_readiness(message: DiagnosticStatus) -> Readiness:
    """Readiness; a level that it does not have (stale) is an error."""
    return Readiness(Level(min(message.level[0], Level.ERROR)), message.message)


def heartbeats(data: bytes, namespace: str) -> list[tuple[str, dict[str, str], str]]:
    """Node, values and message of every heartbeat of one station; all stations of a ROS domain share `/diagnostics`.

    Parameters
    ----------
    data : bytes
        A serialized `DiagnosticArray`.
    namespace : str
        Of the station, with or without its slash.
    """
    return [
        (status.hardware_id, status.values, status.message)
        for status in read(data)
        if status.hardware_id
        and 'state' in status.values
        and status.values.get('namespace', '').strip('/') == namespace.strip('/')
    ]


def from_diagnostics(data: bytes, namespace: str) -> list[NodeHealth]:
    """Heartbeats of one station, heard just now; statuses of other kinds are left out."""
    return [health_of(name, values, told, 0.0) for name, values, told in heartbeats(data, namespace)]


def from_session_state(message: m.SessionState) -> SessionStatus:
    """SessionStatus."""
    return SessionStatus(
        stamp_ns=stamp_of(message),
        phase=Phase(message.phase),
        satellite=message.satellite,
        folder=message.folder,
        simulated=message.simulated,
        time_bias_s=message.time_bias_s,
        cross_track_m=message.cross_track_m,
        error_x_urad=message.error_x_urad,
        error_y_urad=message.error_y_urad,
    )


def from_key_state(message: m.KeyState) -> KeyProgress:
    """KeyProgress."""
    return KeyProgress(
        state=KeyStep(message.state),
        folder=message.folder,
        simulated=message.simulated,
        step=message.step,
        fraction=message.fraction,
        sifted_bits=message.sifted_bits,
        secret_bits=message.secret_bits,
        qber=message.qber,
        sync_rms_ns=message.sync_rms_ns,
        message=message.message,
    )
