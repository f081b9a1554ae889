"""Faults that were over before anybody was told: each is kept until it has been told once."""

from __future__ import annotations

from collections.abc import Sequence

from qkd_gs.monitoring.node_faults import NodeFault, worst_first


class UntoldFaults:
    """Faults of all nodes since they were told last.

    Nodes report a fault when it begins and when it ends.  Who tells them looks more rarely, and what lies between two
    looks would stay unknown.
    """

    def __init__(self) -> None:
        self._heard: dict[str, dict[str, NodeFault]] = {}  # by node and code

    def hear(self, node: str, faults: Sequence[NodeFault]) -> None:
        """Take the present faults of a node."""
        if faults:
            self._heard.setdefault(node, {}).update({fault.code: fault for fault in faults})

    def take(self, node: str, present: Sequence[NodeFault]) -> tuple[NodeFault, ...]:
        """Faults of a node that are to be told now: those present, and those heard since the last call.

        Returns
        -------
        tuple of NodeFault
            The worst first, of those the oldest.
        """
        by_code = self._heard.pop(node, {}) | {fault.code: fault for fault in present}
        return worst_first(by_code.values())
