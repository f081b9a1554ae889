"""Subscriptions that wake nobody: what has come is fetched when the node's own period begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

# the newest message alone, and no acknowledgement for each: for what is said again within a period or two
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class Gathered:
    """One of them.

    A callback costs a wake-up of the process, for each message; of a topic at 100 Hz that is more than what is done
    with it.  `rclpy` has no other way to ask for a message than to take the subscription away from its executor.

    Parameters
    ----------
    take : callable
        Told each message, oldest first; with `raw` its serialized form and when it came (system clock, ns).
    taken : callable
        Called after all of them.
    """

    def __init__(
        self,
        node: Node,
        kind: type,
        topic: str,
        take: Callable[..., Any],
        qos: QoSProfile,
        raw: bool = False,
        taken: Callable[[], Any] = lambda: None,
        **more: Any,
    ) -> None:
        self._kind, self._take, self._raw, self._taken = kind, take, raw, taken
        self.subscription: Any = node.create_subscription(kind, topic, lambda message: None, qos, raw=raw, **more)
        node._subscriptions.remove(self.subscription)  # the executor looks at them only when it is back

    def fetch(self) -> None:
        """Hand over what has come since the last time."""
        handle = self.subscription.handle
        with handle:
            while (got := handle.take_message(self._kind, self._raw)) is not None:
                if self._raw:
                    self._take(got[0], got[1]['received_timestamp'])
                else:
                    self._take(got[0])
        self._taken()

    def destroy(self) -> None:
        """Give it back."""
        self.subscription.destroy()
