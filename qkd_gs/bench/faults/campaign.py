"""Injects one fault after the other into a pass, each when all is well, and notes what the station says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from qkd_gs.bench.faults.injector import Fault, Target
from qkd_gs.monitoring.readiness import Level
from qkd_gs.monitoring.snapshot import Snapshot
from qkd_gs.tracking.types import Phase

_CALM_S = 4.0  # all is well for so long: the monitor notices within three seconds that a node is silent


@dataclass
class Outcome:
    """Of one fault; times of a steady clock, s.

    Attributes
    ----------
    begin_s, end_s : float
        When it was injected, and when the satellite was held again with nothing to complain of.
    begin_ns, end_ns : int
        The same in station time.
    told_s : float or None
        From the injection until the station first said something of it.
    """

    fault: Fault
    session: str
    begin_s: float
    begin_ns: int
    told_s: float | None = None
    said: str = ''
    survived: bool = False
    end_s: float = 0.0
    end_ns: int = 0
    lost_tags_s: float = 0.0


@dataclass
class Campaign:
    """Told the station as it is some times a second; `done` once every fault was injected and is over.

    Parameters
    ----------
    station : Target
    faults : sequence of Fault
        In this order.
    lines : callable
        Sentences of the supervisor of the processes since the last call.
    told : callable
        Called with each outcome once it is known.
    calm_s : float
        All is to be well for so long.
    """

    station: Target
    faults: Sequence[Fault]
    lines: Callable[[], list[str]]
    outcomes: list[Outcome] = field(default_factory=list)
    session: str = ''
    told: Callable[[Outcome], object] = lambda outcome: None
    calm_s: float = _CALM_S

    def __post_init__(self) -> None:
        self._left = list(self.faults)
        self._present: Outcome | None = None
        self._lifting = ExitStack()
        self._lifted = False
        self._calm_since_s: float | None = None

    @property
    def done(self) -> bool:
        """Nothing is left to inject, and the last fault is over."""
        return not self._left and self._present is None

    def see(self, now_s: float, snapshot: Snapshot) -> None:
        """Look at the station at a moment of a steady clock."""
        lines = self.lines()
        calm = self._is_calm(now_s, snapshot)
        present = self._present
        if present is None:
            if calm and self._left:
                self._inject(now_s, snapshot.now_ns)
            return
        if present.told_s is None:
            self._listen(present, now_s, lines, snapshot)
        noticed = present.told_s is not None or not present.fault.told_by
        if not self._lifted and noticed and now_s - present.begin_s >= present.fault.lasts_s:
            self._lifting.close()
            self._lifted, self._calm_since_s = True, None
        elif self._lifted and calm:
            present.survived, present.end_s, present.end_ns = True, now_s, snapshot.now_ns
            self._present = None
            self.told(present)

    def pass_is_over(self) -> None:
        """The pass has ended; a fault that had only its last part does not count, and is left for another pass."""
        self._lifting.close()
        present, self._present = self._present, None
        if present is not None and len(self.outcomes) > 1:
            self.outcomes.remove(present)
            self._left.insert(0, present.fault)
        elif present is not None:
            self.told(present)

    def _inject(self, now_s: float, now_ns: int) -> None:
        fault = self._left.pop(0)
        self._present = Outcome(fault, self.session, now_s, now_ns)
        self.outcomes.append(self._present)
        self._lifting = ExitStack()
        self._lifting.enter_context(fault.inject(self.station, self.session))
        self._lifted, self._calm_since_s = False, None

    def _listen(self, present: Outcome, now_s: float, lines: list[str], snapshot: Snapshot) -> None:
        for text in (*lines, snapshot.readiness.sentence):
            if any(word in text for word in present.fault.told_by):
                present.told_s, present.said = now_s - present.begin_s, text
                return

    def _is_calm(self, now_s: float, snapshot: Snapshot) -> bool:
        session = snapshot.session
        held = session is not None and session.phase is Phase.FINE
        well = snapshot.readiness.level is not Level.ERROR and not any(node.trouble for node in snapshot.nodes)
        if not held or not well:  # a machine that is too busy is a warning, and no reason to wait
            self._calm_since_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = now_s
        return self._calm_since_s is not None and now_s - self._calm_since_s >= self.calm_s
