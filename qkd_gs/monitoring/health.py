"""Health of a node, from its heartbeat in /diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan

from qkd_gs.monitoring.node_faults import NodeFault, from_text

SILENT_S = 3.0  # heartbeats come once a second of wall time
EVENING = 'evening'  # name of the node, and of the value of its heartbeat
FOCUS = 'focus'  # value of the calibrator's heartbeat: why to focus the telescope, in words


@dataclass(frozen=True)
class NodeHealth:
    """State of one node.

    Attributes
    ----------
    heartbeat_age_s : float or None
        Wall time since its last heartbeat; None: none yet.
    state : str
        State of its life cycle; 'active' for a node without one.
    faults : tuple of NodeFault
        All present faults, the worst first.
    cpu_percent, memory_mb : float
        NaN: unknown.
    pid : int
        Its process; 0: unknown.
    missed, steps : int
        Periods of its loops in which no step began, and steps; 0 of 0: no loop.
    period_ms : (float, float, float)
        50, 95 and 99 % of its first loop's periods, of station time; NaN without a loop.
    doing : str
        Its work and what it waits for, in words: of the evening; empty: nothing, or it does not say.
    focus : str
        Reason to focus the telescope, in words: of the calibrator; empty: nothing is known.
    """

    name: str
    heartbeat_age_s: float | None
    state: str = ''
    faults: tuple[NodeFault, ...] = ()
    cpu_percent: float = nan
    memory_mb: float = nan
    pid: int = 0
    missed: int = 0
    steps: int = 0
    period_ms: tuple[float, float, float] = (nan, nan, nan)
    doing: str = ''
    focus: str = ''

    @property
    def silent(self) -> bool:
        """Whether its heartbeat is missing or too old."""
        return self.heartbeat_age_s is None or self.heartbeat_age_s > SILENT_S

    @property
    def troubles(self) -> tuple[str, ...]:
        """Reasons why it does not work, as phrases that follow its name; of several faults each has its own."""
        if self.heartbeat_age_s is None:
            return ('has sent no heartbeat',)
        if self.silent:
            return (f'has sent no heartbeat for {self.heartbeat_age_s:.0f} s',)
        if self.faults:
            return tuple(f'reports {fault.message or fault.code}' for fault in self.faults)
        if self.state != 'active':
            return (f'is {self.state or "in an unknown state"}',)
        return ()

    @property
    def trouble(self) -> str:
        """Reason why it does not work, in one phrase; empty if it works."""
        return '; '.join(self.troubles)

    @property
    def missed_share(self) -> float:
        """Fraction of the loop's periods that were missed; NaN without a loop."""
        periods = self.missed + self.steps
        return self.missed / periods if periods else nan


def health_of(name: str, values: Mapping[str, str], message: str, heartbeat_age_s: float) -> NodeHealth:
    """Health from the values of a heartbeat; values that are missing or not numbers stay unknown."""
    return NodeHealth(
        name=name,
        heartbeat_age_s=heartbeat_age_s,
        state=values.get('state', ''),
        faults=faults_of(values, message),
        cpu_percent=_number(values.get('cpu_percent')),
        memory_mb=_number(values.get('memory_mb')),
        pid=_count(values.get('pid')),
        missed=_of_all_loops(values, 'missed'),
        steps=_of_all_loops(values, 'steps'),
        period_ms=_periods(values),
        doing=values.get(EVENING, ''),
        focus=values.get(FOCUS, ''),
    )


def faults_of(values: Mapping[str, str], message: str) -> tuple[NodeFault, ...]:
    """All faults; of a heartbeat that does not list them, the one that it names."""
    try:
        faults = from_text(values.get('faults', ''))
    except ValueError:
        faults = ()
    code = values.get('fault', '')
    return faults or ((NodeFault(code, message),) if code else ())


def _number(text: str | None) -> float:
    try:
        return float(text or 'nan')
    except ValueError:
        return nan


def loops_since(before: Mapping[str, NodeHealth], now: Mapping[str, NodeHealth]) -> dict[str, dict[str, float]]:
    """Steps and missed share of every node's loops between two times; of a restarted node, since its restart."""
    found: dict[str, dict[str, float]] = {}
    for name, node in now.items():
        old, steps, missed = before.get(name), node.steps, node.missed
        if old is not None and old.steps <= steps:
            steps, missed = steps - old.steps, missed - old.missed
        if steps:
            found[name] = {'steps': steps, 'missed_share': round(missed / (steps + missed), 5)}
    return found


def _count(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _of_all_loops(values: Mapping[str, str], what: str) -> int:
    """Sum of ``loop_WHAT``, ``loop_2_WHAT`` and so on."""
    values_of = (text for key, text in values.items() if key.startswith('loop') and key.endswith(f'_{what}'))
    return sum(_count(text) for text in values_of)


def _periods(values: Mapping[str, str]) -> tuple[float, float, float]:
    text = next((text for key, text in values.items() if key.startswith('loop') and key.endswith('_period_ms')), '')
    numbers = [_number(number) for number in text.split()]
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else (nan, nan, nan)
