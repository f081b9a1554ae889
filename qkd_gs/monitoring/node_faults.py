"""All present faults of a node, kept by code and by what has reported them; told in its heartbeat."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from threading import Lock


class Severity(IntEnum):
    """Of two present faults the one with the larger severity is told first."""

    DEGRADED = 1  # the node works on
    FAILED = 2


@dataclass(frozen=True)
class NodeFault:
    """A present fault.

    Attributes
    ----------
    code : str
        Stable code.
    message : str
        The fault in words.
    for_s : float
        Wall time since it began, s.
    """

    code: str
    message: str
    severity: Severity = Severity.FAILED
    for_s: float = 0.0


class NodeFaults:
    """Present faults of one node; may be used by several threads.

    A fault has a code and is reported by a source: any hashable object, such as the callback that has failed.  It is
    over when every source that has reported it has ended it.
    """

    def __init__(self) -> None:
        self._reports: dict[str, dict[Hashable, tuple[Severity, str]]] = {}  # by code and source, the newest last
        self._since_s: dict[str, float] = {}
        self._lock = Lock()

    def begin(self, now_s: float, code: str, message: str, severity: Severity, source: Hashable) -> bool:
        """Take the report of a fault.

        Parameters
        ----------
        now_s : float
            Monotonic clock, s.

        Returns
        -------
        bool
            Whether the fault has begun; False: it was present already.
        """
        with self._lock:
            begins = code not in self._reports
            if begins:
                self._since_s[code] = now_s
            reports = self._reports.setdefault(code, {})
            reports.pop(source, None)
            reports[source] = (severity, message)
            return begins

    def end(self, source: Hashable, code: str) -> list[str]:
        """End the fault that `source` has reported by `code`; messages of the faults that end (none, or one)."""
        with self._lock:
            return self._end(source, code)

    def end_all(self, source: Hashable, but: str = '') -> list[str]:
        """Everything that `source` has reported is over, but for a code; messages of the faults that end."""
        if not self._reports:
            return []
        with self._lock:
            return [told for code in list(self._reports) if code != but for told in self._end(source, code)]

    def _end(self, source: Hashable, code: str) -> list[str]:
        reports = self._reports.get(code, {})
        ended = reports.pop(source, None)
        if ended is None or reports:
            return []
        del self._reports[code], self._since_s[code]
        return [ended[1]]

    def reported_by(self, source: Hashable) -> bool:
        """Whether `source` has reported a fault that is present."""
        with self._lock:
            return any(source in reports for reports in self._reports.values())

    def present(self, now_s: float) -> tuple[NodeFault, ...]:
        """All faults, the worst first, of those the oldest; each in the words of its worst and newest report."""
        with self._lock:
            found = []
            for code, reports in self._reports.items():
                severity = max(of for of, _ in reports.values())
                message = [told for of, told in reports.values() if of is severity][-1]
                found.append(NodeFault(code, message, severity, max(now_s - self._since_s[code], 0.0)))
        return worst_first(found)


def worst_first(faults: Iterable[NodeFault]) -> tuple[NodeFault, ...]:
    """Faults as they are told: the worst first, of those the oldest."""
    return tuple(sorted(faults, key=lambda fault: (-fault.severity, -fault.for_s, fault.code)))


def to_text(faults: Sequence[NodeFault]) -> str:
    """Faults as a value of a heartbeat (JSON); '' for none."""
    return json.dumps([_row(fault) for fault in faults], ensure_ascii=False) if faults else ''


def _row(fault: NodeFault) -> dict[str, str | float]:
    return asdict(fault) | {'severity': fault.severity.name.lower(), 'for_s': round(fault.for_s, 1)}


def from_text(text: str) -> tuple[NodeFault, ...]:
    """Faults of a heartbeat.

    Raises
    ------
    ValueError
        It is not such a value.
    """
    try:
        return tuple(
            NodeFault(row['code'], row['message'], Severity[row['severity'].upper()], float(row['for_s']))
            for row in (json.loads(text) if text else [])
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f'no list of faults: {text}') from error
