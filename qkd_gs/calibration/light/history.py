"""Results of star tests and noise maps over the nights, in the state folder: light-history.json."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Literal

from pydantic import Field

from qkd_gs.calibration.light.noise_map import NoiseMap
from qkd_gs.calibration.light.star_test import StarTest
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.session.atomic_file import replace_file
from qkd_gs.settings.loader import Section, load_yaml

FILE_NAME = 'light-history.json'


class LightNight(Section):
    """One test."""

    utc: str
    site: str
    kind: Literal['efficiency', 'noise']
    value: float = Field(description='efficiency, or counts/s over the four detectors at the highest elevation')
    sigma: float = Field(default=0.0, description='standard error of the efficiency')
    dark_cps: float | None = Field(default=None, description='over the four detectors; none: not measured')
    summary: str


class LightHistory(Section):
    """The whole of light-history.json, oldest first."""

    nights: tuple[LightNight, ...] = ()

    def before(self, site: str, kind: str) -> LightNight | None:
        """The last result of a kind at a site."""
        return next((one for one in reversed(self.nights) if (one.site, one.kind) == (site, kind)), None)


def load_history(folder: Path) -> LightHistory:
    """Read the history; an empty one if there is none.

    Raises
    ------
    StationError
        A damaged file.
    """
    path = folder / FILE_NAME
    return load_yaml(path, LightHistory) if path.exists() else LightHistory()


def keep_result(folder: Path, site: str, now_ns: int, result: StarTest | NoiseMap) -> str:
    """Add a result; what it says of the change since the last one at this site, '' if it is the first.

    Raises
    ------
    StationError
        The file is damaged or cannot be written.
    """
    history = load_history(folder)
    night = _night(site, format_utc(now_ns, 0), result)
    before = history.before(site, night.kind)
    whole = LightHistory(nights=(*history.nights, night))
    replace_file(folder / FILE_NAME, whole.model_dump_json(indent=2) + '\n', parents=True)
    return '' if before is None else f'{night.value / before.value:.2f} times that of {before.utc}'


def _night(site: str, utc: str, result: StarTest | NoiseMap) -> LightNight:
    if isinstance(result, StarTest):
        return LightNight(
            utc=utc, site=site, kind='efficiency', value=result.efficiency, sigma=result.sigma, summary=result.summary
        )
    dark = float(result.dark_cps.sum())
    high = float(result.at(result.az_rad, result.el_rad[-1:].repeat(len(result.az_rad))).sum(axis=1).mean())
    return LightNight(
        utc=utc, site=site, kind='noise', value=high, dark_cps=dark if isfinite(dark) else None, summary=result.summary
    )
