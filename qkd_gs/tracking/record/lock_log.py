"""When the tracking camera held the satellite: the stretches of time that may count."""

from __future__ import annotations

from qkd_gs.session.manifest import LockedSpan


class LockLog:
    """Fed once a control step.

    Parameters
    ----------
    before : sequence of LockedSpan
        Of the same pass, from a process that has died.
    """

    def __init__(self, before: tuple[LockedSpan, ...] = ()) -> None:
        self._locked = [(span.start_ns, span.end_ns) for span in before]
        self._fine = False

    def note(self, now_ns: int, fine: bool) -> None:
        """A step in which the satellite was held, or not."""
        if fine:
            first_ns = self._locked.pop()[0] if self._fine else now_ns
            self._locked.append((first_ns, now_ns))
        self._fine = fine

    def spans(self) -> list[LockedSpan]:
        """Stretches of UTC so far; a single step is none."""
        return [LockedSpan(start_ns=first, end_ns=last) for first, last in self._locked if last > first]
