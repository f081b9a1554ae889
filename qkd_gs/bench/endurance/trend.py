"""Slope of a quantity of a process over hours, with its error."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan, sqrt
from statistics import fmean

import numpy as np

_BLOCKS = 12  # neighbouring samples are alike, so means of so many blocks are fitted


@dataclass
class Trend:
    """Samples of one quantity of one process."""

    hours: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, hour: float, value: float) -> None:
        """Add a sample."""
        self.hours.append(hour)
        self.values.append(value)

    def slope(self) -> tuple[float, float]:
        """Slope per hour and its standard error, of a line through the means of blocks; NaN with too few samples.

        Returns
        -------
        (float, float)
            In units of the samples.
        """
        if len(self.values) < 2 * _BLOCKS:
            return nan, nan
        hours, values = (
            np.array([block.mean() for block in np.array_split(np.asarray(column, np.float64), _BLOCKS)])
            for column in (self.hours, self.values)
        )
        x = hours - hours.mean()
        slope = float(x @ values / (x @ x))
        rest = values - values.mean() - slope * x
        return slope, sqrt(float(rest @ rest) / (_BLOCKS - 2) / float(x @ x))

    def by_minute(self) -> list[tuple[float, float]]:
        """Middle and mean of the samples of each minute, in hours and in units of the samples."""
        minutes: dict[int, list[float]] = {}
        for hour, value in zip(self.hours, self.values, strict=True):
            minutes.setdefault(int(hour * 60), []).append(value)
        return [(round((minute + 0.5) / 60, 4), round(fmean(values), 2)) for minute, values in minutes.items()]
