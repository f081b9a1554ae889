"""Images that were lost, came damaged or late, over the last two seconds and since opening.

Pure: all times are arguments.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

_WINDOW_NS = 2_000_000_000
_FEW = 2  # lost images say nothing yet


class Losses:
    """Counts of a camera's images, by what has become of them.

    Parameters
    ----------
    most : float
        Share of the last two seconds above which `trouble` says so.

    Attributes
    ----------
    trouble : str
        In words; empty: all is well.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._samples: deque[tuple[int, dict[str, int]]] = deque()
        self.trouble = ''
        self.late = self.disordered = 0

    def take(self, now_ns: int, counters: Mapping[str, int], mis_sized: int) -> None:
        """Counters of the connection, at station time `now_ns`."""
        if self._samples and now_ns - self._samples[-1][0] < _WINDOW_NS // 20:
            return
        totals = self.totals(counters, mis_sized)
        self._samples.append((now_ns, totals))
        while now_ns - self._samples[0][0] > _WINDOW_NS:
            self._samples.popleft()
        first = self._samples[0][1]
        new = {name: value - first[name] for name, value in totals.items()}
        bad = {name: count for name, count in new.items() if name != 'complete' and count > 0}
        count = new['complete'] + sum(bad[name] for name in ('missed', 'incomplete', 'overrun') if name in bad)
        worst = sum(bad.values())
        told = worst > _FEW and worst > self._most * max(count, 1)
        said = ', '.join(f'{number} {name}' for name, number in sorted(bad.items()))
        self.trouble = f'of {count} images in {_WINDOW_NS * 1e-9:g} s: {said}' if told else ''

    def totals(self, counters: Mapping[str, int], mis_sized: int) -> dict[str, int]:
        """Images since opening: complete, missed (nothing came), incomplete (a part), overrun (nobody took them)...

        Of another size, late, or with a time stamp that goes back are such that came complete.
        """
        get = counters.get
        return {
            'complete': get('frames_complete', 0),
            'missed': get('frames_missed', 0),
            'incomplete': get('frames_incomplete', 0) + get('frames_unsupported', 0),
            'overrun': get('frames_backpressure', 0),
            'malformed': get('packets_ignored_malformed', 0) + get('packets_size_mismatch', 0),
            'mis-sized': mis_sized,
            'late': self.late,
            'disordered': self.disordered,
        }
