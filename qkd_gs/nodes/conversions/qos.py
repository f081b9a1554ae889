"""Quality of service between ROS and a bag."""

from __future__ import annotations

from collections.abc import Iterable

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

_S = 1_000_000_000


def offered(profiles: Iterable[QoSProfile]) -> tuple[Qos, ...]:
    """Profiles of the publishers of a topic, each kind once, in an order that does not depend on who came first."""
    return tuple(sorted({_of(profile) for profile in profiles}, key=repr))


def to_publish(profiles: Iterable[Qos], depth: int) -> QoSProfile:
    """Profile of a publisher that can stand for those recorded: as reliable and as lasting as the most of them.

    Parameters
    ----------
    depth : int
        Discovery does not tell the recorded one.
    """
    profiles = list(profiles)
    lasting = any(one.durability is QosDurability.TRANSIENT_LOCAL for one in profiles)
    reliable = not profiles or any(one.reliability is QosReliability.RELIABLE for one in profiles)
    return QoSProfile(
        depth=1 if lasting else depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if lasting else DurabilityPolicy.VOLATILE,
    )


def _of(profile: QoSProfile) -> Qos:
    lasting = profile.durability is DurabilityPolicy.TRANSIENT_LOCAL
    reliable = profile.reliability is ReliabilityPolicy.RELIABLE
    manual = profile.liveliness is LivelinessPolicy.MANUAL_BY_TOPIC
    return Qos(
        QosHistory.UNKNOWN,  # discovery tells neither history nor depth
        0,
        QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if lasting else QosDurability.VOLATILE,
        _time(profile.deadline),
        _time(profile.lifespan),
        QosLiveliness.MANUAL_BY_TOPIC if manual else QosLiveliness.AUTOMATIC,
        _time(profile.liveliness_lease_duration),
        False,
    )


def _time(duration: Duration) -> QosTime:
    return QosTime(*divmod(duration.nanoseconds, _S))
