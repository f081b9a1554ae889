"""Tags of pulsed light that are held in memory until they are enough for the delays of the detectors.

A tag's detector is the raw key bit, so this runs in the process that reads the TDC, between two passes; tags of the
calibration light are kept nowhere.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qkd_gs.calibration.detector_delays import DelayCalibration, calibrate_delays, require_certain
from qkd_gs.timing.tags import QUANTUM, TagBlock

ENOUGH_CLICKS = 20_000  # of each detector
LONGEST_S = 60.0
_MOST_TAGS = 10_000_000  # 90 MB


class DelayMeasurement:
    """Collects tags; the delays are computed by whoever takes the work.

    Parameters
    ----------
    begun_ns : int
        UTC at which it begins.
    tagger_ps : float
        Largest error of the TDC between two inputs.
    """

    def __init__(self, begun_ns: int, tagger_ps: float) -> None:
        self.begun_ns = begun_ns
        self._tagger_ps = tagger_ps
        self._blocks: list[TagBlock] = []
        self._counts, self._tags, self._full = np.zeros(256, np.int64), 0, False

    def take(self, now_ns: int, block: TagBlock) -> Callable[[], DelayCalibration] | None:
        """Take the tags up to `now_ns`; when they are enough, or nothing more is waited for, what computes the delays.

        The work raises `StationError` as `calibrate_delays` does.  It is given once.
        """
        if self._full:
            return None
        self._blocks.append(block)
        self._counts += np.bincount(block.channel, minlength=256)
        self._tags += len(block)
        enough = int(self._counts[list(QUANTUM)].min()) >= ENOUGH_CLICKS
        if not enough and self._tags < _MOST_TAGS and now_ns - self.begun_ns < LONGEST_S * 1e9:
            return None
        self._full = True
        blocks, self._blocks, tagger_ps = self._blocks, [], self._tagger_ps
        return lambda: require_certain(calibrate_delays(blocks, tagger_ps))
