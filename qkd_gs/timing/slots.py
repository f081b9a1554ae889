"""The slots of the satellite's pulses in the time of the TDC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qkd_gs.arrays import IntArray
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.spline import TimeMap


@dataclass(frozen=True)
class Slots:
    """Mapping of tags to slots: known delays, clock, spans in which tags are used, and length of a slot.

    Attributes
    ----------
    to_satellite : TimeMap
    delay_ps : (7,) int64
        Known delay by channel; those of the four detectors are calibrated relative to each other before the pass.
    spans_ps : (m, 2) int64
        Spans of TDC time, ascending and disjoint, in which tags are used.
    period : PulsePeriod
        Length of a slot.
    """

    to_satellite: TimeMap
    delay_ps: IntArray
    spans_ps: IntArray
    period: PulsePeriod

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Arguments of the compiled loops: delays, edges of the spans, period, and the clock's grid."""
        clock = self.to_satellite
        edges, period = self.spans_ps.ravel(), (self.period.whole_ps, self.period.rest_ps)
        return self.delay_ps, edges, *period, clock.start_ps, clock.step_ps, clock.base_ps, clock.cubic
