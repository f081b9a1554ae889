"""Lifecycle manager of the nodes that own hardware: activates them, also after a crash or a fault; free of ROS.

A node that an operator has deactivated or cleaned up reports so in its heartbeat (`deactivated_by_operator`), and is
left alone until the operator activates it or it crashes; a restarted monitor learns it from the heartbeat.  If he then
shuts it down, the process that is started in its place is left alone, too; a node that was shut down while it worked is
activated again.

A node counts the orders that it has taken, obeyed or refused, and its heartbeat tells the number.  A node that has not
taken its order yet gets no other one, however slow it is.  An order that failed is given again after a pause, one that
was lost on its way after eight heartbeats without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0
_AGAIN_S = 0.5  # pause before an order that failed is given again, then twice that, and so on
_SELDOM_S = 4.0
_LOST_BEATS = 8  # heartbeats since an order that do not tell of it: it was lost on its way
_FORGIVEN_S = 60.0  # faults do not count any more once the node has been active for so long


class Order(IntEnum):
    """Lifecycle transitions, numbered as in lifecycle_msgs."""

    CONFIGURE = 1
    ACTIVATE = 3


@dataclass
class _Known:
    """State of one node."""

    pid: int = 0
    state: str = ''
    deactivated_by_operator: bool = False  # the manager leaves it alone
    left_alone: bool = False  # it was shut down in that state, and this is another process
    active_s: float | None = None  # since when it is active
    faults: int = 0
    wait_until_s: float = 0.0
    ordered: tuple[str, float] = ('', 0.0)  # state in which the last order was given, and when
    tries: int = 0  # orders given in that state
    taken: int = 0  # orders that it has taken, as its heartbeat tells
    pending: int | None = None  # heartbeats since an order that it has not taken yet


class LifecycleManager:
    """Decides from heartbeats which lifecycle transitions to request.

    Parameters
    ----------
    names : iterable of str
        Nodes with a lifecycle.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._known = {name: _Known() for name in names}

    def heard(
        self,
        now_s: float,
        name: str,
        pid: int,
        state: str,
        fault: str,
        deactivated_by_operator: bool = False,
        taken: int = 0,
    ) -> None:
        """Take a heartbeat.

        Parameters
        ----------
        deactivated_by_operator : bool
            An operator has deactivated the node or cleaned it up.
        taken : int
            Orders that this process has taken so far, obeyed or refused.
        """
        known = self._known.get(name)
        if known is None:
            return
        if pid != known.pid:  # restarted
            left_alone = known.left_alone or (known.state == 'finalized' and known.deactivated_by_operator)
            faults = 0 if known.active_s is None else known.faults
            self._known[name] = known = _Known(pid, faults=faults, left_alone=left_alone)
        if state not in ('unconfigured', 'finalized'):
            known.left_alone = False  # the operator has configured it
        if fault and state == 'unconfigured' and known.state != 'unconfigured':
            known.faults += 1
            known.wait_until_s = now_s + min(_FIRST_WAIT_S * 2 ** (known.faults - 1), _LONGEST_WAIT_S)
        if state == 'active':
            if known.state != 'active' or known.active_s is None:
                known.active_s = now_s
            if now_s - known.active_s >= _FORGIVEN_S:
                known.faults = 0
            known.ordered = ('', 0.0)
        if known.pending is not None:
            known.pending += 1
        if taken != known.taken or (known.pending or 0) >= _LOST_BEATS:
            known.pending = None
        known.state, known.deactivated_by_operator, known.taken = state, deactivated_by_operator, taken

    def orders(self, now_s: float, in_reach: Callable[[str], bool] = lambda name: True) -> list[tuple[str, Order]]:
        """Order that is due now.

        Parameters
        ----------
        in_reach : callable
            Whether a node can be told anything yet; one that cannot is told later.
        """
        due = []
        for name, known in self._known.items():
            order = self._wanted(now_s, known)
            again = known.ordered[0] == known.state
            patience_s = min(_AGAIN_S * 2 ** (known.tries - 1), _SELDOM_S)
            if order is None or known.pending is not None or (again and now_s - known.ordered[1] < patience_s):
                continue
            if not in_reach(name):
                continue
            known.ordered, known.pending = (known.state, now_s), 0
            known.tries = known.tries + 1 if again else 1
            due.append((name, order))
        return due

    @staticmethod
    def _wanted(now_s: float, known: _Known) -> Order | None:
        if known.deactivated_by_operator or known.left_alone:
            return None
        if known.state == 'unconfigured' and now_s >= known.wait_until_s:
            return Order.CONFIGURE
        return Order.ACTIVATE if known.state == 'inactive' else None

    def states(self) -> dict[str, str]:
        """Lifecycle state of each node, '' if it was never heard."""
        return {name: known.state for name, known in self._known.items()}
