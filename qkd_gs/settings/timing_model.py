"""Recovery of the clock of a source: what may be expected of its beacon, its clock and its orbit."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from qkd_gs.settings.loader import Section


class TimingModel(Section):
    """Timing model of a source."""

    numbering: Literal['any', 'jitter', 'prediction'] = Field(
        default='any',
        description='how the pulses of the beacon are numbered: by their logged jitter, by prediction (a regular'
        ' beacon), or by whichever serves',
    )
    search_pulses: int = Field(
        default=50, ge=1, le=5000, description='by how many pulses of a jittered beacon the prediction may be off'
    )
    knot_s: float = Field(
        default=1.0, ge=0.1, le=60, description='knots of the fitted clock: longer for a dim beacon and good clocks'
    )
