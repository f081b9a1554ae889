"""Base class of nodes that own hardware: a lifecycle that reports faults and always stops the device at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

from qkd_gs.monitoring.node_faults import Severity
from qkd_gs.nodes.runtime.base import StationMixin
from qkd_gs.nodes.runtime.fault_reports import BY_NODE
from qkd_gs.nodes.runtime.heartbeat_values import device_values
from qkd_gs.station.loop_timing import LoopWatch

_DEVICE = 'device'  # source of what has closed the device

D = TypeVar('D')


def require_open(device: D | None) -> D:
    """Device of a configured node; a call without one is a programming error."""
    if device is None:
        raise RuntimeError('the node is not configured: its device is not open')
    return device


class DeviceNode(StationMixin, LifecycleNode):  # type: ignore[misc]
    """Lifecycle node of a device: configure opens, activate starts, deactivate stops, an error stops and closes.

    A subclass implements `opened`, `started`, `stopped` and `closed`; the last two must work in every state.
    """

    def __init__(self) -> None:
        LifecycleNode.__init__(self, self.name)
        self._state = 'unconfigured'
        self._failing = False
        self._deactivated_by_operator = False  # the monitor does not activate it again
        self._running: list[int] = []
        self._orders_taken = 0
        self.device: Any = None
        self.begin_station()

    def opened(self) -> None:
        """Open the device."""

    def started(self) -> None:
        """Start the device; periodic work by `while_active`."""

    def stopped(self) -> None:
        """Stop the device; allowed in every state, any number of times."""

    def closed(self) -> None:
        """Close the device; allowed in every state, any number of times."""

    @property
    def state_label(self) -> str:
        """Lifecycle state; a node whose clock is not set is not to be configured."""
        return self._state if self.clock.is_set else 'waiting for the clock'

    def on_clock_set(self) -> None:
        """Report the state at once, so that the monitor can configure this node."""
        self.heartbeat()

    def own_values(self) -> dict[str, str]:
        """Lifecycle of the node, and what the driver tells about its device (firmware, serial number ...)."""
        return {
            'deactivated_by_operator': str(self._deactivated_by_operator).lower(),
            'orders': str(self._orders_taken),
        } | {f'device_{key}': value for key, value in device_values(self.device).items()}

    @property
    def active(self) -> bool:
        """Whether the device may act."""
        return self._state == 'active'

    def while_active(self, period_s: float, work: Callable[[int], None], watch: LoopWatch | None = None) -> None:
        """Call periodically like `every`, until the node is deactivated."""
        self._running.append(self.every(period_s, work, watch))

    def complain(self, code: str, message: str, trace: str = '', source: Hashable = BY_NODE) -> None:
        """Report a fault; an active node goes to its error state, which stops and closes the device.

        What has closed the device is told until it is open again, whether its callback is called meanwhile or not.
        """
        super().complain(code, message, trace, source)
        if self.active and not self._failing:
            self.faults.begin(time.monotonic(), code, message, Severity.FAILED, _DEVICE)
            self.faults.end(source, code)
            self._failing = True
            self.trigger_deactivate()
            self._failing = False

    def _LifecycleNodeMixin__change_state(self, transition_id: int) -> TransitionCallbackReturn:
        """Refuse a transition that the state does not allow; rclpy would not answer the request."""
        self._orders_taken += 1
        allowed = {transition[0] for transition in self._state_machine.available_transitions}
        if transition_id not in allowed:
            self.get_logger().info(f'transition {transition_id} is not possible while {self.state_label}')
            return TransitionCallbackReturn.FAILURE
        return super()._LifecycleNodeMixin__change_state(transition_id)  # type: ignore[misc]

    def _cease_all(self) -> None:
        while self._running:
            self.cease(self._running.pop())

    def _transition(
        self, work: Callable[[], None], state: str, deactivated_by_operator: bool
    ) -> TransitionCallbackReturn:
        """Do the work of a transition; a fault makes it fail."""
        self.guarded(work)()
        if self.faults.reported_by(work):
            return TransitionCallbackReturn.FAILURE
        self._state, self.warning = state, ''
        self._deactivated_by_operator = deactivated_by_operator
        if state != 'unconfigured':  # the device is open: what has closed it, or went wrong when it was, is over
            for source in (_DEVICE, self.stopped, self.closed):
                self.end_reports(source)
        self.heartbeat()
        return TransitionCallbackReturn.SUCCESS

    def on_configure(self, state: object) -> TransitionCallbackReturn:
        """Open."""
        return self._transition(self.opened, 'inactive', self._deactivated_by_operator)

    def on_activate(self, state: object) -> TransitionCallbackReturn:
        """Start; if that fails, the device is stopped and closed."""
        done = self._transition(self.started, 'active', deactivated_by_operator=False)
        if done is not TransitionCallbackReturn.SUCCESS:
            return TransitionCallbackReturn.ERROR
        return done

    def on_deactivate(self, state: object) -> TransitionCallbackReturn:
        """Stop."""
        self._cease_all()
        if self._failing:
            return TransitionCallbackReturn.ERROR
        return self._transition(self.stopped, 'inactive', deactivated_by_operator=True)

    def on_cleanup(self, state: object) -> TransitionCallbackReturn:
        """Close."""
        return self._transition(self.closed, 'unconfigured', deactivated_by_operator=True)

    def on_shutdown(self, state: object) -> TransitionCallbackReturn:
        """Stop and close; the process ends, and the one that is started in its place begins unconfigured."""
        self.finish()
        self._state, self.finalized = 'finalized', True
        self.heartbeat()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: object) -> TransitionCallbackReturn:
        """Stop and close; the monitor configures the node again."""
        self._state, self._deactivated_by_operator = 'unconfigured', False
        self.finish()
        self.heartbeat()
        return TransitionCallbackReturn.SUCCESS

    def finish(self) -> None:
        """Stop and close, whatever the state."""
        self._cease_all()
        self.guarded(self.stopped)()
        self.guarded(self.closed)()
