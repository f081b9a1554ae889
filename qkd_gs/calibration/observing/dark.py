"""Dark counts of the detectors with the shutter closed; the mount stays where it is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qkd_gs.calibration.light.readings import DARK, LightReading
from qkd_gs.calibration.light.result import keep_dark
from qkd_gs.calibration.light.survey import LightBin
from qkd_gs.calibration.observing.observation import CLOSING_S, Observation, ObservationState, Observed, Place, Sensed
from qkd_gs.safety.enclosure import DOME_CLOSED
from qkd_gs.tracking.types import CameraRequest, CameraRole, MountTask

_COUNT_S = 20.0
_SILENT_S = 5.0


class DarkObservation(Observation):
    """Wait until the shutter is closed, and count; what was counted before it opened again does not count."""

    task = MountTask.COUNTING_DARK
    requests: Mapping[CameraRole, CameraRequest] = {}

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._begun_ns = self._closed_ns = 0
        self._bins: list[LightBin] = []

    def _go_on(self, now_ns: int, sensed: Sensed) -> Observed:
        """Take the bins of a closed shutter."""
        self._begun_ns = self._begun_ns or now_ns
        if sensed.dome != DOME_CLOSED:
            self._closed_ns = 0
            self._bins.clear()
            if now_ns - self._begun_ns > CLOSING_S * 1e9:
                self.abort(f'the shutter has not closed in {CLOSING_S:.0f} s')
            return Observed(ObservationState.RUNNING, None, 'waits until the shutter is closed')
        self._closed_ns = self._closed_ns or now_ns
        self._bins += [one for one in sensed.bins if one.start_ns >= self._closed_ns]
        if self._seconds >= _COUNT_S:
            return Observed(ObservationState.DONE, None, 'counted')
        if now_ns - (self._bins[-1].end_ns if self._bins else self._closed_ns) > _SILENT_S * 1e9:
            self.abort('the detectors send no counts')
        return Observed(ObservationState.RUNNING, None, f'{self._seconds:.0f} of {_COUNT_S:.0f} s counted')

    @property
    def _seconds(self) -> float:
        return sum(one.end_ns - one.start_ns for one in self._bins) * 1e-9

    def keep(self, now_ns: int) -> str:
        """Keep the counts for tonight's noise map."""
        middle_ns = (self._bins[0].start_ns + self._bins[-1].end_ns) // 2
        h, v, d, a = np.sum([one.counts for one in self._bins], axis=0).tolist()
        return keep_dark(self._place.folder, LightReading(DARK, middle_ns, 0.0, 0.0, self._seconds, (h, v, d, a)))
