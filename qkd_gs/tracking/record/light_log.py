"""Times at which our beacon was wanted and not permitted, for the manifest and the report."""

from __future__ import annotations

from typing import Any

from qkd_gs.orbit.timescale import format_utc

_MOST = 100  # spans; later ones lengthen the last


class LightLog:
    """Spans in which the tracker wanted light and the supervisor did not permit it, with the reasons."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int, frozenset[str]]] = []
        self._open = False

    def step(self, now_ns: int, wanted: bool, permitted: bool, reasons: tuple[str, ...]) -> None:
        """Take the state at a time; times never go back.

        Parameters
        ----------
        reasons : tuple of str
            Codes of the supervisor.
        """
        dark = wanted and not permitted
        told = frozenset(reasons)
        if dark and self._spans and (len(self._spans) == _MOST or (self._open and self._spans[-1][2] == told)):
            begin_ns, _, before = self._spans[-1]
            self._spans[-1] = begin_ns, now_ns, before | told
        elif dark:
            self._spans.append((now_ns, now_ns, told))
        self._open = dark

    def part(self) -> dict[str, Any]:
        """Part ``light_off`` of the manifest's `run`; empty if light was always permitted."""
        spans = [
            {'from': format_utc(begin_ns), 'to': format_utc(end_ns), 'reasons': ' '.join(sorted(told))}
            for begin_ns, end_ns, told in self._spans
        ]
        return {'light_off': spans} if spans else {}
