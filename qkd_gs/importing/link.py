"""Link between source and receiver of an imported recording: an orbit over a site, or a fixed delay."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from qkd_gs.errors import StationError
from qkd_gs.orbit import load_elements
from qkd_gs.orbit.passes import Limits, pass_nearest
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.settings.site import Site


class Link(Protocol):
    """A link as the manifest describes it."""

    def identity(self) -> list[Any]:
        """Distinguishing values, for JSON."""

    def describe(self, first_ns: int, last_ns: int, folder: Path) -> dict[str, Any]:
        """Fields of the manifest of a recording between two times of UTC; may put a file into the session's folder."""


@dataclass(frozen=True)
class BenchLink:
    """A bench or a fibre with a constant one-way delay."""

    delay_s: float
    name: str = 'bench source'

    def identity(self) -> list[Any]:
        """Distinguishing values, for JSON."""
        return ['bench', self.delay_s]

    def describe(self, first_ns: int, last_ns: int, folder: Path) -> dict[str, Any]:
        """Fields of the manifest."""
        return {
            'satellite': self.name,
            'delay_s': self.delay_s,
            'pass_info': {},
            'culmination_ns': (first_ns + last_ns) // 2,
        }


@dataclass(frozen=True)
class OrbitLink:
    """A satellite over a site.

    Attributes
    ----------
    elements : Path
        File of the orbit; copied into the session.
    satellite : str, optional
        Name or number of one in the file.
    force : bool
        Take elements older than 60 days.
    """

    elements: Path
    site: Site
    satellite: str | None = None
    force: bool = False

    def identity(self) -> list[Any]:
        """Distinguishing values, for JSON."""
        return ['orbit', self.site.model_dump(mode='json'), self.satellite]

    def describe(self, first_ns: int, last_ns: int, folder: Path) -> dict[str, Any]:
        """Fields of the manifest, of the pass in which the recording lies.

        Raises
        ------
        StationError
            The satellite was below the horizon.
        """
        elements = load_elements(self.elements)
        if self.satellite is not None:
            elements = elements.only(self.satellite)
        found = pass_nearest(elements, self.site, (first_ns + last_ns) // 2, Limits(culmination_deg=0.0), self.force)
        if found.set_ns < first_ns or found.rise_ns > last_ns:
            raise StationError(
                f'the recording ({format_utc(first_ns, 0)} to {format_utc(last_ns, 0)}) lies in no pass of'
                f' {found.satellite}; the nearest is from {format_utc(found.rise_ns, 0)} to'
                f' {format_utc(found.set_ns, 0)}',
                where='start',
            )
        name = f'elements{self.elements.suffix or ".txt"}'
        shutil.copyfile(self.elements, folder / name)
        return {
            'satellite': found.satellite,
            'elements_file': name,
            'elements_used': found.orbit.describe(),
            'site': self.site,
            'pass_info': found.to_dict(),
            'culmination_ns': found.culmination_ns,
        }


def chosen_link(
    delay_s: float | None, site: Site | None, elements: Path | None, satellite: str | None = None, force: bool = False
) -> Link:
    """Link of a delay alone, or of a site and an orbit.

    Raises
    ------
    StationError
        Neither, or both.
    """
    orbit = site is not None or elements is not None
    if delay_s is not None and not orbit:
        return BenchLink(delay_s)
    if delay_s is None and site is not None and elements is not None:
        return OrbitLink(elements, site, satellite, force)
    raise StationError(
        'give --site and --elements (a satellite), or --delay-s (a bench or fibre link)',
        where='--delay-s' if delay_s is not None else '--site',
    )
