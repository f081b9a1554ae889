"""Time-outs: station time only goes forward while a device is open, and a process that is held up blames no device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from qkd_gs.errors import DeviceFault

_ORDER_NS = 20_000_000
_UNSEEN_NS = 100_000_000


class Forward:
    """Checks that the times of a driver's calls do not go back.

    A step forward makes time-outs end early: the device is reported as silent, which is safe.  A step back would
    prolong them.  Within a period of its loop a node may take the time of a call before that of another one, and make
    it after that: so little is no step.

    Parameters
    ----------
    code : str
        Kind of device, the first part of its fault codes.
    """

    def __init__(self, code: str) -> None:
        self._code = code
        self._newest_ns = 0

    def check(self, now_ns: int) -> None:
        """Check the time of a call.

        Raises
        ------
        DeviceFault
            ``KIND.clock``: earlier than the call before.
        """
        if now_ns < self._newest_ns - _ORDER_NS:
            back_s = (self._newest_ns - now_ns) * 1e-9
            raise DeviceFault(f'{self._code}.clock', f'station time went back by {back_s:.3f} s')
        self._newest_ns = max(now_ns, self._newest_ns)


class Waiting:
    """Time for which an answer has been waited for, as far as somebody looked for it.

    A process that is held up for longer than a time-out, between taking the time and sending a question, would find
    the time-out over at its next look, when the device has hardly heard the question.  So of the time between two
    looks no more than a tenth of a second counts, or the time between the two before: who always looks seldom waits
    for one look more, not for many.
    """

    def __init__(self) -> None:
        self._looked_ns: int | None = None
        self._between_ns = self._waited_ns = 0

    def begin(self, now_ns: int) -> None:
        """A question is sent."""
        self._looked_ns, self._between_ns, self._waited_ns = now_ns, 0, 0

    def look(self, now_ns: int) -> float:
        """Time waited, s, at a look at `now_ns` that has found no answer; the first look of all begins it."""
        between_ns = max(now_ns - self._looked_ns, 0) if self._looked_ns is not None else 0
        self._waited_ns += min(between_ns, max(self._between_ns, _UNSEEN_NS))
        self._looked_ns, self._between_ns = now_ns, between_ns
        return self._waited_ns * 1e-9


def looks(seconds: float, clock_s: Callable[[], float] = time.monotonic) -> Iterator[float]:
    """Looks for an answer: the time that is left to wait, s, before each; the last one waits no more.

    A process that is held up for longer than a time-out finds it over although the answer has long arrived.  So there
    is always a look after the end.
    """
    end_s = clock_s() + seconds
    while (left_s := end_s - clock_s()) > 0:
        yield left_s
    yield 0.0
