"""Zero of the half-wave plate and contrast of both bases, with the calibration light."""

from __future__ import annotations

from math import degrees, pi, radians
from pathlib import Path

import numpy as np
from pydantic import Field

from qkd_gs.calibration.hwp_zero import HwpZero, fit_hwp_zero
from qkd_gs.calibration.light.survey import LightBin
from qkd_gs.calibration.observing.observation import Place, Sensed
from qkd_gs.calibration.observing.with_light import LightRun
from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.session.atomic_file import replace_file
from qkd_gs.settings.loader import Section, load_if_there
from qkd_gs.timing.tags import QUANTUM

FILE_NAME = 'polarization.json'
ANGLES = 24  # over half a turn
_BINS = 2  # full ones at each


class Polarization(Section):
    """polarization.json: the last measurement of the half-wave plate's zero."""

    utc: str
    offset_deg: float = Field(description='zero as measured, minus hwp.zero_deg')
    sigma_deg: float = Field(ge=0, description='its standard error; the error of the polarizer is not in it')
    visibility: dict[str, float] = Field(description='of the curves of H, V, D, A')

    @property
    def summary(self) -> str:
        """One sentence."""
        hv, da = (min(self.visibility[name] for name in basis) for basis in ('HV', 'DA'))
        return (
            f'zero of the half-wave plate {self.offset_deg:+.3f} +- {self.sigma_deg:.3f} deg from the setting, '
            f'visibility {hv:.3f} of H and V, {da:.3f} of D and A'
        )


def load_polarization(folder: Path) -> Polarization | None:
    """The last measurement in the state folder; None: there is none.

    Raises
    ------
    StationError
        A damaged file.
    """
    return load_if_there(folder / FILE_NAME, Polarization)


class PolarizationObservation(LightRun):
    """Turns the HWP through half a turn, and counts at each angle."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._number = 0
        self._bins: list[LightBin] = []
        self._angles_rad: list[float] = []
        self._rates_cps: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
        self._found: HwpZero | None = None

    def _measure(self, sensed: Sensed) -> str:
        """One angle after the other."""
        said = f'half-wave plate: angle {self._number + 1} of {ANGLES}'
        if not self._turn(pi * self._number / ANGLES, sensed):
            return said
        self._bins += [one for one in sensed.bins if one.start_ns >= self._rest_ns]
        if len(self._bins) < _BINS:
            return said
        assert sensed.hwp is not None
        if not self._number and not self._require_light(self._bins):
            return said
        self._angles_rad.append(sensed.hwp.angle_rad)
        self._rates_cps.append(self._rates(self._bins))
        self._bins.clear()
        self._number += 1
        if self._number == ANGLES:
            self._fit()
        return said

    def _fit(self) -> None:
        seconds = float(_BINS)
        counts = np.rint(np.array(self._rates_cps) * seconds).astype(np.int64)
        near_rad, polarization_rad = radians(self._hwp.zero_deg), radians(self._light.polarization_deg)
        try:
            self._found = fit_hwp_zero(np.array(self._angles_rad), counts, polarization_rad, near_rad, self._hwp.parity)
        except StationError as error:
            self.abort(str(error))
        else:
            self._end('measured')

    def keep(self, now_ns: int) -> str:
        """Store the zero with the calibration, from where the half-wave plate takes it, and the visibility."""
        assert self._found is not None
        place, found = self._place, self._found
        contrast = {one.name: round(float(value), 4) for one, value in zip(QUANTUM, found.visibility, strict=True)}
        offset_deg, sigma_deg = degrees(found.zero_rad) - place.station.hwp.zero_deg, degrees(found.sigma_rad)
        with_zero(place.pointing, offset_deg, sigma_deg).save(place.folder)
        kept = Polarization(
            utc=format_utc(now_ns, 0),
            offset_deg=round(offset_deg, 4),
            sigma_deg=round(sigma_deg, 4),
            visibility=contrast,
        )
        replace_file(place.folder / FILE_NAME, kept.model_dump_json(indent=2) + '\n', parents=True)
        return kept.summary


def with_zero(pointing: StoredPointing, offset_deg: float, sigma_deg: float) -> StoredPointing:
    """The stored calibration with another zero of the half-wave plate."""
    return pointing.model_copy(update={'hwp_offset_deg': offset_deg, 'hwp_sigma_deg': sigma_deg})
