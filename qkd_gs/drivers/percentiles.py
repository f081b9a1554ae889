"""Latencies of a driver, for its diagnostics."""

from __future__ import annotations

from collections import deque

import numpy as np

_KEPT = 500


class Latencies:
    """The newest latencies, s."""

    def __init__(self) -> None:
        self._newest: deque[float] = deque(maxlen=_KEPT)

    def add(self, seconds: float) -> None:
        """Another one."""
        self._newest.append(seconds)

    def __str__(self) -> str:
        """In ms at 50, 95 and 99 %; empty without any."""
        if not self._newest:
            return ''
        return ' / '.join(f'{1e3 * value:.1f}' for value in np.percentile(self._newest, [50, 95, 99]))
