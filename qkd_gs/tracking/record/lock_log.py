"""Spans of time in which the tracking camera was locked on the satellite."""

from __future__ import annotations

from qkd_gs.session.manifest import LockedSpan


class LockLog:
    """Collects the spans; `note` is called once per control step.

    Parameters
    ----------
    before : sequence of LockedSpan
        Earlier spans of the same pass, from a process that has died.
    """

    def __init__(self, before: tuple[LockedSpan, ...] = ()) -> None:
        self._locked = [(span.start_ns, span.end_ns) for span in before]
        self._fine = False

    def note(self, now_ns: int, fine: bool) -> None:
        """One control step; `fine`: locked."""
        if fine:
            first_ns = self._locked.pop()[0] if self._fine else now_ns
            self._locked.append((first_ns, now_ns))
        self._fine = fine

    def spans(self) -> list[LockedSpan]:
        """Spans of UTC so far; a single step is no span."""
        return [LockedSpan(start_ns=first, end_ns=last) for first, last in self._locked if last > first]
