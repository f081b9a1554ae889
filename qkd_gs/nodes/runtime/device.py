"""A node that owns hardware: a lifecycle whose steps say what went wrong, and whose every end stops the device."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

from qkd_gs.nodes.runtime.base import ERROR, StationMixin
from qkd_gs.station.loop_timing import LoopWatch


class DeviceNode(StationMixin, LifecycleNode):  # type: ignore[misc]
    """A node that owns hardware: configure opens, activate starts, deactivate stops, an error stops and closes.

    A subclass fills in `opened`, `started`, `stopped` and `closed`; the last two must work in every state.
    """

    def __init__(self) -> None:
        LifecycleNode.__init__(self, self.name)
        self._state = 'unconfigured'
        self._failing = False
        self._at_rest = False  # an operator has taken it down: nobody else brings it up again
        self._running: list[int] = []
        self.begin_station()

    def opened(self) -> None:
        """Open the device."""

    def started(self) -> None:
        """Begin to move, shine, expose or count; timers by `while_active`."""

    def stopped(self) -> None:
        """Rest; allowed in every state, any number of times."""

    def closed(self) -> None:
        """Let go of the device; allowed in every state, any number of times."""

    @property
    def state_label(self) -> str:
        """Lifecycle state; a node that cannot tell station time yet is not to be configured."""
        return self._state if self.clock.latched else 'waiting for the clock'

    def clock_set(self) -> None:
        """Time can be told: the monitor may go on with this node at once."""
        self.heartbeat()

    def own_values(self) -> dict[str, str]:
        """Whether an operator has taken it down."""
        return {'at_rest': str(self._at_rest).lower()}

    @property
    def active(self) -> bool:
        """Whether the device may act."""
        return self._state == 'active'

    def while_active(self, period_s: float, work: Callable[[int], None], watch: LoopWatch | None = None) -> None:
        """As `every`, until the node is deactivated."""
        self._running.append(self.every(period_s, work, watch))

    def complain(self, code: str, message: str, trace: str = '') -> None:
        """As for every node; an active one goes to its error state, which stops and closes the device."""
        super().complain(code, message, trace)
        if self.active and not self._failing:
            self._failing = True
            self.trigger_deactivate()
            self._failing = False

    def _LifecycleNodeMixin__change_state(self, transition_id: int) -> TransitionCallbackReturn:
        """A transition that the state does not allow is refused; rclpy would leave whoever asks without an answer."""
        allowed = {transition[0] for transition in self._state_machine.available_transitions}
        if transition_id not in allowed:
            self.get_logger().info(f'transition {transition_id} is not possible while {self.state_label}')
            return TransitionCallbackReturn.FAILURE
        return super()._LifecycleNodeMixin__change_state(transition_id)  # type: ignore[misc]

    def _cease_all(self) -> None:
        while self._running:
            self.cease(self._running.pop())

    def _transition(self, work: Callable[[], None], state: str, at_rest: bool) -> TransitionCallbackReturn:
        """Do the work of a transition; a complaint makes it fail, and says why."""
        before, self.fault = self.fault, ''
        self.guarded(work)()
        if self.fault:
            return TransitionCallbackReturn.FAILURE
        self.fault = before if state == 'unconfigured' else ''
        self._state = state
        self._at_rest = at_rest
        if not self.fault:
            self.all_well()
        self.heartbeat()
        return TransitionCallbackReturn.SUCCESS

    def on_configure(self, state: object) -> TransitionCallbackReturn:
        """Open."""
        return self._transition(self.opened, 'inactive', self._at_rest)

    def on_activate(self, state: object) -> TransitionCallbackReturn:
        """Start; if that fails, the device is stopped and closed."""
        done = self._transition(self.started, 'active', at_rest=False)
        if done is not TransitionCallbackReturn.SUCCESS:
            return TransitionCallbackReturn.ERROR
        return done

    def on_deactivate(self, state: object) -> TransitionCallbackReturn:
        """Stop."""
        self._cease_all()
        if self._failing:
            return TransitionCallbackReturn.ERROR
        return self._transition(self.stopped, 'inactive', at_rest=True)

    def on_cleanup(self, state: object) -> TransitionCallbackReturn:
        """Close."""
        return self._transition(self.closed, 'unconfigured', at_rest=True)

    def on_shutdown(self, state: object) -> TransitionCallbackReturn:
        """Stop and close."""
        self.finish()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: object) -> TransitionCallbackReturn:
        """Stop and close; the monitor configures the node anew."""
        fault, message = self.fault, self.message
        self._state, self._at_rest = 'unconfigured', False
        self.finish()
        self.fault, self.level, self.message = fault, ERROR, message
        self.heartbeat()
        return TransitionCallbackReturn.SUCCESS

    def finish(self) -> None:
        """Stop and close, whatever the state."""
        self._cease_all()
        self.guarded(self.stopped)()
        self.guarded(self.closed)()
