"""Faults of a node: callbacks that fail, and faults with which it works on; all of them are reported."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from qkd_gs.errors import DeviceFault, StationError, in_words
from qkd_gs.monitoring.node_faults import NodeFaults, Severity

_REPEAT_S = 5.0  # a repeated fault is logged once in this time
BY_NODE = 'node'  # source of what a node reports by itself, not by a callback that fails

F = TypeVar('F', bound=Callable[..., Any])


class FaultReports:
    """Faults of a node; a part of `StationMixin`, whose heartbeat tells them."""

    def __init__(self) -> None:
        self.faults = NodeFaults()
        self._logged_s: dict[str, float] = {}

    @property
    def fault(self) -> str:
        """Code of the worst present fault; '' for none."""
        return next((fault.code for fault in self.faults.present(time.monotonic())), '')

    def guarded(self, work: F, source: Hashable = None) -> F:
        """Wrap `work`: its exceptions are logged and reported in the heartbeat, until it succeeds again.

        Parameters
        ----------
        source : hashable, optional
            What reports them, if not `work`: a success of any work with an equal source ends what another one has
            reported.
        """
        by = work if source is None else source

        def call(*arguments: Any) -> Any:
            try:
                result = work(*arguments)
            except DeviceFault as fault:
                self._failed(by, fault.code, str(fault))
            except StationError as error:
                self._failed(by, 'node.refused', str(error))
            except Exception as error:  # noqa: BLE001  no exception may leave a callback
                self._failed(by, 'node.error', in_words(error), traceback.format_exc())
            else:
                self.end_reports(by)
                return result
            return None

        return call  # type: ignore[return-value]

    def _failed(self, source: Hashable, code: str, message: str, trace: str = '') -> None:
        self.complain(code, message, trace, source)
        self.end_reports(source, but=code)  # an earlier fault of the same work, if it was another one

    def complain(self, code: str, message: str, trace: str = '', source: Hashable = BY_NODE) -> None:
        """Report a fault that keeps the node, or a part of it, from working."""
        self._report(code, message, Severity.FAILED, trace, source)

    def degraded(self, code: str, message: str) -> None:
        """Report a fault that the node itself works on, and goes on with; `recovered` ends it."""
        self._report(code, message, Severity.DEGRADED, '', BY_NODE)

    def recovered(self, code: str) -> None:
        """A fault that `degraded` has reported is over."""
        self._tell_ends(self.faults.end(BY_NODE, code))

    def end_reports(self, source: Hashable, but: str = '') -> None:
        """Nothing that `source` has reported is present any more, but for a code."""
        self._tell_ends(self.faults.end_all(source, but))

    def _report(self, code: str, message: str, severity: Severity, trace: str, source: Hashable) -> None:
        """Log a fault (a repeated one every few seconds) and report it in the heartbeat."""
        node: Any = self
        now_s = time.monotonic()
        if now_s - self._logged_s.get(code, -_REPEAT_S) >= _REPEAT_S:
            self._logged_s[code] = now_s
            node.get_logger().error(f'{message}\n{trace}' if trace else message)
        if self.faults.begin(now_s, code, message, severity, source):
            node.heartbeat()

    def _tell_ends(self, ended: list[str]) -> None:
        node: Any = self
        for message in ended:
            node.get_logger().info(f'over: {message}')
        if ended:
            node.heartbeat()
