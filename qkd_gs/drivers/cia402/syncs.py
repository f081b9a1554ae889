"""The SYNC that an answer of a drive belongs to: a PDO does not say.

Pure: all times are arguments.
"""

from __future__ import annotations

from collections import deque

_LOST_CYCLES = 5  # a drive that is behind for longer has not answered at all
_TOLERANCE = 0.25  # of a cycle, that an answer may be earlier or later than usual
_STRANGE = 10  # such answers one after the other: what is usual has changed
_SLOWLY = 16  # share of the newest answer in what is usual


class Syncs:
    """SYNCs that a drive has not answered yet; it answers each at most once, within a cycle.

    Where the kernel tells when a frame has come, an answer is of the SYNC that it follows by as much as usual, and of
    none if it does not: what is lost or held up costs a position, and none gets the time of another.  Without time
    stamps the oldest SYNC is answered first, and one whose answer was lost is forgotten after some cycles.

    Parameters
    ----------
    cycle_s : float
        From one SYNC to the next.
    """

    def __init__(self, cycle_s: float) -> None:
        self._tolerance_ns = round(_TOLERANCE * cycle_s * 1e9)
        self._asked: deque[int] = deque()
        self._behind = self._strange = 0  # cycles that began without the answer of the last; answers of no SYNC
        self._usual_ns: int | None = None  # from a SYNC to its answer

    def sent(self, at_ns: int) -> None:
        """A SYNC is sent at `at_ns`."""
        self._behind = self._behind + 1 if self._asked else 0
        if self._behind > _LOST_CYCLES:
            self._asked.clear()
            self._behind = 0
        self._asked.append(at_ns)

    def left(self, at_ns: int) -> None:
        """The newest SYNC before `at_ns` has left then: the bus has sent it back, with its time stamp."""
        for number in range(len(self._asked) - 1, -1, -1):
            if self._asked[number] <= at_ns:
                self._asked[number] = at_ns
                return

    def answered(self, came_ns: int) -> int | None:
        """Time of the SYNC that an answer is of.

        Parameters
        ----------
        came_ns : int
            When the answer has come; 0: not known.

        Returns
        -------
        int or None
            None: of none that waits.
        """
        if came_ns:
            return self._following(came_ns)
        return self._asked.popleft() if self._asked else None

    def _following(self, came_ns: int) -> int | None:
        before = [at_ns for at_ns in self._asked if at_ns <= came_ns]
        if not before:
            return None
        usual_ns = came_ns - before[-1] if self._usual_ns is None else self._usual_ns
        sync_ns = min(before, key=lambda at_ns: abs(came_ns - at_ns - usual_ns))
        late_ns = came_ns - sync_ns - usual_ns
        if abs(late_ns) > self._tolerance_ns:
            self._strange += 1
            if self._strange >= _STRANGE:
                self._usual_ns = None
            return None
        self._strange, self._usual_ns = 0, usual_ns + late_ns // _SLOWLY
        while self._asked and self._asked[0] <= sync_ns:
            self._asked.popleft()
        return sync_ns
