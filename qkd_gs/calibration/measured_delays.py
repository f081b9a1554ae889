"""Relative delays of the detectors as the running station has measured them, compared with those in force."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from qkd_gs.arrays import AnyFloatArray
from qkd_gs.calibration.detector_delays import DelayCalibration
from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.session.atomic_file import replace_file
from qkd_gs.settings.loader import Section, load_if_there
from qkd_gs.settings.station import DetectorSettings
from qkd_gs.timing.tags import QUANTUM

FILE_NAME = 'detector-delays.json'
_NAMES = tuple(channel.name for channel in QUANTUM)
Four = tuple[float, float, float, float]


@dataclass(frozen=True)
class DelaysTold:
    """Report of the detector process on a measurement.

    Attributes
    ----------
    begun_ns : int
        UTC at which it began.
    delay_ns : tuple of float
        Of H, V, D, A; their mean is 0.
    sigma_ns, uncertainty_ns : float
        Largest standard error, and largest error.
    clicks : tuple of int
    fault : str
        Reason why there are none; empty: there are.
    """

    begun_ns: int
    delay_ns: Four
    sigma_ns: float
    uncertainty_ns: float
    clicks: tuple[int, int, int, int]
    fault: str = ''

    @classmethod
    def of(cls, begun_ns: int, found: DelayCalibration | StationError) -> DelaysTold:
        """Of a measurement that began at `begun_ns`."""
        if isinstance(found, StationError):
            nothing = float('nan')
            return cls(begun_ns, (nothing,) * 4, nothing, nothing, (0, 0, 0, 0), str(found))
        h, v, d, a = (found.delay_ps * 1e-3).tolist()
        clicks = found.clicks.tolist()
        return cls(
            begun_ns,
            (h, v, d, a),
            float(np.max(found.sigma_ps)) * 1e-3,
            found.uncertainty_ps * 1e-3,
            (clicks[0], clicks[1], clicks[2], clicks[3]),
        )


class MeasuredDelays(Section):
    """detector-delays.json."""

    utc: str
    delay_ns: dict[str, float] = Field(description='of H, V, D, A relative to each other: their mean is 0')
    sigma_ns: float = Field(ge=0, description='largest standard error')
    uncertainty_ns: float = Field(gt=0, le=0.3, description='largest error of a relative delay')
    clicks: dict[str, int]

    @classmethod
    def of(cls, now_ns: int, told: DelaysTold) -> MeasuredDelays:
        """Measurement that was told, kept at `now_ns`."""
        return cls(
            utc=format_utc(now_ns, 0),
            delay_ns={name: round(one, 4) for name, one in zip(_NAMES, told.delay_ns, strict=True)},
            sigma_ns=round(told.sigma_ns, 5),
            uncertainty_ns=round(told.uncertainty_ns, 4),
            clicks=dict(zip(_NAMES, told.clicks, strict=True)),
        )

    def off_ns(self, detectors: DetectorSettings) -> dict[str, float]:
        """Measured delay minus that in force, of each detector, ns.

        What they have in common tells nothing, so it is taken such that the largest error is smallest.
        """
        off = np.array([self.delay_ns[name] - detectors.delay_ns[name] for name in _NAMES])
        return dict(zip(_NAMES, (off - (off.max() + off.min()) / 2).tolist(), strict=True))

    def verdict(self, detectors: DetectorSettings, path: Path) -> str:
        """Whether the delays in force hold; one sentence, which names what puts the measured ones in force."""
        name, off_ns = self._worst(detectors)
        limit_ns = detectors.delay_uncertainty_ns
        if self.holds(detectors):
            return (
                f'the delays of the detectors hold: {name} is {off_ns:+.3f} ns off, '
                f'{limit_ns:g} ns are allowed (measured to {self.uncertainty_ns:.3f} ns)'
            )
        return (
            f'THE DELAYS OF THE DETECTORS DO NOT HOLD: {name} is {off_ns:+.3f} ns off, {limit_ns:g} ns are allowed'
            f' (measured to {self.uncertainty_ns:.3f} ns); `qkd-gs calibrate-detectors --measured {path} --out FILE`'
            ' writes settings with them, with which the station is then started (--station FILE)'
        )

    def holds(self, detectors: DetectorSettings) -> bool:
        """Whether the delays in force are right within their uncertainty."""
        return abs(self._worst(detectors)[1]) <= detectors.delay_uncertainty_ns

    def _worst(self, detectors: DetectorSettings) -> tuple[str, float]:
        """Name of the detector whose delay is furthest off, and by how much, ns."""
        return max(self.off_ns(detectors).items(), key=lambda one: abs(one[1]))

    def save(self, folder: Path) -> None:
        """Write into the state folder.

        Raises
        ------
        StationError
            It cannot be written.
        """
        replace_file(folder / FILE_NAME, self.model_dump_json(indent=2) + '\n', parents=True)


def load_delays(folder: Path) -> MeasuredDelays | None:
    """The last measurement in the state folder; None: there is none.

    Raises
    ------
    StationError
        A damaged file.
    """
    return load_if_there(folder / FILE_NAME, MeasuredDelays)


def with_measured(known_ns: dict[str, float], delay_ns: AnyFloatArray | tuple[float, ...]) -> dict[str, float]:
    """Delays of every channel with the relative ones of H, V, D, A in them; what those have in common stays."""
    common_ns = float(np.mean([known_ns[name] for name in _NAMES]))
    return known_ns | {name: round(common_ns + float(one), 4) for name, one in zip(_NAMES, delay_ns, strict=True)}
