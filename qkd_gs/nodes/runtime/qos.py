"""Quality of service of the station's topics: a publisher and its subscribers take the same profile."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

# A writer asks its readers for an acknowledgement when its history is full.
RELIABLE = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
TRANSIENT_LOCAL = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
DEEP = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)  # none of them may be left out
IMAGES = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
SENSOR = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
AMONG_OTHERS = QoSProfile(depth=32, reliability=ReliabilityPolicy.BEST_EFFORT)  # of a topic with several publishers
